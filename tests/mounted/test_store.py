"""The store as files: real programs write them, and the server is asked over the wire what it got."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from cometfs.local import sample_directory
from tests.mounted.faulty import Answer, faulty_comet
from tests.mounted.processes import PATIENCE, Comet, Mounted, running_comet, running_mount


def on_server(comet: Comet) -> dict[str, str]:
    """What the server has."""
    request = urllib.request.Request(f"{comet.url}/api/rest/v2/panel/store", headers={"Authorization": "any"})
    with urllib.request.urlopen(request, timeout=PATIENCE) as reply:
        found: dict[str, str] = json.loads(json.load(reply)["store"])
    return found


def sh(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True, text=True, timeout=PATIENCE)


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Comet]:
    """A Comet of this test alone, whose store is on disk beside one archive."""
    archives = tmp_path / "archives"
    archives.mkdir()
    shutil.copy(next(sample_directory().glob("*.zip")), archives)
    with running_comet(tmp_path, archives=archives) as running:
        yield running


@pytest.fixture
def rw(tmp_path: Path, own: Comet) -> Iterator[Mounted]:
    with running_mount(tmp_path, own, "--rw") as mounted:
        yield mounted


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
    rw: Mounted, own: Comet, command: str, stored: dict[str, str]
) -> None:
    """Nothing is left of swap files, backups and temporary names; the mount shows the same at once."""
    if "vim" in command and shutil.which("vim") is None:
        pytest.skip("vim is not installed here")
    folder = rw / ".cometfs/store"
    done = sh(command, folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert on_server(own) == stored
    shown = {path.name.replace("%2F", "/"): path.read_text() for path in folder.iterdir()}
    assert shown == stored
    assert all(path.stat().st_size == len(path.read_bytes()) for path in folder.iterdir())
    assert rw.log.read_text() == ""


def test_a_value_that_cannot_be_stored_fails_at_close_and_the_old_one_stays(rw: Mounted, own: Comet) -> None:
    """No UTF-8, then no server; each has its sentence in the log."""
    path = rw / ".cometfs/store/k"
    path.write_text("old")
    assert _close_after_write(path, b"\xff") == errno.EILSEQ
    assert (path.read_text(), on_server(own)) == ("old", {"k": "old"})
    own.process.kill()
    own.process.wait()
    assert _close_after_write(path, b"new") == errno.ENETUNREACH
    assert rw.log.read_text().count("'k' is not stored") == 2
    assert json.loads((own.archives / "store.json").read_text()) == {"k": "old"}


def _close_after_write(path: Path, content: bytes) -> int | None:
    descriptor = os.open(path, os.O_WRONLY | os.O_TRUNC)
    os.write(descriptor, content)
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
def test_everything_else_is_read_only(rw: Mounted, command: str) -> None:
    """EROFS to every kind of write, and modes without w."""
    (rw / ".cometfs/store/k").write_text("v")
    done = sh(command, rw.path)
    assert done.returncode != 0
    assert "Read-only file system" in done.stderr
    assert (rw / "README.md").stat().st_mode & 0o777 == 0o444
    assert (rw / ".cometfs/store/k").stat().st_mode & 0o777 == 0o644
    assert rw.log.read_text() == ""


@pytest.mark.parametrize("command", ["mkdir d", "ln -s a b", "mkfifo p"])
def test_the_store_holds_files_alone(rw: Mounted, command: str) -> None:
    """EPERM to all that is no file."""
    assert "Operation not permitted" in sh(command, rw / ".cometfs/store").stderr


def test_without_rw_the_store_is_read(warm: Mounted) -> None:
    """And refuses writing."""
    folder = warm / ".cometfs/store"
    assert "Read-only file system" in sh("echo x > k", folder).stderr
    assert folder.stat().st_mode & 0o777 == 0o555


def test_a_server_without_a_store_says_so(tmp_path: Path, comet: Comet) -> None:
    """ENOTSUP in the store; what stands around it is untouched."""
    with faulty_comet(comet) as (faulty, faults):
        faults.answers["panel/store"] = Answer(404)
        with running_mount(tmp_path, faulty, "--rw") as mounted:
            assert os.listdir(mounted / ".cometfs") == ["store"]  # noqa: PTH208
            for command in ("ls .cometfs/store", "echo x > .cometfs/store/k"):
                assert "not supported" in sh(command, mounted.path).stderr
            assert "vision-lab" in os.listdir(mounted.path)  # noqa: PTH208
