"""A Comet that keeps only the end of a long output, while programs follow it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.comet_switches import KEPT, switched_comet
from tests.support.live_runs import LIVE, Run, following, tail
from tests.support.processes import Comet, running_mount

NAME = "output-loses-its-beginning"


def lines(first: int, last: int) -> str:
    return "".join(f"step {number} of a long run\n" for number in range(first, last))


@pytest.mark.promise("A beginning stays")
def test_a_file_that_is_followed_keeps_its_beginning(tmp_path: Path, live_comet: Comet) -> None:
    """Every line once, in the same inode, across the end of the run; a file that is opened anew has it all while the
    run goes on; the log has one line."""
    run = Run(live_comet, os.urandom(16).hex(), "run", project="cut").begin()
    run.say(lines(0, 50))
    with switched_comet(live_comet, NAME) as (before, _), running_mount(tmp_path, before, *LIVE) as mounted:
        path = mounted / run.folder / "output.txt"
        with following(tmp_path, *tail(path)) as by_handle, following(tmp_path, *tail(path, "-F")) as by_name:
            by_handle.await_said(run.output.encode())
            by_name.await_said(run.output.encode())
            number = path.stat().st_ino
            for first in range(50, 300, 50):
                run.say(lines(first, first + 50))
                by_handle.await_said(run.output.encode())
                by_name.await_said(run.output.encode())
                assert path.stat().st_ino == number
                assert path.read_text() == run.output
            assert len(run.output) > 3 * KEPT
            run.say("the last line\n")
            run.end()
            by_handle.await_said(run.output.encode())
            by_name.await_said(run.output.encode())
            assert (by_handle.complaint, by_name.complaint) == ("", "")
    (line,) = mounted.log.read_text().splitlines()
    assert f"Comet has cut the beginning of experiment/output of experiment {run.key}" in line
