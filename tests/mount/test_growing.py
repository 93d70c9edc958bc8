"""Files of running experiments, read by the tools that people use while they grow: right bytes at every moment."""

from __future__ import annotations

import errno
import mmap
import os
import pty
import select
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path

import pytest

from tests.support.live_runs import Run, following, tail
from tests.support.processes import PATIENCE, Mounted
from tests.support.subprocesses import await_that

C_LOCALE = {**os.environ, "LC_ALL": "C.UTF-8"}

# tail, less, watch


@pytest.mark.promise("Another version is another file")
def test_tail_by_name_goes_on_with_a_file_that_was_rewritten(run: Run, live: Mounted, tmp_path: Path) -> None:
    """A point of a former step changes the middle of a file: the name gets another one, who has it open keeps his."""
    path = live / run.folder / "metrics/loss.csv"
    for step in (5, 6, 7):
        run.point("loss", step, step / 8)
    with following(tmp_path, *tail(path, "-F")) as by_name, following(tmp_path, *tail(path, "-f")) as by_handle:
        before = path.read_bytes()
        by_name.await_said(before)
        by_handle.await_said(before)
        run.point("loss", 1, 0.25)
        by_name.await_complaint("has been replaced")
        after = path.read_bytes()
        assert after.splitlines()[1].startswith(b"1,0,")
        by_name.await_said(before + after)
        run.point("loss", 8, 1.0)
        by_name.await_said(lambda said: said == before + path.read_bytes() and said.endswith(b",1.0\n"))
        assert by_handle.said == before
        assert by_handle.complaint == ""


def test_tail_waits_for_a_metric_that_is_not_logged_yet(run: Run, live: Mounted, tmp_path: Path) -> None:
    path = live / run.folder / "metrics/new.csv"
    with following(tmp_path, *tail(path, "-F")) as follower:
        follower.await_complaint("No such file")
        run.point("new", 1, 0.5)
        follower.await_complaint("has appeared")
        follower.await_said(lambda said: said.endswith(b",0.5\n"))
        run.point("new", 2, 0.25)
        follower.await_said(lambda said: said.endswith(b",0.25\n"))
        assert follower.said == path.read_bytes()


@pytest.mark.promise("Following")
def test_less_follows(run: Run, live: Mounted) -> None:
    """`less +F` in a terminal of its own."""
    if not shutil.which("less"):
        pytest.skip("less is not installed here")
    run.say("first\n")
    terminal, other = pty.openpty()
    command = ["less", "+F", str(live / run.folder / "output.txt")]
    environment = {**C_LOCALE, "TERM": "xterm", "LESS": ""}
    with subprocess.Popen(command, env=environment, stdin=other, stdout=other, stderr=other) as process:
        os.close(other)
        try:
            shown = _shown(terminal, b"first")
            run.say("second\n")
            shown += _shown(terminal, b"second")
            run.say("thi")
            run.say("rd\n")
            shown += _shown(terminal, b"third")
            assert [shown.count(word) for word in (b"first", b"second", b"third")] == [1, 1, 1]
        finally:
            process.kill()
            os.close(terminal)


def _shown(terminal: int, wanted: bytes) -> bytes:
    """What a terminal shows, up to where `wanted` is in it."""
    shown = b""
    while wanted not in shown:
        ready, _, _ = select.select([terminal], [], [], PATIENCE)
        assert ready, shown
        shown += os.read(terminal, 4096)
    return shown


def test_a_loop_of_cat_shows_what_is_added(run: Run, live: Mounted, tmp_path: Path) -> None:
    """As `watch cat`: every time a version of the file, never an older one than the time before."""
    run.say("0\n")
    loop = 'while :; do cat "$0"; echo --; done'
    with following(tmp_path, "sh", "-c", loop, live / run.folder / "output.txt") as follower:
        follower.await_said(lambda said: b"--" in said)
        for number in range(1, 6):
            run.say(f"{number}\n")
            follower.await_said(lambda said, last=number: b"%d\n--" % last in said)  # type: ignore[misc]
        shown = follower.said.split(b"--\n")[:-1]
    versions = list(accumulate(b"%d\n" % number for number in range(6)))
    places = [versions.index(one) for one in shown]
    assert places == sorted(places)
    assert follower.complaint == ""


# Tools on a file that grows all the time


@contextmanager
def growing(run: Run) -> Iterator[list[bytes]]:
    """A writer that does not rest until the block ends; the versions that there were, in order."""
    versions, ended = [b""], threading.Event()

    def write() -> None:
        number = 0
        while not ended.is_set():
            number += 1
            text = f"{number} " + "zeile äöü🙂 " * (number % 7) + "\n"
            versions.append((run.output + text).encode())
            run.say(text)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        await_that(lambda: len(versions) > 20, "nothing was written")
        yield versions
    finally:
        ended.set()
        thread.join(PATIENCE)


def copied_by(*words: str) -> Callable[[Path, Path], bytes]:
    """What a program that copies leaves."""

    def copy(path: Path, folder: Path) -> bytes:
        target = folder / "copy"
        subprocess.run([*words, path, target], env=C_LOCALE, check=True, timeout=PATIENCE)
        found = target.read_bytes()
        target.unlink()
        return found

    return copy


def printed_by(*words: str, statuses: tuple[int, ...] = (0,)) -> Callable[[Path, Path], bytes]:
    """What a program that prints prints."""

    def run_it(path: Path, _folder: Path) -> bytes:
        done = subprocess.run([*words, path], env=C_LOCALE, capture_output=True, timeout=PATIENCE, check=False)
        assert done.returncode in statuses, done.stderr
        return done.stdout

    return run_it


def sent(path: Path, folder: Path) -> bytes:
    """By sendfile, to a file."""
    with path.open("rb") as source, (folder / "sent").open("wb") as target:
        while os.sendfile(target.fileno(), source.fileno(), None, 1 << 16):
            pass
    return (folder / "sent").read_bytes()


def spliced(path: Path, _folder: Path) -> bytes:
    """Through a pipe."""
    into, out = os.pipe()
    found = b""
    with path.open("rb") as source, os.fdopen(into, "rb") as pipe, os.fdopen(out, "wb"):
        while count := os.splice(source.fileno(), out, 1 << 14):
            found += os.read(pipe.fileno(), count)
    return found


def direct(path: Path, _folder: Path) -> bytes:
    """Opened with O_DIRECT."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECT)
    try:
        with mmap.mmap(-1, 1 << 20) as room:  # a buffer on a page's border
            found = b""
            while count := os.preadv(handle, [room], len(found)):
                found += room[:count]
            return found
    finally:
        os.close(handle)


def duplicated(path: Path, _folder: Path) -> bytes:
    """By two handles with one place in the file, of which the first is closed in between."""
    first = os.open(path, os.O_RDONLY)
    second = os.dup(first)
    found = os.read(first, 100)
    os.close(first)
    try:
        while part := os.read(second, 1000):
            found += part
        return found
    finally:
        os.close(second)


def mapped(path: Path, _folder: Path) -> bytes:
    """A private map; a shared one is not to be had of what is read past the page cache."""
    with path.open("rb") as file:
        with pytest.raises(OSError, match=os.strerror(errno.ENODEV)):
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        with mmap.mmap(file.fileno(), 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ) as view:
            return view[:]


def whole(path: Path, _folder: Path) -> bytes:
    return path.read_bytes()


TOOLS = {
    "cat": printed_by("cat"),
    "dd": printed_by("sh", "-c", 'dd if="$0" bs=511 status=none'),
    "grep": printed_by("grep", "-a", "", statuses=(0, 1)),
    "rg": printed_by("rg", "-a", "-N", "", statuses=(0, 1)),
    "rg --mmap": printed_by("rg", "--mmap", "-a", "-N", "", statuses=(0, 1)),
    "head": printed_by("head", "-c", "10000000"),
    "tail": printed_by("tail", "-n", "+1"),
    "cp": copied_by("cp"),
    "cp --sparse": copied_by("cp", "--sparse=always"),
    "rsync": copied_by("rsync", "-q", "--whole-file"),
    "tar": printed_by("sh", "-c", 'tar -cPf - "$0" | tar -xOPf -'),
    "sendfile": sent,
    "splice": spliced,
    "O_DIRECT": direct,
    "dup": duplicated,
    "mmap": mapped,
    "read_bytes": whole,
}


@pytest.mark.promise("No byte that was not logged")
def test_every_tool_reads_a_version_that_there_was(run: Run, live: Mounted, tmp_path: Path) -> None:
    """Never half of one, no zeros behind it, no letter torn, and never an older one than was read before; while `tail`
    has it open, so that it grows under them."""
    path = live / run.folder / "output.txt"
    here = {name: read for name, read in TOOLS.items() if name.split()[0] not in ("rg", "rsync") or _has(name)}
    seen: list[int] = []
    with following(tmp_path, *tail(path)) as follower:
        with growing(run) as versions:
            await_that(lambda: path.stat().st_size > 0, "nothing of it is shown")  # nothing cannot be mapped
            while len(set(seen)) < 10:
                for name, read in here.items():
                    found = read(path, tmp_path)
                    assert found in versions, f"{name} read no version that there was: {found[-200:]!r}"
                    seen.append(versions.index(found))
                    assert seen[-1] == max(seen), f"{name} read an older version than was read before"
        follower.await_said(run.output.encode())
        assert follower.complaint == ""
    assert set(here) == set(TOOLS), "not all of the tools are installed here"


def _has(name: str) -> bool:
    return shutil.which(name.split()[0]) is not None
