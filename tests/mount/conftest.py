"""Fixtures of the mounted tier. Where /dev/fuse or fusermount3 is missing its tests are skipped, saying so."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.live_runs import ALIVE, LIVE, Run
from tests.support.processes import Comet, Mounted, running_comet, running_mount
from tests.support.spawning import guard_interpreter_lock
from tests.support.subprocesses import Stage, clean_up


def pytest_configure() -> None:
    guard_interpreter_lock()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    lacking = _lacking()
    for item in items:
        if lacking and Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.skip(reason=lacking))


def _lacking() -> str:
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return "no mounted test: /dev/fuse is missing or not accessible here"
    return "" if shutil.which("fusermount3") else "no mounted test: fusermount3 is not installed"


@pytest.fixture(scope="session")
def comet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Comet]:
    """The sample, served once for all tests."""
    with running_comet(tmp_path_factory.mktemp("comet")) as running:
        yield running


@pytest.fixture
def cold(tmp_path: Path, comet: Comet) -> Iterator[Mounted]:
    """A mount of the sample that nobody has looked at."""
    with running_mount(tmp_path, comet) as mounted:
        yield mounted
        assert mounted.log.read_text() == "", "the mount logged something that the test did not expect"


@pytest.fixture(scope="session")
def warm(tmp_path_factory: pytest.TempPathFactory, comet: Comet) -> Iterator[Mounted]:
    """A mount of the sample that tests share; for what does not depend on what was read before."""
    with running_mount(tmp_path_factory.mktemp("warm"), comet) as mounted:
        yield mounted
        assert mounted.log.read_text() == "", "the mount logged something that no test expected"


@pytest.fixture(scope="session")
def live_comet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Comet]:
    """A Comet that runs log to."""
    folder = tmp_path_factory.mktemp("live-comet")
    with running_comet(folder, *ALIVE, archives=folder) as running:
        yield running


@pytest.fixture(scope="session")
def runs(live_comet: Comet) -> Iterator[Run]:
    """Its runs, that nobody has looked at: as many as there are tests, for a new one would be listed after a minute."""
    return iter([Run(live_comet, f"{number:032x}", f"run-{number:03}").begin() for number in range(1, 41)])


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory, live_comet: Comet, runs: Iterator[Run]) -> Iterator[Mounted]:
    """A mount of it that tests share; each reads the files of its own runs."""
    assert runs
    with running_mount(tmp_path_factory.mktemp("live"), live_comet, *LIVE) as mounted:
        yield mounted
        assert mounted.log.read_text() == "", "the mount logged something that no test expected"


@pytest.fixture
def run(runs: Iterator[Run], live: Mounted) -> Run:
    """A run that `live` shows, of which nothing was logged yet."""
    assert live
    return next(runs)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """For commands as a user types them, at `mnt`; what is mounted there then is unmounted."""
    found = Stage(tmp_path)
    (tmp_path / "mnt").mkdir(exist_ok=True)
    yield found
    clean_up(found, tmp_path / "mnt")
