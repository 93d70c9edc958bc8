"""A server that goes away, stalls or refuses while a file of a running experiment is followed: nobody notices."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.edited_comet import HASTY
from tests.support.faulty_comet import Answer, Faults, faulty_comet
from tests.support.live_runs import ALIVE, LIVE, Follower, Run, following, tail
from tests.support.processes import PATIENCE, Comet, running_comet, running_mount
from tests.support.subprocesses import await_that

OUTPUT = "experiment/output"

DEADLINE = ("--deadline", "600")

EVERYTHING = ""
"""Part of every request."""

SHORT = ("--deadline", "8")
"""A wait for an answer that is over soon, so that several are in a test."""

SOON = 60.0
"""Seconds within which a look is over: far more than the grace, far less than the deadline."""


@contextmanager
def looking(path: Path) -> Iterator[list[float]]:
    """Somebody who has a file open looks at it all the time; the seconds that each look took."""
    looks: list[float] = []
    ended = threading.Event()

    def look(handle: int) -> None:
        while not ended.wait(0.02):
            began = time.monotonic()
            os.fstat(handle)
            os.pread(handle, 100, 1 << 30)
            looks.append(time.monotonic() - began)

    handle = os.open(path, os.O_RDONLY)
    thread = threading.Thread(target=look, args=(handle,))
    thread.start()
    try:
        yield looks
    finally:
        ended.set()
        thread.join(PATIENCE)
        os.close(handle)


@contextmanager
def opening(path: Path) -> Iterator[list[bytes]]:
    """Somebody opens a file by its name all the time; what he found each time."""
    found: list[bytes] = []
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(0.02):
            with path.open("rb") as file:
                found.append(file.read())

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield found
    finally:
        ended.set()
        thread.join(PATIENCE)


def go_on(looks: list[float]) -> None:
    """Returns when several more looks are over."""
    before = len(looks)
    await_that(lambda: len(looks) > before + 20, "a look does not end")


def assert_undisturbed(follower: Follower, looks: list[float]) -> None:
    assert (follower.process.poll(), follower.complaint) == (None, "")
    assert max(looks) < SOON


@pytest.mark.promise("Without the server")
def test_a_server_that_dies_and_comes_back_is_not_noticed(tmp_path: Path) -> None:
    """What is added while it was away comes once; what was never read is an error as long as it is away."""
    archives = tmp_path / "archives"
    archives.mkdir()
    with running_comet(tmp_path, *ALIVE, archives=archives) as first:
        run, other = Run(first, "1" * 32, "one").begin(), Run(first, "2" * 32, "two").begin()
        run.say("before\n")
        with running_mount(tmp_path, first, *LIVE, *DEADLINE) as mounted:
            path, unread = mounted / run.folder / "output.txt", mounted / other.folder / "code.py"
            unread.parent.stat()
            with following(tmp_path, *tail(path)) as follower, looking(path) as looks:
                follower.await_said(b"before\n")
                first.process.kill()
                first.process.wait(PATIENCE)
                go_on(looks)
                with pytest.raises(OSError, match=os.strerror(errno.ENETUNREACH)):
                    unread.read_bytes()
                assert_undisturbed(follower, looks)
                bind = first.url.removeprefix("http://")
                with running_comet(tmp_path, *ALIVE, "--bind", bind, archives=archives):
                    run.say("after\n")
                    follower.await_said(b"before\nafter\n")
                    assert_undisturbed(follower, looks)
            lines = mounted.log.read_text().splitlines()
            said = [line for line in lines if "Comet cannot be reached" not in line]
            assert len(said) in (len(lines), len(lines) - 1)
            assert said
            assert all("code" in line for line in said), "it complained of more than the file that was not to be had"


FAULTS = {
    "fails": Answer(500),
    "refuses": Answer(429, headers=(("Retry-After", "2"),)),
    "talks nonsense": Answer(200, b"<html>", "text/html"),
    "knows of nothing": Answer(400),
    "stalls": None,
}


@pytest.mark.promise("Without the server")
def test_a_server_in_trouble_is_not_noticed(tmp_path: Path, live_comet: Comet) -> None:
    """Until it answers again; one trouble after the other."""
    run = Run(live_comet, os.urandom(16).hex(), "run", project="away").begin()
    run.say("before\n")
    with faulty_comet(live_comet) as (comet, faults), running_mount(tmp_path, comet, *LIVE, *DEADLINE) as mounted:
        path = mounted / run.folder / "output.txt"
        with following(tmp_path, *tail(path)) as follower, looking(path) as looks:
            follower.await_said(run.output.encode())
            for name, fault in FAULTS.items():
                before = run.output.encode()
                declare(faults, fault)
                await_one_more(faults)
                run.say(f"while it {name}\n")
                go_on(looks)
                assert follower.said == before
                assert_undisturbed(follower, looks)
                faults.release()
                faults.answers.clear()
                follower.await_said(run.output.encode())
            assert_undisturbed(follower, looks)
        # What stalled breaks in the end.
        assert all("Comet cannot be reached" in line for line in mounted.log.read_text().splitlines())


@pytest.mark.promise("Without the server")
def test_who_goes_back_to_the_name_does_not_notice_either(tmp_path: Path, live_comet: Comet) -> None:
    """`tail -F` takes what it cannot open, or find, for another file, and would print all of it a second time."""
    run = Run(live_comet, os.urandom(16).hex(), "run", project="names").begin()
    run.say("before\n")
    run.point("loss", 1, 0.5)
    with (
        faulty_comet(live_comet) as (comet, faults),
        running_mount(tmp_path, comet, *LIVE, *SHORT, program=HASTY) as mounted,
    ):
        path, metric = mounted / run.folder / "output.txt", mounted / run.folder / "metrics" / "loss.csv"
        with (
            following(tmp_path, *tail(path, "-F")) as follower,
            following(tmp_path, *tail(metric, "-F")) as other,
            opening(path) as opened,
        ):
            follower.await_said(run.output.encode())
            other.await_said(lambda said: said.count(b"\n") == 2)
            for fault in (FAULTS["fails"], FAULTS["refuses"], FAULTS["talks nonsense"]):
                declare(faults, fault, EVERYTHING)
                await_one_more(faults, "rest/v2/projects?")
                before = len(opened)
                await_that(lambda before=before: len(opened) > before + 1, "it cannot be opened")  # type: ignore[misc]
                faults.answers.clear()
            run.say("after\n")
            run.point("loss", 2, 0.25)
            follower.await_said(b"before\nafter\n")
            other.await_said(lambda said: said.count(b"\n") == 3)
            assert (follower.complaint, other.complaint) == ("", "")
            assert {b"before\n"} <= set(opened) <= {b"before\n", b"before\nafter\n"}
        assert mounted.log.read_text() == ""


def test_a_listing_that_stalls_keeps_nothing_from_who_follows(tmp_path: Path, live_comet: Comet) -> None:
    """What is added is shown, though nobody can tell whether the run goes on."""
    run = Run(live_comet, os.urandom(16).hex(), "run", project="listed").begin()
    run.say("before\n")
    with (
        faulty_comet(live_comet) as (comet, faults),
        running_mount(tmp_path, comet, *LIVE, *DEADLINE, program=HASTY) as mounted,
    ):
        path = mounted / run.folder / "output.txt"
        with following(tmp_path, *tail(path)) as follower, looking(path) as looks:
            follower.await_said(run.output.encode())
            faults.stall("rest/v2/experiments?")
            await_one_more(faults, "rest/v2/experiments?")
            for line in ("one\n", "two\n", "three\n"):
                run.say(line)
                follower.await_said(run.output.encode())
            assert_undisturbed(follower, looks)
            faults.release()
        assert mounted.log.read_text() == ""


def declare(faults: Faults, fault: Answer | None, endpoint: str = OUTPUT) -> None:
    if fault is None:
        faults.stall(endpoint)
    else:
        faults.answers[endpoint] = fault


def await_one_more(faults: Faults, part: str = OUTPUT) -> None:
    """Returns when the trouble has been met."""
    known = list(faults.arrivals)
    faults.await_arrivals(part, sum(part in target for target in known) + 1)
