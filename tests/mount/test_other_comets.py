"""Mounts of Comets that differ (support/comet_switches.py): the bytes of one that does not, and by which calls.

Not here: how calls are counted down and remembered (inprocess/test_other_comets.py), all switches x commands
(support/switch_matrix.py).
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.comet_switches import CHART, GET_ALL, QUERY, switched_comet
from tests.support.differing_runs import POINTS, PROJECT, RUNS, write_differing_runs
from tests.support.faulty_comet import Faults
from tests.support.processes import Comet, Mounted, running_comet, running_mount

ONE_METRIC = "experiment/metrics/get-metric"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Comet]:
    folder = tmp_path_factory.mktemp("runs")
    write_differing_runs(folder / "archives")
    with running_comet(folder, archives=folder / "archives") as comet:
        yield comet


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory, runs: Comet) -> Iterator[Path]:
    """The project, mounted from a Comet that does not differ."""
    with running_mount(tmp_path_factory.mktemp("plain"), runs) as mounted:
        yield mounted / PROJECT


@pytest.fixture
def differing(tmp_path: Path, runs: Comet, request: pytest.FixtureRequest) -> Iterator[tuple[Path, Faults]]:
    """The same from one with the switches of the test."""
    with switched_comet(runs, *request.param) as (before, faults), running_mount(tmp_path, before) as mounted:
        yield mounted / PROJECT, faults
        assert unlogged(mounted)
        faults.release()


def unlogged(mounted: Mounted) -> bool:
    assert mounted.log.read_text() == ""
    return True


def switches(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("differing", [name.split("+") for name in names], ids=names, indirect=True)


def calls(faults: Faults) -> Counter[str]:
    return Counter(target.partition("?")[0].removeprefix("/api/rest/v2/") for target in faults.arrivals)


def files(folder: Path) -> dict[str, bytes]:
    """All below a directory but the address, which names the Comet."""
    found = [path for path in folder.rglob("*") if path.is_file() and path.name != "url.txt"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


@switches("get-all-fails", "get-all-forbidden", "get-all-odd", "get-all-stalls")
def test_an_experiment_is_copied_whole_without_get_all(
    differing: tuple[Path, Faults], plain: Path, tmp_path: Path
) -> None:
    """`cp -r`, and `cat metrics/*` of another."""
    project, faults = differing
    shutil.copytree(project / "run-11", tmp_path / "copy")
    shutil.copytree(plain / "run-11", tmp_path / "expected")
    assert files(tmp_path / "copy") == files(tmp_path / "expected")
    assert files(project / "run-03/metrics") == files(plain / "run-03/metrics")
    assert 0 < calls(faults)[GET_ALL] <= 2 * 4


@switches("charts-fail", "charts-fail-above-4", "charts-missing", "charts-stall")
def test_what_is_made_of_charts_is_there_where_they_fail(differing: tuple[Path, Faults], plain: Path) -> None:
    """`charts/loss.csv` within its first read; `views/best/` costs nothing then; the table."""
    project, faults = differing
    assert (project / "charts/loss.csv").read_bytes() == (plain / "charts/loss.csv").read_bytes()
    asked = calls(faults)
    assert asked[CHART] <= 16, "twelve, six, three, twice one: a try more of each, three of one"
    assert asked[ONE_METRIC] <= RUNS + 1
    for word in ("min", "max"):
        assert (project / f"views/best/loss/{word}").readlink() == (plain / f"views/best/loss/{word}").readlink()
    assert calls(faults) - asked <= Counter({"experiments": 1, "project/column-names": 1})
    assert (project / "summary/experiments.csv").read_bytes() == (plain / "summary/experiments.csv").read_bytes()


@switches("charts-ignore-fetch-full")
def test_a_sample_is_not_taken_for_all_points(differing: tuple[Path, Faults], plain: Path) -> None:
    """2,000 points of which a chart has 500, without the least; the runs before have 30, of which it has all."""
    project, faults = differing
    for name in sorted(path.name for path in plain.glob("run-*")):
        assert (project / name / "metrics/loss.csv").read_bytes() == (plain / name / "metrics/loss.csv").read_bytes()
    assert (project / "run-11/metrics/loss.csv").read_bytes().count(b"\n") == POINTS + 1
    for path in ("charts/loss.csv", "summary/experiments.csv"):
        assert (project / path).read_bytes() == (plain / path).read_bytes()
    assert calls(faults)[CHART] > 0


@switches("charts-null-parameters")
def test_a_parameter_that_an_experiment_lacks_is_not_null(differing: tuple[Path, Faults], plain: Path) -> None:
    """`cat */params.json`, and the table."""
    project, faults = differing
    for name in sorted(path.name for path in plain.glob("run-*")):
        body = (project / name / "params.json").read_bytes()
        assert b"null" not in body
        assert body == (plain / name / "params.json").read_bytes()
    assert (project / "summary/experiments.csv").read_bytes() == (plain / "summary/experiments.csv").read_bytes()
    assert calls(faults)[CHART] > 0


@switches("query-missing+search-missing", "query-refused+search-fails", "query-fails+search-missing")
def test_tables_and_tags_are_there_without_queries(differing: tuple[Path, Faults], plain: Path) -> None:
    project, faults = differing
    for path in ("summary/experiments.csv", "summary/experiments.jsonl"):
        assert (project / path).read_bytes() == (plain / path).read_bytes()
    assert (project / "summary/overview.html").stat().st_size > 1000
    for tag in ("odd", "even"):
        assert sorted(path.name for path in (project / f"views/by-tag/{tag}").iterdir()) == sorted(
            path.name for path in (plain / f"views/by-tag/{tag}").iterdir()
        )
    assert 0 < calls(faults)[QUERY] <= 4


@switches(
    "experiments-time-out-unpaged", "experiments-fail-unpaged", "experiments-ignore-paging+experiments-fail-unpaged"
)
def test_a_project_is_listed_page_by_page(differing: tuple[Path, Faults], plain: Path) -> None:
    """Where one answer cannot be had; also where every page has all."""
    project, faults = differing
    assert sorted(path.name for path in project.iterdir()) == sorted(path.name for path in plain.iterdir())
    listings = [target for target in faults.arrivals if "/experiments?" in target]
    assert [("page=" in target) for target in listings] == sorted("page=" in target for target in listings)
    assert sum("page=" in target for target in listings) == 2
