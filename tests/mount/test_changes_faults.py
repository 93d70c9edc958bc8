"""Changes of experiments while Comet fails in the middle: the errno and what Comet has always agree."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.changed_experiments import OTHER, PROJECT, WORKSPACE, Experiments, changing_comet, errors_of, sh
from tests.support.faulty_comet import Answer, Faults, Layer, Pass, Request, faulty_comet
from tests.support.processes import Mounted, running_mount
from tests.support.subprocesses import await_that


class World(NamedTuple):
    experiments: Experiments
    mounted: Mounted
    faults: Faults

    @property
    def project(self) -> Path:
        return self.mounted / WORKSPACE / PROJECT

    def requests(self) -> int:
        """How many requests wait, that for this number included."""
        found: int = json.loads((self.mounted / ".cometfs/status.json").read_text())["gauges"]["requests"]
        return found

    def shown(self) -> Path:
        """The project, its listing asked for anew."""
        for path in (self.project.parent, self.project):
            path.touch()
        return self.project


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("faults")
    with changing_comet(folder) as comet, faulty_comet(comet) as (before, faults):
        experiments = Experiments(comet)
        with running_mount(folder, before, "--rw", "--deadline", "24") as mounted:
            yield World(experiments, mounted, faults)


@pytest.fixture
def world(running: World) -> Iterator[World]:
    yield running
    running.faults.release()
    running.faults.layers.clear()
    running.faults.released.clear()


def server_error() -> Answer:
    return Answer(500)


def cut() -> Answer:
    raise ConnectionAbortedError


def refused() -> Answer:
    return Answer(403)


def fault(part: str, fails: Callable[[], Answer], *, after: bool) -> Layer:
    """Requests with `part` in their target fail, `after` Comet has done what they ask for or before."""

    def layer(request: Request, behind: Pass) -> Answer:
        if part not in request.target:
            return behind(request)
        if after:
            behind(request)
        return fails()

    return layer


COMMANDS = {
    "name": "mv {0}-name {0}-new",
    "tags": "sed -i s/^/new-/ {0}-tags/tags.txt",
    "others": "sed -i s/1/2/ {0}-others/others.json",
    "archive": "mv {0}-archive archived/",
    "project": f"mv {{0}}-project ../{OTHER}/",
}
"""A change of each kind. Those by `mv` wait for one another in the kernel."""

FEW = ("name", "tags")
SOME = (*FEW, "others")


def prepared(world: World, name: str, kinds: Iterable[str]) -> dict[str, str]:
    """An experiment for each of some commands, by their kinds."""
    keys = {kind: world.experiments.make(f"{name}-{kind}", "old", value="1") for kind in kinds}
    shown = world.shown()
    for kind in keys:
        (shown / f"{name}-{kind}/others.json").read_text()
    return keys


def run_all(world: World, name: str, kinds: Iterable[str]) -> list[subprocess.CompletedProcess[str]]:
    """Some of the commands at once."""
    commands = [COMMANDS[kind].format(name) for kind in kinds]
    with ThreadPoolExecutor(len(commands)) as several:
        return list(several.map(lambda command: sh(command, world.project), commands))


def made(world: World, name: str, keys: dict[str, str]) -> list[bool]:
    """Whether Comet has what each of them changes."""
    experiments = world.experiments
    has: dict[str, Callable[[str], bool]] = {
        "name": lambda key: experiments.place(key)[0] == f"{name}-new",
        "tags": lambda key: experiments.tags(key) == ["new-old"],
        "others": lambda key: experiments.others(key)["value"] == "2",
        "archive": lambda key: experiments.place(key)[2],
        "project": lambda key: experiments.place(key)[1] == OTHER,
    }
    return [has[kind](key) for kind, key in keys.items()]


@pytest.mark.parametrize(("fails", "kinds"), [(server_error, COMMANDS), (cut, SOME), (None, FEW)])
def test_what_arrived_is_no_error(world: World, fails: Callable[[], Answer] | None, kinds: Collection[str]) -> None:
    """Comet fails, is cut off or falls silent after it has made the change: it is asked what it has."""
    name = f"arrived-{getattr(fails, '__name__', 'silent')}"
    keys = prepared(world, name, kinds)
    world.faults.layers.append(fault("/write/", fails or world.faults.never, after=True))
    done = run_all(world, name, kinds)
    assert [(one.returncode, one.stderr) for one in done] == [(0, "")] * len(kinds)
    assert made(world, name, keys) == [True] * len(kinds)
    assert (world.project / f"{name}-new/tags.txt").read_text() == "old\n"
    assert (world.project / f"{name}-tags/tags.txt").read_text() == "new-old\n"


@pytest.mark.parametrize(
    ("fails", "errno", "kinds"),
    [
        (server_error, "Remote I/O error", SOME),
        (cut, "Network is unreachable", FEW),
        (refused, "Permission denied", COMMANDS),
        (None, "Connection timed out", FEW),
    ],
)
def test_what_did_not_arrive_is_an_error_and_changes_nothing(
    world: World, fails: Callable[[], Answer] | None, errno: str, kinds: Collection[str]
) -> None:
    """The mount shows what Comet has, and the next change works."""
    name = f"lost-{getattr(fails, '__name__', 'silent')}"
    keys = prepared(world, name, kinds)
    world.faults.layers.append(fault("/write/", fails or world.faults.never, after=False))
    done = run_all(world, name, kinds)
    assert [errno in one.stderr for one in done] == [True] * len(kinds), [one.stderr for one in done]
    world.faults.release()
    world.faults.layers.clear()
    assert made(world, name, keys) == [False] * len(kinds)
    for kind in kinds:
        assert (world.project / f"{name}-{kind}/tags.txt").read_text() == "old\n"
        assert '"value": 1' in (world.project / f"{name}-{kind}/others.json").read_text()
    assert [(one.returncode, one.stderr) for one in run_all(world, name, kinds)] == [(0, "")] * len(kinds)
    assert made(world, name, keys) == [True] * len(kinds)


def test_what_is_half_made_is_taken_back(world: World) -> None:
    """Several changes of one command: those before the one that fails."""
    experiments = world.experiments
    key = experiments.make("half", "a", "b", lr="1", step="2")
    shown = world.shown()
    (shown / "half/others.json").read_text()
    other = experiments.others(key)
    seen: list[str] = []

    def second_change_fails(request: Request, behind: Pass) -> Answer:
        posted = request.posted or {}
        if request.endpoint == "write/experiment/log-other":
            seen.append(posted["key"])
        fails = "targetProjectName" in posted or posted.get("tags") == ["a"] or posted.get("key") == "step"
        return Answer(500) if fails else behind(request)

    world.faults.layers.append(second_change_fails)
    assert "Remote I/O error" in sh(f"mv half ../{OTHER}/whole", shown).stderr
    assert experiments.place(key) == ("half", PROJECT, False)
    assert "Remote I/O error" in sh("sed -i s/a/c/ half/tags.txt", shown).stderr
    assert experiments.tags(key) == ["a", "b"]
    assert "Remote I/O error" in sh("sed -i 's/1/11/; s/2/22/' half/others.json", shown).stderr
    assert (seen[0], seen[-1]) == ("Name", "lr")
    assert experiments.others(key) == other
    assert (shown / "half/tags.txt").read_text() == "a\nb\n"


def test_what_cannot_be_asked_is_said_to_be_unknown(world: World) -> None:
    """Comet makes the change and fails from then on."""
    key = world.experiments.make("unknown")
    shown = world.shown()
    (shown / "unknown/metadata.json").read_text()
    asked: list[str] = []

    def dies(request: Request, behind: Pass) -> Answer:
        if "/write/" in request.target and not asked:
            asked.append(request.target)
            behind(request)
        return Answer(500) if asked else behind(request)

    world.faults.layers.append(dies)
    assert "Remote I/O error" in sh("mv unknown known", shown).stderr
    assert "whether Comet has the name 'known'" in errors_of(world.mounted)[-1]
    world.faults.layers.clear()
    assert world.experiments.place(key)[0] == "known"
    world.shown()
    assert (shown / "known").exists()


def test_what_comet_takes_and_does_not_make_is_an_error(world: World) -> None:
    """An answer of 200 alone is no change: Comet is asked for it."""
    key = world.experiments.make("ignored", "a")
    shown = world.shown()
    world.faults.layers.append(fault("/write/", lambda: Answer(200, b'{"msg": "ok"}'), after=False))
    done = sh("sed -i s/a/b/ ignored/tags.txt", shown)
    assert "Resource temporarily unavailable" in done.stderr
    assert "does not show it" in errors_of(world.mounted)[-1]
    assert world.experiments.tags(key) == ["a"]
    assert (shown / "ignored/tags.txt").read_text() == "a\n"


def test_a_file_that_two_open_at_the_same_moment_is_closed(world: World) -> None:
    """Both wait for the same answer; when both have closed it, the next one that opens it gets what Comet has then."""
    key = world.experiments.make("same-moment", "a")
    path = world.shown() / "same-moment/tags.txt"
    assert path.read_text() == "a\n"
    path.touch()
    world.faults.arrivals.clear()
    world.faults.hold("experiment/tags?")
    with ThreadPoolExecutor(2) as two:
        writing = [two.submit(sh, f"echo {word} | tee -a same-moment/tags.txt", world.project) for word in "xy"]
        world.faults.await_arrivals("experiment/tags?")
        await_that(lambda: world.requests() >= 3, "the two do not wait")
        world.faults.release()
        assert [one.result().stderr for one in writing] == ["", ""]
    assert world.experiments.tags(key) == ["a", "x", "y"]
    world.experiments.tag(key, "outside")
    path.touch()
    assert path.read_text() == "a\noutside\nx\ny\n"
    assert sh("sed -i /x/d same-moment/tags.txt", world.project).stderr == ""
    assert sh("echo z | tee -a same-moment/tags.txt", world.project).stderr == ""
    assert world.experiments.tags(key) == ["a", "outside", "y", "z"]
    assert path.read_text() == "a\noutside\ny\nz\n"
