"""What it costs to walk through a project: names, and no byte of what they name. Counted in the access log."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mount.test_calls import counted, run
from tests.support.faulty_comet import Answer, faulty_comet
from tests.support.processes import PATIENCE, PATIENT, Comet, Mounted, running_comet, running_mount

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


def test_a_walk_costs_a_list_of_assets_for_each_experiment(cold: Mounted) -> None:
    """`find -name code.py`: no body, no point, no patch; names of metrics and of who bears which tag are asked of the
    project."""
    with counted(cold.comet) as asked:
        found = run("find", cold / PROJECT, "-name", "code.py")
    assert len(found.splitlines()) == RUNS
    tags = run("ls", cold / PROJECT / "views/by-tag").splitlines()
    metrics = run("find", cold / PROJECT / "views/best", "-name", "max").splitlines()
    assert asked["experiment/asset/list"] == RUNS
    assert asked["experiments"] == 2
    assert asked["project/column-names"] == 1
    assert asked["project/query"] == len(tags) + len(metrics)
    # Those that come before the walk is one.
    assert asked["experiment/metrics/summary"] <= 6
    assert set(asked) <= {
        "experiments",
        "project/column-names",
        "project/query",
        "experiment/asset/list",
        "experiment/metrics/summary",
    }
    with counted(cold.comet) as again:
        assert run("find", cold / PROJECT, "-name", "code.py") == found
    assert not again


def test_a_look_at_the_best_asks_when_it_is_followed(cold: Mounted) -> None:
    """`ls` costs the names of metrics, `readlink` the chart; lstat shows what no target is longer than."""
    best = cold / PROJECT / "views/best/train_loss"
    with counted(cold.comet) as asked:
        assert run("ls", best).split() == [b"max", b"min"]
    assert asked == {"experiments": 1, "project/column-names": 1}
    size = (best / "max").lstat().st_size
    with counted(cold.comet) as asked:
        target = os.readlink(best / "max")  # noqa: PTH115  # the text itself
        assert (best / "min").resolve().is_dir()
    checks = asked.pop("experiment/metrics/get-metric")
    assert checks <= -(-RUNS // 100), "the longest metric of a chart is compared, where none as long was before"
    assert asked == {"experiments/multi-metric-chart": -(-RUNS // 100)}
    assert len(target) <= (best / "max").lstat().st_size == size == os.pathconf(best, "PC_PATH_MAX") - 1
    assert (best / target).resolve().parent == (cold / PROJECT).resolve()


def test_an_image_that_is_gone_costs_nothing_but_itself(tmp_path: Path, many: Comet) -> None:
    """`cp -r` of the run has all others, and complains of that one file."""
    with faulty_comet(many) as (comet, faults), running_mount(tmp_path, comet, program=PATIENT) as mounted:
        folder = mounted / PROJECT / "mlp-baseline"
        images = sorted(path.name for path in (folder / "images").iterdir())
        gone = "first-layer-10.png"
        asset = os.getxattr(folder / "images" / gone, "user.comet.asset_id").decode()
        faults.answers[f"assetId={asset}"] = Answer(404)
        copied = subprocess.run(
            ["cp", "-r", folder / "images", tmp_path / "copy"], capture_output=True, timeout=PATIENCE, check=False
        )
        assert copied.returncode == 1
        assert [gone.encode() in line for line in copied.stderr.splitlines()] == [True]
        assert [name for name in images if (tmp_path / "copy" / name).exists()] == [n for n in images if n != gone]
