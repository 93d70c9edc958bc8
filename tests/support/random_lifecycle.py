"""What becomes of experiments at random: they begin, grow, are renamed, archived, moved, end, go on and are deleted.

Not here: what they log (random_logging.py).
"""

from __future__ import annotations

from collections.abc import Callable

from tests.support import random_logging
from tests.support.account_history import Experiment, Listed, Place
from tests.support.history import History
from tests.support.log_client import CLIENTLIB, REST, Scribe

PROJECTS = ("lab/digits", "lab/wine")
NAMES = ("alpha", "beta", "gamma", "réglage σ=0.5")
"""Few, so that one often takes over the name of another, and shares it."""

MOST = 10
"""Experiments at once."""


def set_out(scribe: Scribe) -> None:
    """The projects, and in each an experiment that stays and bears its name to the end."""
    for project in PROJECTS:
        for archived in (False, True):
            scribe.account.listings[Place(project, archived)] = History(Listed({}, {}))
    for number, project in enumerate(PROJECTS):
        one = create(scribe, project, f"always-{number}")
        one.never_moved, one.never_ends = True, number == 0
        random_logging.set_params(scribe, one, random_logging.LARGE)
        random_logging.print_lines(scribe, one, 600)
        random_logging.log_metric(scribe, one, random_logging.METRICS[0], 2000)
        random_logging.log_metric(scribe, one, random_logging.METRICS[1], 30)


def step(scribe: Scribe) -> None:
    """One thing happens, while the one that never ends talks on: who follows it sees it grow all the time."""
    random_logging.print_part(scribe, next(one for one in scribe.account.experiments.values() if one.never_ends))
    there = [one for one in scribe.account.experiments.values() if not one.gone]
    if len(there) < 3 or (len(there) < MOST and scribe.chance.random() < 0.05):
        create(scribe, scribe.chance.choice(PROJECTS), scribe.chance.choice((*NAMES, None)))
        return
    one = scribe.chance.choice(there)
    steps = _OF_RUNNING if one.state == "running" else _OF_ENDED
    kept = (_MOVING if one.never_moved else frozenset()) | (_ENDING if one.never_ends else frozenset())
    usual = {each: weight for each, weight in steps.items() if each not in kept}
    for chosen in scribe.chance.choices(list(usual), list(usual.values())) if usual else ():
        chosen(scribe, one)


def create(scribe: Scribe, project: str, name: str | None) -> Experiment:
    key = f"{scribe.chance.getrandbits(128):032x}"
    one = Experiment(key, Place(project), scribe.now())
    workspace, _, title = project.partition("/")
    start = {"experimentKey": key, "local_timestamp": one.start, "projectName": title, "teamName": workspace}
    scribe.account.experiments[key] = one
    scribe.do(f"create {key[:8]} in {project}", lambda: scribe.post(f"{CLIENTLIB}logger/add/run", **start))
    if name is not None:
        rename(scribe, one, name)
    return one


def rename(scribe: Scribe, one: Experiment, name: str | None = None) -> None:
    """It is called otherwise; what others are called may change by that, too.

    One that has ended never gets a name back: the mount tells by the row in the listing whether its answers still
    hold, and a row that is again what it was tells nothing.
    """
    name = name or scribe.chance.choice(NAMES)
    if one.state == "running":
        one.names.clear()
    elif name in one.names:
        return
    one.names.add(name)
    one.name = name
    random_logging.set_other_to(scribe, one, "Name", one.name)


def take_over(scribe: Scribe, one: Experiment) -> None:
    """It gets the name of another, which is called otherwise from then on."""
    others = [
        other for other in scribe.account.experiments.values() if other.place == one.place and other.name in NAMES
    ]
    for other in [other for other in others if not other.gone and other is not one][:1]:
        name = str(other.name)
        rename(scribe, other, f"{name} {scribe.count}")
        rename(scribe, one, name)


def end(scribe: Scribe, one: Experiment) -> None:
    _end(scribe, one, "finished")


def _end(scribe: Scribe, one: Experiment, state: str) -> None:
    one.state = state
    if one.ended_at is None:
        one.ended_at = one.files["output.txt"].now.size
    scribe.do(f"end {one.key[:8]}", lambda: scribe.status(one, False))


def crash(scribe: Scribe, one: Experiment) -> None:
    """It says itself that it failed, and ends."""
    scribe.do(f"fail {one.key[:8]}", lambda: scribe.log(one, "update-status", error="no memory", hasCrashed=True))
    _end(scribe, one, "crashed")


def resume(scribe: Scribe, one: Experiment) -> None:
    one.state = "running"
    before = {"previousExperiment": one.key}
    scribe.do(f"resume {one.key[:8]}", lambda: scribe.post(f"{CLIENTLIB}logger/get/run", **before))


def archive(scribe: Scribe, one: Experiment) -> None:
    """Archived, or taken back."""
    one.place = one.place._replace(archived=not one.place.archived)
    word = "archive" if one.place.archived else "restore"
    scribe.do(f"{word} {one.key[:8]}", lambda: scribe.get(f"write/experiment/{word}", experimentKey=one.key))


def move(scribe: Scribe, one: Experiment) -> None:
    """To another project."""
    project = scribe.chance.choice([project for project in PROJECTS if project != one.place.project])
    one.place = one.place._replace(project=project)
    workspace, _, title = project.partition("/")
    body = {"experimentKeys": [one.key], "targetProjectName": title, "targetWorkspaceName": workspace}
    scribe.do(f"move {one.key[:8]} to {project}", lambda: scribe.post(f"{REST}write/experiment/move", **body))


def delete(scribe: Scribe, one: Experiment) -> None:
    one.gone = True
    scribe.do(f"delete {one.key[:8]}", lambda: scribe.get("write/experiment/delete", experimentKey=one.key))


Step = Callable[[Scribe, Experiment], None]

_MOVING: frozenset[Step] = frozenset({rename, take_over, archive, move, delete})
_ENDING: frozenset[Step] = frozenset({end, crash})

_OF_ENDED: dict[Step, float] = {
    rename: 3,
    take_over: 4,
    resume: 2,
    archive: 2,
    move: 1,
    delete: 1,
}

_OF_RUNNING: dict[Step, float] = {
    random_logging.print_lines: 30,
    random_logging.print_part: 10,
    random_logging.log_metric: 20,
    random_logging.log_metric_late: 5,
    random_logging.set_params: 8,
    random_logging.set_other: 3,
    random_logging.tag: 3,
    random_logging.beat: 2,
    rename: 3,
    take_over: 4,
    end: 1.5,
    crash: 0.5,
    archive: 0.7,
    move: 0.3,
    delete: 0.3,
}
"""What happens, and how often."""
