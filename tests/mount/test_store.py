"""The store as files: real programs write them, and the server is asked over the wire what it got."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from cometfs.server import sample_directory
from tests.support.faulty_comet import Answer, faulty_comet
from tests.support.processes import PATIENCE, Comet, Mounted, running_comet, running_mount
from tests.support.spawning import inside


def on_server(comet: Comet) -> dict[str, str]:
    """What the server has."""
    request = urllib.request.Request(f"{comet.url}/api/rest/v2/panel/store", headers={"Authorization": "any"})
    with urllib.request.urlopen(request, timeout=PATIENCE) as reply:
        found: dict[str, str] = json.loads(json.load(reply)["store"])
    return found


def sh(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(inside(folder, "bash", "-c", command), capture_output=True, text=True, timeout=PATIENCE)


@contextmanager
def storing_comet(folder: Path) -> Iterator[Comet]:
    """A Comet whose store is on disk beside one archive."""
    archives = folder / "archives"
    archives.mkdir()
    shutil.copy(next(sample_directory().glob("*.zip")), archives)
    with running_comet(folder, archives=archives) as running:
        yield running


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Comet]:
    """A Comet of this test alone."""
    with storing_comet(tmp_path) as running:
        yield running


@pytest.fixture
def rw(tmp_path: Path, own: Comet) -> Iterator[Mounted]:
    with running_mount(tmp_path, own, "--rw") as mounted:
        yield mounted


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mounted]:
    """A mount for tests that leave nothing but values behind."""
    folder = tmp_path_factory.mktemp("store")
    with storing_comet(folder) as comet, running_mount(folder, comet, "--rw") as mounted:
        yield mounted


@pytest.fixture
def empty(shared: Mounted) -> Mounted:
    """The same, without the values of the test before."""
    for path in (shared / ".cometfs/store").iterdir():
        path.unlink()
    assert on_server(shared.comet) == {}
    return shared


@pytest.mark.parametrize(
    ("command", "stored"),
    [
        ("echo text > k", {"k": "text\n"}),
        ("echo a > k; echo bc > k", {"k": "bc\n"}),
        ("echo a > k; echo b >> k", {"k": "a\nb\n"}),
        ("echo abc > k; truncate -s 2 k", {"k": "ab"}),
        ("echo abc > k; : > k", {"k": ""}),
        ("touch k", {"k": ""}),
        ("printf abc > /tmp/$$; cp -p /tmp/$$ k; rm /tmp/$$", {"k": "abc"}),
        ("echo abc > k; sed -i s/b/B/ k", {"k": "aBc\n"}),
        ("echo abc > k; vim -u NONE -es -c 's/b/B/' -c wq k < /dev/null", {"k": "aBc\n"}),
        ("echo a | tee k l", {"k": "a\n", "l": "a\n"}),
        ("echo a > k; mv k l", {"l": "a\n"}),
        ("echo a > k; echo b > l; mv k l", {"l": "a\n"}),
        ("echo a > k; echo b > l; rm k", {"l": "b\n"}),
        ("(echo 1; echo 2) > k", {"k": "1\n2\n"}),
        ("echo x > a%2Fb", {"a/b": "x\n"}),
    ],
)
def test_programs_write_and_the_server_has_it_when_they_close(
    empty: Mounted, command: str, stored: dict[str, str]
) -> None:
    """Nothing is left of swap files, backups and temporary names; the mount shows the same at once."""
    if "vim" in command and shutil.which("vim") is None:
        pytest.skip("vim is not installed here")
    folder = empty / ".cometfs/store"
    done = sh(command, folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert on_server(empty.comet) == stored
    shown = {path.name.replace("%2F", "/"): path.read_text() for path in folder.iterdir()}
    assert shown == stored
    assert all(path.stat().st_size == len(path.read_bytes()) for path in folder.iterdir())
    assert empty.log.read_text() == ""


def test_a_value_that_cannot_be_stored_fails_at_close_and_the_old_one_stays(rw: Mounted, own: Comet) -> None:
    """No UTF-8, then no server; each has its sentence in the log."""
    path = rw / ".cometfs/store/k"
    path.write_text("old")
    descriptor = os.open(path, os.O_WRONLY | os.O_TRUNC)
    with pytest.raises(OSError, match="Invalid or incomplete"):
        os.write(descriptor, b"\xff")
    assert _errno_of_close(descriptor) == errno.EILSEQ
    assert (path.read_text(), on_server(own)) == ("old", {"k": "old"})
    own.process.kill()
    own.process.wait()
    assert _close_after_write(path, b"new") == errno.ENETUNREACH
    assert rw.log.read_text().count("'k' is not stored") == 2
    assert json.loads((own.archives / "store.json").read_text()) == {"k": "old"}


BIG = 17 << 20
"""Bytes: more than a value may have."""


TOO_BIG = (
    "cp {big} k",
    "dd if={big} of=k bs=128K",
    "dd if={big} of=k bs=128K conv=fsync",
    "dd if={big} of=k bs=1M conv=notrunc",
    "dd if={big} of=k bs=1M seek=17 count=1",
    "cat {big} > k",
    "cat {big} >> k",
    "(printf some; cat {big}) > k",
    "truncate -s 17M k",
    """python3 -c 'f = open("k", "w"); f.write("part"); f.flush(); f.truncate(17 << 20)'""",
)


def test_of_a_value_that_is_too_big_nothing_is_stored(rw: Mounted, own: Comet, tmp_path: Path) -> None:
    """Where there was none there is none, else the old one stays; the writer is told, and the next one can write."""
    folder, big = rw / ".cometfs/store", tmp_path / "big"
    big.write_bytes(b"x" * BIG)
    (folder / "other").write_text("kept")
    for command in TOO_BIG:
        for before in ({"other": "kept"}, {"other": "kept", "k": "old"}):
            done = sh(command.format(big=big), folder)
            assert done.returncode != 0, command
            assert "File too large" in done.stderr
            assert on_server(own) == before, command
            assert {path.name: path.read_text() for path in folder.iterdir()} == before, command
            (folder / "k").write_text("old")
            assert (on_server(own), (folder / "k").read_text()) == ({"other": "kept", "k": "old"}, "old"), command
        (folder / "k").unlink()


def test_close_tells_too_that_a_value_was_refused(rw: Mounted, own: Comet) -> None:
    """Of a program that does not look at what write says, and of all who share the file; another one begins anew."""
    path = rw / ".cometfs/store/k"
    path.write_text("old")
    first = os.open(path, os.O_WRONLY | os.O_TRUNC)
    other = os.open(path, os.O_RDONLY)
    os.write(first, b"some")
    with pytest.raises(OSError, match="File too large"):
        os.pwrite(first, b"x", BIG)
    with pytest.raises(OSError, match="File too large"):
        os.write(first, b"more")
    second = os.open(path, os.O_WRONLY)
    os.write(second, b"O")
    assert _errno_of_close(second) is None
    assert _errno_of_close(first) == errno.EFBIG
    os.close(other)
    assert (on_server(own), path.read_text()) == ({"k": "Old"}, "Old")


def _close_after_write(path: Path, content: bytes) -> int | None:
    descriptor = os.open(path, os.O_WRONLY | os.O_TRUNC)
    os.write(descriptor, content)
    return _errno_of_close(descriptor)


def _errno_of_close(descriptor: int) -> int | None:
    try:
        os.close(descriptor)
    except OSError as error:
        return error.errno
    return None


@pytest.mark.parametrize(
    "command",
    [
        "echo x > README.md",
        "rm README.md",
        "mkdir d",
        "touch .cometfs/f",
        "chmod 600 README.md",
        "touch -d 2001-01-01 README.md",
        "touch new.md",
        "ln -s a b",
        "mv .cometfs/store/k k",
        "mv README.md .cometfs/store/r",
        "rmdir .cometfs",
        "truncate -s 0 README.md",
    ],
)
def test_everything_else_is_read_only(empty: Mounted, command: str) -> None:
    """EROFS to every kind of write; the modes are those of every mount."""
    (empty / ".cometfs/store/k").write_text("v")
    done = sh(command, empty.path)
    assert done.returncode != 0
    assert "Read-only file system" in done.stderr
    assert (empty / "README.md").stat().st_mode & 0o777 == 0o644
    assert (empty / ".cometfs/store/k").stat().st_mode & 0o777 == 0o644
    assert empty.log.read_text() == ""


@pytest.mark.parametrize("command", ["mkdir d", "ln -s a b", "mkfifo p"])
def test_the_store_holds_files_alone(empty: Mounted, command: str) -> None:
    """EPERM to all that is no file."""
    assert "Operation not permitted" in sh(command, empty / ".cometfs/store").stderr


def test_without_rw_the_store_is_read(warm: Mounted) -> None:
    """And refuses writing."""
    folder = warm / ".cometfs/store"
    assert "Read-only file system" in sh("echo x > k", folder).stderr
    assert not os.access(folder, os.W_OK)


def test_a_server_without_a_store_says_so(tmp_path: Path, comet: Comet) -> None:
    """ENOTSUP in the store; what stands around it is untouched."""
    with faulty_comet(comet) as (faulty, faults):
        faults.answers["panel/store"] = Answer(404)
        with running_mount(tmp_path, faulty, "--rw") as mounted:
            assert os.listdir(mounted / ".cometfs") == ["store"]  # noqa: PTH208
            for command in ("ls .cometfs/store", "echo x > .cometfs/store/k"):
                assert "not supported" in sh(command, mounted.path).stderr
            assert "vision-lab" in os.listdir(mounted.path)  # noqa: PTH208


ODD = [{}, {"store": None}, {"store": ""}, {"store": "[]"}, {"msg": "internal error", "code": 500}, []]
"""Answers to reading the store that are none."""


def test_an_odd_answer_to_reading_the_store_loses_nothing(tmp_path: Path, own: Comet) -> None:
    """EPROTO for whoever reads and whoever writes, when it comes before the write and when in the middle of it."""
    with faulty_comet(own) as (faulty, faults), running_mount(tmp_path, faulty, "--rw") as mounted:
        folder = mounted / ".cometfs/store"
        for key in "abc":
            (folder / key).write_text(key)
        for answer in ODD:
            opened = os.open(folder / "a", os.O_WRONLY | os.O_TRUNC)
            faults.answers["rest/v2/panel/store"] = Answer(200, json.dumps(answer).encode())
            os.write(opened, b"new")
            assert _errno_of_close(opened) == errno.EPROTO, answer
            for command in ("echo x > k", "rm b", "mv b d", "cat c", "ls"):
                assert "Protocol error" in sh(command, folder).stderr, (answer, command)
            faults.answers.clear()
            assert on_server(own) == {"a": "a", "b": "b", "c": "c"}, answer
            assert (folder / "c").read_text() == "c"
        (folder / "k").write_text("v")
        assert on_server(own) == {"a": "a", "b": "b", "c": "c", "k": "v"}


@pytest.mark.parametrize("shared", [True, False], ids=["one cache directory", "two cache directories"])
def test_two_mounts_that_write_at_once_lose_nothing(tmp_path: Path, own: Comet, shared: bool) -> None:
    """Forty keys each, at once and one after the other; each close that says so has stored its value."""
    caches = [tmp_path / "cache" if shared else tmp_path / name / "cache" for name in ("one", "two")]
    for folder in (tmp_path / "one", tmp_path / "two"):
        folder.mkdir()
    with (
        running_mount(tmp_path / "one", own, "--rw", "--cache-dir", str(caches[0])) as one,
        running_mount(tmp_path / "two", own, "--rw", "--cache-dir", str(caches[1])) as two,
        ThreadPoolExecutor(60) as threads,
    ):

        def write(path: Path) -> None:
            path.write_text(path.name)

        def write_all(folder: Path) -> None:
            for number in range(20):
                write(folder / f"in-turn-{folder.parts[-4]}-{number}")

        folders = [mounted / ".cometfs/store" for mounted in (one, two)]
        jobs = [threads.submit(write_all, folder) for folder in folders]
        jobs += [
            threads.submit(write, folder / f"at-once-{folder.parts[-4]}-{number}")
            for number in range(20)
            for folder in folders
        ]
        for job in jobs:
            job.result()
    found = on_server(own)
    assert len(found) == 80
    assert all(key == value for key, value in found.items())


def test_a_mount_that_is_killed_while_it_writes_leaves_no_lock(tmp_path: Path, own: Comet) -> None:
    """Nor one that hangs for ever: who waits for it is told at the deadline."""
    for folder in (tmp_path / "one", tmp_path / "two"):
        folder.mkdir()
    with (
        faulty_comet(own) as (faulty, faults),
        running_mount(tmp_path / "one", faulty, "--rw", XDG_CACHE_HOME=str(tmp_path / "cache")) as hangs,
        running_mount(
            tmp_path / "two", faulty, "--rw", "--deadline", "2", XDG_CACHE_HOME=str(tmp_path / "cache")
        ) as waits,
        ThreadPoolExecutor(1) as threads,
    ):
        folder = waits / ".cometfs/store"
        (folder / "k").write_text("old")
        faults.stall("write/panel/store")
        writing = threads.submit(sh, "echo x > l", hangs / ".cometfs/store")
        faults.await_arrivals("write/panel/store", 2)
        assert _close_after_write(folder / "k", b"new") == errno.ETIMEDOUT
        hangs.process.kill()
        hangs.process.wait()
        writing.result()
        faults.stalled.clear()
        assert _close_after_write(folder / "k", b"new") is None
        assert on_server(own)["k"] == "new"
