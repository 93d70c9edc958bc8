"""Who follows a file of a running experiment, and what that costs: poll, and calls by the clock."""

from __future__ import annotations

import os
import select
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import pairwise
from pathlib import Path

import pytest

from tests.support.edited_comet import HASTY
from tests.support.live_runs import INTERVAL, LIVE, Run, asked_of, following, tail
from tests.support.processes import PATIENCE, Comet, Mounted, is_mounted, running_mount
from tests.support.subprocesses import await_that

OUTPUT = "experiment/output"


class Clock:
    def __init__(self, run: Run) -> None:
        self._run = run

    def pass_intervals(self, count: int = 3) -> None:
        """Returns when so many intervals have passed, and the mount has worked in each."""
        before = len(asked(self._run))
        await_that(lambda: len(asked(self._run)) >= before + count, "the other run is not followed")


@pytest.fixture
def clock(runs: Iterator[Run], live: Mounted, tmp_path: Path) -> Iterator[Clock]:
    """Another run, of which a file is followed all the time: its calls tell that intervals pass."""
    other = next(runs)
    other.say("tick\n")
    with following(tmp_path, *tail(live / other.folder / "output.txt")):
        yield Clock(other)


@pytest.fixture
def begun(run: Run) -> Run:
    run.say("begun\n")
    return run


def asked(run: Run, endpoint: str = "") -> list[float]:
    """When the server answered the mount about a run, in seconds; about all, or at one endpoint."""
    return [
        request["time"]
        for request in run.comet.requests()
        if run.key in request["query"] and request["path"].startswith(f"/api/rest/v2/{endpoint}")
    ]


def assert_one_an_interval(times: list[float]) -> None:
    """Of several; however late the machine is, it is never too early."""
    assert len(times) > 3
    assert_apart(times)


def assert_apart(times: list[float]) -> None:
    assert all(after - before >= INTERVAL * 0.99 for before, after in pairwise(times)), times


@contextmanager
def opened(path: Path) -> Iterator[int]:
    handle = os.open(path, os.O_RDONLY)
    try:
        yield handle
    finally:
        os.close(handle)


def drained(handle: int) -> bytes:
    found = b""
    while part := os.read(handle, 1 << 16):
        found += part
    return found


def is_readable(handle: int, seconds: float) -> bool:
    waiting = select.poll()
    waiting.register(handle, select.POLLIN)
    return bool(waiting.poll(seconds * 1000))


# poll


@pytest.mark.promise("Waking")
def test_who_waits_in_poll_is_woken_by_what_is_added(begun: Run, live: Mounted) -> None:
    """By poll, select and epoll; nothing to read is not readable, what was not read yet is."""
    with opened(live / begun.folder / "output.txt") as handle, select.epoll() as ready:
        ready.register(handle, select.EPOLLIN)
        assert is_readable(handle, 0)
        assert drained(handle) == b"begun\n"
        assert not is_readable(handle, 0)
        begun.say("more\n")
        assert is_readable(handle, PATIENCE)
        assert is_readable(handle, 0)
        assert drained(handle) == b"more\n"
        begun.say("and more\n")
        assert select.select([handle], [], [], PATIENCE)[0] == [handle]
        assert drained(handle) == b"and more\n"
        ready.poll(0)
        begun.say("the last\n")
        assert ready.poll(PATIENCE) == [(handle, select.EPOLLIN)]
        assert drained(handle) == b"the last\n"


def test_all_who_wait_for_one_file_are_woken(begun: Run, live: Mounted) -> None:
    """Several programs, and a second handle of one."""
    path = live / begun.folder / "output.txt"
    wait = "import os, select, sys; f = open(sys.argv[1], 'rb'); f.read(); p = select.poll(); p.register(f, 1)\n"
    wait += "print('waits', flush=True); p.poll(); print(f.read())"
    command = ["python3", "-c", wait, str(path)]
    programs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    try:
        for program in programs:
            assert program.stdout is not None
            assert program.stdout.readline() == "waits\n"
        begun.say("more\n")
        assert [program.communicate(timeout=PATIENCE)[0] for program in programs] == ["b'more\\n'\n"] * 3
    finally:
        for program in programs:
            program.kill()
            program.communicate()


def test_who_waits_in_poll_costs_one_call_an_interval_and_nothing_when_he_has_closed(
    begun: Run, live: Mounted, clock: Clock
) -> None:
    """Nor when he has stopped to wait, with the file still open."""
    with opened(live / begun.folder / "output.txt") as handle:
        drained(handle)
        waiting = threading.Thread(target=lambda: select.select([handle], [], [], PATIENCE))
        waiting.start()
        await_that(lambda: len(asked(begun, OUTPUT)) > 5, "nobody looks")
        assert_one_an_interval(asked(begun, OUTPUT))
        begun.say("more\n")
        waiting.join(PATIENCE)
        drained(handle)
        assert not is_readable(handle, 0.01)
        clock.pass_intervals()  # the last look for him ends
        before = asked(begun)
        clock.pass_intervals()
        assert asked(begun) == before
        enough = threading.Event()

        def wait() -> None:
            """Again and again: who waits in select holds the file open, whoever closes it."""
            while not enough.is_set():
                select.select([handle], [], [], INTERVAL)

        waiting = threading.Thread(target=wait)
        waiting.start()
        looks = len(asked(begun, OUTPUT))
        await_that(lambda: len(asked(begun, OUTPUT)) > looks + 1, "nobody looks")
        enough.set()
        waiting.join(PATIENCE)
    clock.pass_intervals()
    before = asked(begun)
    clock.pass_intervals()
    assert asked(begun) == before


# Calls


@pytest.mark.promise("Nobody looks")
def test_a_file_that_nobody_looks_at_costs_nothing(begun: Run, live: Mounted, clock: Clock) -> None:
    """Open or not, read before or not."""
    path = live / begun.folder / "output.txt"
    path.read_bytes()
    before = asked(begun)
    clock.pass_intervals()
    assert asked(begun) == before
    with opened(path) as handle:
        drained(handle)
        before = asked(begun)
        clock.pass_intervals()
        assert asked(begun) == before


@pytest.mark.parametrize("tails", [1, 2])
def test_tails_of_a_file_cost_one_call_an_interval(begun: Run, live: Mounted, tmp_path: Path, tails: int) -> None:
    """As many as they are; and none when they have gone."""
    path = live / begun.folder / "output.txt"
    with following(tmp_path, *tail(path)) as one, following(tmp_path, *tail(path), *[path] * (tails - 1)):
        await_that(lambda: len(asked(begun, OUTPUT)) > 4, "nobody looks")
        begun.say("more\n")
        one.await_said(b"begun\nmore\n")
        await_that(lambda: len(asked(begun, OUTPUT)) > 8, "nobody looks")
        assert_one_an_interval(asked(begun, OUTPUT))
        assert asked(begun, OUTPUT) == asked(begun), "something else was asked"


def test_who_follows_a_run_that_was_deleted_asks_no_more(live_comet: Comet, tmp_path: Path) -> None:
    """Once its project does not list it, and Comet knows nothing of it: it will not grow. Another one goes on."""
    run, other = (Run(live_comet, os.urandom(16).hex(), name, project="deleted").begin() for name in ("run", "other"))
    run.say("begun\n")
    other.say("begun\n")
    with running_mount(tmp_path, live_comet, *LIVE, program=HASTY) as mounted:
        paths = [mounted / one.folder / "output.txt" for one in (run, other)]
        with following(tmp_path, *tail(paths[0])) as gone, following(tmp_path, *tail(paths[1])) as there:
            gone.await_said(b"begun\n")
            there.await_said(b"begun\n")
            run.delete()
            listed = asked_of(mounted, "/experiments")
            await_that(lambda: asked_of(mounted, "/experiments") >= listed + 3, "the project is not listed")
            before = len(asked(run, OUTPUT))
            ticks = len(asked(other, OUTPUT))
            await_that(lambda: len(asked(other, OUTPUT)) >= ticks + 10, "the other run is not followed")
            assert len(asked(run, OUTPUT)) <= before + 1
            assert (gone.said, gone.complaint, gone.process.poll()) == (b"begun\n", "", None)


def test_tails_of_several_runs_fetch_nothing_ahead(runs: Iterator[Run], live: Mounted, tmp_path: Path) -> None:
    """To open neighbours one by one is a walk through their project; to look at them again and again is none."""
    followed = [next(runs) for _ in range(4)]
    for run in followed:
        run.say("begun\n")
    with following(tmp_path, "tail", "-s", "0.1", "-f", *(live / run.folder / "output.txt" for run in followed)):
        await_that(lambda: all(len(asked(run, OUTPUT)) > 2 for run in followed), "nobody looks")
        rest = [next(runs) for _ in range(8)]
        before = [len(asked(run)) for run in rest]
        await_that(lambda: all(len(asked(run, OUTPUT)) > 8 for run in followed), "nobody looks")
    assert [len(asked(run)) for run in rest] == before
    for run in followed:
        assert_one_an_interval(asked(run, OUTPUT))


def test_tails_of_all_metrics_of_a_run_cost_one_call_an_interval(run: Run, live: Mounted, tmp_path: Path) -> None:
    """After the first two, all of them come in one answer."""
    for name in ("a", "b", "c"):
        run.point(name, 1, 0.5)
    paths = [live / run.folder / f"metrics/{name}.csv" for name in ("a", "b", "c")]
    with following(tmp_path, "tail", "-n", "+1", "-s", "0.1", "-f", *paths) as follower:
        await_that(lambda: len(asked(run, "experiment/metrics/get-all")) > 4, "nobody looks")
        run.point("b", 2, 0.25)
        follower.await_said(lambda said: said.endswith(b",0.25\n"))
    assert_one_an_interval(asked(run, "experiment/metrics/get-all"))
    assert len(asked(run, "experiment/metrics/get-metric")) <= 2
    assert follower.complaint == ""


# Mounts


def test_a_writable_mount_follows_too(begun: Run, tmp_path: Path) -> None:
    """Every read expires the kernel's attributes there: many more looks, no more calls."""
    with running_mount(tmp_path, begun.comet, "--rw", *LIVE) as mounted:
        path = mounted / begun.folder / "output.txt"
        with following(tmp_path, *tail(path)) as by_handle, following(tmp_path, *tail(path, "-F")) as by_name:
            by_handle.await_said(b"begun\n")
            (mounted / ".cometfs/store/key").write_text("value")
            with opened(path) as handle:
                drained(handle)
                begun.say("more\n")
                assert is_readable(handle, PATIENCE)
                assert drained(handle) == b"more\n"
            for follower in (by_handle, by_name):
                follower.await_said(b"begun\nmore\n")
                assert follower.complaint == ""
            await_that(lambda: len(asked(begun, OUTPUT)) > 6, "nobody looks")
            assert_one_an_interval(asked(begun, OUTPUT))
        assert mounted.log.read_text() == ""


def test_a_mount_ends_while_its_files_are_followed(begun: Run, tmp_path: Path) -> None:
    """Soon, quietly, and with nothing left mounted; who waits in poll is told."""
    with running_mount(tmp_path, begun.comet, *LIVE) as mounted:
        path = mounted / begun.folder / "output.txt"
        # A handle on what is not there any more is closed with an error.
        with following(tmp_path, *tail(path)) as follower, suppress(OSError), opened(path) as handle:
            follower.await_said(b"begun\n")
            drained(handle)
            waiting = threading.Thread(target=lambda: select.select([handle], [], []))
            waiting.start()
            before = len(asked(begun, OUTPUT))
            await_that(lambda: len(asked(begun, OUTPUT)) > before + 1, "nobody looks")
            assert mounted.stop() == 0
            assert not is_mounted(mounted.path)
            waiting.join(PATIENCE)
            assert not waiting.is_alive()
        assert mounted.log.read_text() == ""


def test_thousands_of_handles_cost_no_more_than_one(begun: Run, live: Mounted, tmp_path: Path) -> None:
    """And grow all at once; a program that forks shares its own."""
    path = live / begun.folder / "output.txt"
    with ExitStack() as stack:
        handles = [stack.enter_context(opened(path)) for _ in range(2000)]
        assert {os.pread(handle, 99, 0) for handle in handles} == {b"begun\n"}
        begun.say("more\n")
        await_that(lambda: os.fstat(handles[0]).st_size == 11, "nothing was added")
        assert {os.pread(handle, 99, 0) for handle in handles} == {b"begun\nmore\n"}
        child = subprocess.run(["cat"], stdin=handles[0], capture_output=True, timeout=PATIENCE, check=True)
        assert child.stdout == b"begun\nmore\n"
        assert os.read(handles[0], 99) == b""
        assert_apart(asked(begun, OUTPUT))
