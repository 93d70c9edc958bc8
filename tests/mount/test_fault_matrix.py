"""The matrix of faults: for each an errno and a sentence, no wrong byte, nothing held, recovery.

One pair of mounts meets all of support/fault_rows.py at the same time, then support/fault_scenarios.py one by one. Not
here: single faults in all their circumstances (test_faults.py, test_wrong_bodies.py, test_outage.py).
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.fault_matrix import KEY, Outcome, Stage, gauges, named, others_open, path_of, run_rows, staged
from tests.support.fault_rows import LISTING, Case, rows
from tests.support.fault_scenarios import run_scenarios, scenarios
from tests.support.processes import running_mount
from tests.support.subprocesses import await_that

ROWS = {row.project: row for row in rows()}

SCENARIOS = {case.project: case for case in scenarios()}

BOUND = 200 << 20
"""Bytes of memory that a daemon takes at most, whatever is sent: an answer of 64 MiB is one of those."""

CALLS = 12
"""Requests for the same thing until a program has its error: four tries, for a listing two of its first page, too; each
is made twice where it went over a connection that was used before and breaks."""

LAZY = 8
"""Descriptors of a database that is opened when it is first needed."""


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with staged(tmp_path_factory.mktemp("matrix"), [*ROWS.values(), *SCENARIOS.values()]) as found:
        yield found


@pytest.fixture(scope="module")
def before(stage: Stage) -> list[dict[str, int]]:
    """The gauges of both mounts, of which nothing was read yet."""
    return [gauges(mounted) | {"others": others_open(mounted)} for mounted in stage.mounts]


@pytest.fixture(scope="module")
def outcomes(stage: Stage, before: list[dict[str, int]]) -> dict[Case, Outcome]:
    return run_rows(stage, list(ROWS.values()))


@pytest.fixture(scope="module")
def outcomes_of_scenarios(stage: Stage, outcomes: dict[Case, Outcome]) -> dict[Case, Outcome]:
    return run_scenarios(stage, list(SCENARIOS.values()))


def assert_met(outcome: Outcome) -> None:
    case = outcome.case
    assert named(outcome.got) == named(case.expected), outcome.says
    assert outcome.amiss == []
    assert re.search(case.says, outcome.says), outcome.says
    assert not case.expected or outcome.says.startswith(errno.errorcode[case.expected])


@pytest.mark.parametrize("name", ROWS)
def test_a_fault_costs_what_it_meets_until_it_ends(name: str, outcomes: dict[Case, Outcome]) -> None:
    """The errno says what is the matter, the log says it in a sentence; neighbours are right; so is all afterwards."""
    outcome = outcomes[ROWS[name]]
    assert_met(outcome)
    assert 1 <= outcome.calls <= CALLS
    assert outcome.peak is None or outcome.peak < BOUND


@pytest.mark.parametrize("name", SCENARIOS)
def test_what_a_server_and_a_machine_go_through(name: str, outcomes_of_scenarios: dict[Case, Outcome]) -> None:
    """The same; what was read before is read all the while."""
    assert_met(outcomes_of_scenarios[SCENARIOS[name]])


def test_no_other_host_sees_the_key(stage: Stage, outcomes: dict[Case, Outcome]) -> None:
    """Downloads are redirected to one; what is posted and asked there has no trace of the key."""
    assert outcomes
    assert stage.canary.seen
    assert not [request for request in stage.canary.seen if KEY in f"{request.target} {request.headers}"]
    assert KEY in stage.proxy.seen[0].headers.values()


def test_nothing_is_held_afterwards(
    stage: Stage, before: list[dict[str, int]], outcomes_of_scenarios: dict[Case, Outcome]
) -> None:
    """All gauges are what they were; descriptors but those of connections, too."""
    assert outcomes_of_scenarios
    for mounted, first in zip(stage.mounts, before, strict=True):
        names = ("loads", "open_directories", "open_files", "requests", "tasks")
        await_that(lambda: all(gauges(mounted)[name] <= first[name] for name in names), f"more than {first}")  # noqa: B023
        assert others_open(mounted) <= first["others"] + LAZY


def test_no_traceback_was_logged_and_both_mounts_go_on(
    stage: Stage, outcomes_of_scenarios: dict[Case, Outcome]
) -> None:
    assert outcomes_of_scenarios
    for mounted in stage.mounts:
        assert mounted.process.poll() is None
        assert "Traceback" not in mounted.log.read_text()
        assert KEY not in mounted.log.read_text()


def test_what_is_kept_on_disk_is_right(stage: Stage, outcomes: dict[Case, Outcome], tmp_path: Path) -> None:
    """After a remount: the files that the faults were about."""
    assert outcomes
    for mounted in stage.mounts:
        assert mounted.stop() == 0
        read = [outcome.case for outcome in outcomes.values() if stage.mount(outcome.case) is mounted]
        cache = str(mounted.path.parent / "cache")
        folder = tmp_path / mounted.path.parent.name
        folder.mkdir()
        with running_mount(folder, mounted.comet, COMET_API_KEY=KEY, XDG_CACHE_HOME=cache) as again:
            for case in read:
                if case.place != LISTING:
                    victim, _ = stage.subjects(case.project)
                    path = path_of(case, victim)
                    assert (again / path).read_bytes() == victim.files()[path]
