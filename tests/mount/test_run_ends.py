"""The end of a run, as seen by who follows its files: it is learned of, nothing is missed, and the calls stop."""

from __future__ import annotations

import mmap
import os
import secrets
import select
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.edited_comet import HASTY
from tests.support.live_runs import ALIVE, LIVE, Run, following, tail
from tests.support.processes import PATIENCE, Comet, Mounted, running_comet, running_mount
from tests.support.subprocesses import await_that


@pytest.fixture
def run(live_comet: Comet) -> Run:
    found = Run(live_comet, secrets.token_hex(16), project=f"ends-{secrets.token_hex(4)}").begin()
    found.say("begun\n")
    return found


@pytest.fixture
def hasty(run: Run, tmp_path: Path) -> Iterator[Mounted]:
    """A mount that looks at listings once a second, and so learns of the end."""
    with running_mount(tmp_path, run.comet, *LIVE, program=HASTY) as mounted:
        yield mounted
        assert mounted.log.read_text() == ""


def asked(run: Run) -> int:
    return sum(run.key in request["query"] and "/rest/v2/" in request["path"] for request in run.comet.requests())


@pytest.mark.promise("Following")
def test_who_follows_sees_the_last_line_and_costs_nothing_after_it(run: Run, hasty: Mounted, tmp_path: Path) -> None:
    """Who waits in poll is told; and what has ended can be mapped."""
    path = hasty / run.folder / "output.txt"
    with following(tmp_path, *tail(path)) as by_handle, following(tmp_path, *tail(path, "-F")) as by_name:
        handle = os.open(path, os.O_RDONLY)
        assert os.read(handle, 99) == b"begun\n"
        run.say("the last line\n")
        assert select.select([handle], [], [], PATIENCE)[0]
        assert os.read(handle, 99) == b"the last line\n"
        waiting = threading.Thread(target=lambda: select.select([handle], [], [], PATIENCE))
        waiting.start()
        run.end()
        waiting.join()
        assert select.select([handle], [], [], 0)[0], "it was not told of the end"
        assert os.read(handle, 99) == b""
        for follower in (by_handle, by_name):
            follower.await_said(run.output.encode())
        other = Run(run.comet, secrets.token_hex(16), "other", project=run.project).begin()
        other.say("tick\n")
        await_that((hasty / other.folder).exists, "the other run is not listed")
        with following(tmp_path, *tail(hasty / other.folder / "output.txt")):
            await_that(lambda: asked(other) > 4, "nobody looks")
            before = asked(run)
            await_that(lambda: asked(other) > 12, "nobody looks")
            assert asked(run) == before
        os.close(handle)
        assert by_handle.complaint == by_name.complaint == ""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
        assert view[:] == run.output.encode()


@pytest.mark.promise("Following")
@pytest.mark.parametrize("latency", ["0", "150"])
@pytest.mark.parametrize("ways", [["-f", "-F"], ["-f"]], ids=["by handle and by name", "by handle alone"])
def test_a_run_that_is_taken_up_again_is_followed_on(tmp_path: Path, latency: str, ways: list[str]) -> None:
    """By name as by handle, in the same inode, by who was there at the end or came after it: nothing is printed twice.

    Where answers take their time, the new lines come before it is known that the run goes on.
    """
    runs = tmp_path / "runs"
    runs.mkdir()
    with ExitStack() as stack:
        comet = stack.enter_context(running_comet(tmp_path, *ALIVE, "--latency", latency, archives=runs))
        run = Run(comet, secrets.token_hex(16)).begin()
        run.say("begun\n")
        mounted = stack.enter_context(running_mount(tmp_path, comet, *LIVE, program=HASTY))
        path = mounted / run.folder / "output.txt"
        followers = [stack.enter_context(following(tmp_path, *tail(path, way))) for way in ways]
        for follower in followers:
            follower.await_said(b"begun\n")
        handle = os.open(path, os.O_RDONLY)
        os.read(handle, 99)
        run.end()
        assert select.select([handle], [], [], PATIENCE)[0]
        os.close(handle)
        late = stack.enter_context(following(tmp_path, *tail(path)))
        late.await_said(b"begun\n")
        run.resume()
        run.say("and on\n")
        for follower in (*followers, late):
            follower.await_said(run.output.encode())
            assert follower.complaint == ""
        assert mounted.log.read_text() == ""
