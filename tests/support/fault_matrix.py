"""Runs the rows of the matrix of faults against a mount, and says what programs got, in how long, by how many calls.

A few mounts serve all rows; each row has a project of its own, so that they run at the same time. Not here: the rows
(fault_rows.py), faults of a whole server (fault_scenarios.py), the page of the manual (scripts/reliability).
"""

from __future__ import annotations

import json
import os
import re
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from urllib.parse import quote

from tests.support.fault_kinds import HTML, PAGE, instead
from tests.support.fault_proxy import FaultProxy, Request, fault_proxy
from tests.support.fault_rows import ASSET, FILE, LISTING, RIGHT, Case, Row
from tests.support.fault_world import NEIGHBOUR, VICTIM, WORKSPACE, Subject, subjects_of, write_world
from tests.support.processes import PATIENCE, Comet, Mounted, running_comet, running_mount

ABREAST = 16

NEVER, SHORT = "600", "4"
"""Deadlines: one that no case waits out, one for what is silent."""

KEY = "canary-key-0123456789"
"""That no other host may see."""

LOOK = 10.0
"""Seconds for a line to come into the log of a mount, which is made anew each second."""

CONTROL = "-control"
"""Behind the name of a project whose listing must not be met."""

FILES = {FILE: "params.json", ASSET: "assets/table.csv"}

ENDPOINTS = {LISTING: "experiments", FILE: "experiment/parameters", ASSET: "experiment/asset/get-asset"}


@dataclass
class Outcome:
    """What came of a row."""

    case: Case
    got: int | None = None
    """An errno, RIGHT, or None for bytes that are not true."""
    seconds: float = 0.0
    calls: int = 0
    says: str = ""
    """The sentence in the log."""
    recovered: float = 0.0
    """Seconds after the end of the fault until the bytes were right."""
    peak: int | None = None
    """Bytes of memory, at most, where that was measured."""
    amiss: list[str] = field(default_factory=list)
    """What else was wrong: with neighbours, or afterwards."""


@dataclass(frozen=True)
class Stage:
    """A Comet, the proxy before it, and two mounts: one with patience, one for what is silent."""

    folder: Path
    proxy: FaultProxy
    canary: FaultProxy
    """Another host."""
    patient: Mounted
    hasty: Mounted
    ids: dict[str, str]
    """Of projects."""
    numbers: dict[str, int]

    @property
    def mounts(self) -> tuple[Mounted, Mounted]:
        return self.patient, self.hasty

    def mount(self, case: Case) -> Mounted:
        return self.hasty if isinstance(case, Row) and case.silent else self.patient

    def subjects(self, project: str) -> tuple[Subject, Subject]:
        return subjects_of(self.numbers[project], project)


@contextmanager
def staged(folder: Path, cases: Sequence[Case]) -> Iterator[Stage]:
    projects = [case.project for case in cases]
    projects += [case.project + CONTROL for case in cases if case.place == LISTING]
    write_world(folder / "archives", projects)
    with ExitStack() as stack:
        comet = stack.enter_context(running_comet(folder, archives=folder / "archives"))
        proxy = stack.enter_context(fault_proxy(comet.url))
        canary = stack.enter_context(fault_proxy(comet.url))
        canary.declare("all", lambda _: True, instead(PAGE, 200, *HTML))
        proxy.elsewhere = f"{canary.url}/elsewhere"
        before = replace(comet, url=proxy.url)

        def mounted(name: str, deadline: str) -> Mounted:
            (folder / name).mkdir()
            mount = running_mount(folder / name, before, "--deadline", deadline, COMET_API_KEY=KEY)
            return stack.enter_context(mount)

        numbers = {project: number for number, project in enumerate(projects)}
        yield Stage(folder, proxy, canary, mounted("patient", NEVER), mounted("hasty", SHORT), _ids(comet), numbers)


def _ids(comet: Comet) -> dict[str, str]:
    request = urllib.request.Request(f"{comet.url}/api/rest/v2/projects?workspaceName={quote(WORKSPACE)}")
    request.add_header("Authorization", "any")
    with urllib.request.urlopen(request, timeout=PATIENCE) as reply:
        return {row["projectName"]: row["projectId"] for row in json.load(reply)["projects"]}


# One row


def run_row(stage: Stage, row: Row) -> Outcome:
    outcome = Outcome(row)
    victim, neighbour = stage.subjects(row.project)
    place = stage.mount(row).path
    read = partial(_read, place, row, victim)
    if row.place != LISTING:
        os.listdir(place / victim.folder)  # noqa: PTH208
    if row.alone:
        forget_peak(stage.mount(row))
    stage.proxy.declare(row.project, partial(_is_met, stage, row, victim), row.fault)
    try:
        began = time.monotonic()
        outcome.got = result(read)
        outcome.seconds = time.monotonic() - began
        outcome.calls = stage.proxy.met(row.project)
        outcome.says = sentence(stage.mount(row), path_of(row, victim), outcome.got)
        outcome.peak = peak_of(stage.mount(row)) if row.alone else None
        outcome.amiss += _others(place, row, victim, neighbour, stage)
    finally:
        stage.proxy.clear(row.project)
    outcome.recovered = recovery(read, outcome)
    return outcome


def path_of(row: Case, subject: Subject) -> str:
    """What is read, below the mount."""
    return f"{WORKSPACE}/{subject.project}" if row.place == LISTING else f"{subject.folder}/{FILES[row.place]}"


def _is_met(stage: Stage, row: Row, victim: Subject, request: Request) -> bool:
    if request.endpoint != ENDPOINTS[row.place]:
        return False
    if row.place == LISTING:
        return request.query.get("projectId") == stage.ids[row.project]
    return request.query.get("experimentKey") == victim.key


def _read(place: Path, row: Row, subject: Subject) -> bool:
    """Whether what is there is true. Raises OSError."""
    if row.place == LISTING:
        return {VICTIM, NEIGHBOUR} <= set(os.listdir(place / WORKSPACE / subject.project))  # noqa: PTH208
    return _is_right(place, subject, FILES[row.place])


def _is_right(place: Path, subject: Subject, name: str) -> bool:
    path = f"{subject.folder}/{name}"
    return (place / path).read_bytes() == subject.files()[path]


def result(read: Callable[[], bool]) -> int | None:
    try:
        return RIGHT if read() else None
    except OSError as error:
        return error.errno


def _others(place: Path, row: Row, victim: Subject, neighbour: Subject, stage: Stage) -> list[str]:
    """What the fault cost beyond what it met."""
    if row.place == LISTING:
        control = replace(victim, project=row.project + CONTROL)
        looks = {"another project": partial(_read, place, row, control)}
    else:
        looks = {
            "the same file of a neighbour": partial(_is_right, place, neighbour, FILES[row.place]),
            "another file": partial(_is_right, place, victim, "output.txt"),
        }
    found = {name: result(look) for name, look in looks.items()}
    return [f"{name}: {named(got)}" for name, got in found.items() if got != RIGHT]


def recovery(read: Callable[[], bool], outcome: Outcome) -> float:
    began = time.monotonic()
    while (got := result(read)) != RIGHT:
        waited = time.monotonic() - began
        if got is None or waited > PATIENCE:
            outcome.amiss.append(f"afterwards: {named(got)} for {waited:.0f} s")
            return waited
        time.sleep(0.05)
    return time.monotonic() - began


def named(got: int | None) -> str:
    """An errno by its name."""
    return "OTHER BYTES" if got is None else "right" if got == RIGHT else os.strerror(got)


# All


def run_rows(stage: Stage, rows: Sequence[Row]) -> dict[Case, Outcome]:
    """All that may run at the same time, then the others."""
    with ThreadPoolExecutor(ABREAST) as abreast:
        together = sorted((row for row in rows if not row.alone), key=lambda row: not row.silent)  # those take longest
        found = list(abreast.map(partial(run_row, stage), together))
    found += [run_row(stage, row) for row in rows if row.alone]
    by_row = {outcome.case: outcome for outcome in found}
    return {row: by_row[row] for row in rows}


def sentence(mounted: Mounted, path: str, expected: int | None) -> str:
    """What the mount says of a path that could not be read: the last line of its log, without the time."""
    deadline = time.monotonic() + LOOK
    while expected and time.monotonic() < deadline:
        lines = (mounted / ".cometfs/errors.log").read_text().splitlines()
        found = [line.split("\t") for line in lines if f"\t{path}\t" in line]
        if found:
            _, errno_name, _, _, _, said = found[-1]
            return f"{errno_name}: {said}"
        time.sleep(0.1)
    return ""


# The daemon


def forget_peak(mounted: Mounted) -> None:
    """What memory it took so far does not count from now on."""
    Path(f"/proc/{mounted.process.pid}/clear_refs").write_text("5")


def peak_of(mounted: Mounted) -> int:
    """Bytes that it held at most."""
    status = Path(f"/proc/{mounted.process.pid}/status").read_text()
    (kilobytes,) = re.findall(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)
    return int(kilobytes) * 1024


def gauges(mounted: Mounted) -> dict[str, int]:
    found: dict[str, int] = json.loads((mounted.path / ".cometfs/status.json").read_bytes())["gauges"]
    return found


def others_open(mounted: Mounted) -> int:
    """Its descriptors that are no connections."""
    found = [os.readlink(path) for path in Path(f"/proc/{mounted.process.pid}/fd").iterdir()]  # noqa: PTH115
    return sum(not link.startswith("socket:") for link in found)
