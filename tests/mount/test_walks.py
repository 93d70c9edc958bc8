"""What it costs to walk through a project: names, and no byte of what they name. Counted in the access log."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mount.test_calls import counted, run
from tests.support.processes import PATIENT, Comet, Mounted, running_comet, running_mount

PROJECT = "vision-lab/digits"
TIMES = 40
RUNS = 5 * TIMES


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Comet]:
    """The sample many times: 200 experiments in one project."""
    with running_comet(tmp_path_factory.mktemp("many"), "--replicate", str(TIMES)) as running:
        yield running


@pytest.fixture
def cold(tmp_path: Path, many: Comet) -> Iterator[Mounted]:
    """A mount of it where the workspace is known, and nothing below."""
    with running_mount(tmp_path, many, program=PATIENT) as mounted:
        run("ls", mounted / "vision-lab")
        yield mounted
        assert mounted.log.read_text() == "", "the mount logged something that the test did not expect"


LEVELS = (
    f"find {PROJECT} -maxdepth 2",
    f"find {PROJECT} -maxdepth 2 -name params.json",
    f"rg --files --hidden --max-depth 2 {PROJECT}",
    f"tree -a -L 2 {PROJECT}",
    f"ls -F --color=always {PROJECT} {PROJECT}/mlp-*",
)


@pytest.mark.parametrize("command", LEVELS, ids=[command.partition(" ")[0] for command in LEVELS])
def test_two_levels_cost_the_listing_and_the_names_of_charts_and_archived(command: str, cold: Mounted) -> None:
    """No call for any experiment: for no size that is not shown, nor for what searches look for where they do not
    search."""
    if shutil.which(command.partition(" ")[0]) is None:
        pytest.skip(f"{command.partition(' ')[0]} is not installed")
    with counted(cold.comet) as asked:
        found = run("sh", "-c", f'cd "$0" && exec {command}', cold.path)
    assert len(found.splitlines()) >= RUNS
    # The listing, and that of archived/.
    assert asked["experiments"] <= 2
    assert asked["project/column-names"] <= 1
    assert set(asked) <= {"experiments", "project/column-names"}


def test_a_size_that_is_shown_is_true(cold: Mounted) -> None:
    """Also where another program, which shows none, has looked at the file before."""
    folder = cold / PROJECT / "mlp-baseline"
    run("ls", "-F", folder)
    shown = run("ls", "-s", "-l", folder / "params.json", folder / "output.txt").decode().splitlines()
    for line in shown:
        words = line.split()
        assert int(words[5]) == len(Path(words[-1]).read_bytes()) > 0


def test_a_directory_that_is_opened_and_not_read_asks_nothing(cold: Mounted) -> None:
    """Its list is that of the first read."""
    (cold / PROJECT / "mlp-baseline").is_dir()
    with counted(cold.comet) as asked:
        opened = os.open(cold / PROJECT / "mlp-baseline/assets", os.O_DIRECTORY)
    try:
        assert not asked
        with counted(cold.comet) as asked:
            assert os.listdir(opened)  # noqa: PTH208  # a path would open it anew
        assert asked == {"experiment/asset/list": 1}
    finally:
        os.close(opened)
