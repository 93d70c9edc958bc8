"""All of Comet as files: read by the programs that a user would take, compared with Comet's own client."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pandas
import pytest

from cometfs.render.numbers import spelt
from tests.support.comet_ml_client import surroundings
from tests.support.processes import Mounted
from tests.support.spawning import inside

READ_ALL = """
import json, os, sys
import comet_ml.experiment
comet_ml.experiment.get_env_cloud_details = lambda *args, **kwargs: None
import comet_ml
api = comet_ml.API(api_key="key", cache=False)
found = {}
for workspace in api.get_workspaces():
    for project in api.get_projects(workspace):
        for one in api.get_experiments(workspace, project):
            found[one.key] = {
                "params": {row["name"]: row["valueCurrent"] for row in one.get_parameters_summary()},
                "others": {row["name"]: row["valueCurrent"] for row in one.get_others_summary()},
                "metrics": {row["name"]: row for row in one.get_metrics_summary()},
                "points": [[row["metricName"], row["step"], row["metricValue"]] for row in one.get_metrics()],
                "tags": sorted(one.get_tags()),
                "code": one.get_code(), "output": one.get_output(), "html": one.get_html(),
                "graph": one.get_model_graph(), "packages": one.get_installed_packages(),
                "assets": [[row["assetId"], row["fileSize"]] for row in one.get_asset_list() if not row["remote"]],
                "metadata": one.get_metadata(),
            }
json.dump(found, open(sys.argv[1], "w"))
"""


@pytest.fixture(scope="module")
def told(warm: Mounted, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What comet_ml's own API reads from the same server, by experiment key."""
    result = tmp_path_factory.mktemp("told") / "told.json"
    environ = surroundings(result.parent, warm.comet.url)
    subprocess.run([sys.executable, "-c", READ_ALL, str(result)], env=environ, check=True, cwd=result.parent)
    found: dict[str, Any] = json.loads(result.read_text())
    return found


def experiments(mounted: Mounted) -> Iterator[tuple[str, Path]]:
    for link in mounted.path.glob("*/*/views/by-key/*"):
        yield link.name, link.resolve()


def values(path: Path) -> dict[str, Any]:
    """A JSON object with its numbers and booleans as the text that stands there."""
    found = json.loads(path.read_text(), parse_float=str, parse_int=str)
    return {name: str(value).lower() if isinstance(value, bool) else value for name, value in found.items()}


def content(path: Path) -> str:
    """Of what Comet has nothing there may be an empty file, or none: that depends on what was looked at before."""
    return path.read_bytes().decode() if path.exists() else ""


def test_files_say_what_comets_own_client_says(warm: Mounted, told: dict[str, Any]) -> None:
    """Parameters, others, tags, texts, packages of every experiment of the sample."""
    seen = dict(experiments(warm))
    assert set(seen) == set(told)
    for key, place in seen.items():
        own = told[key]
        assert values(place / "params.json") == own["params"]
        assert values(place / "others.json") == own["others"]
        assert content(place / "tags.txt").splitlines() == own["tags"]
        for name, word in (
            ("code.py", "code"),
            ("output.txt", "output"),
            ("report.html", "html"),
            ("graph.txt", "graph"),
        ):
            assert content(place / name) == (own[word] or "")
        assert content(place / "requirements.txt").splitlines() == sorted(own["packages"] or [])
        metadata = json.loads((place / "metadata.json").read_text())
        assert {name: metadata[name] for name in own["metadata"] if name in metadata} == own["metadata"]


def test_metrics_say_what_comets_own_client_says(warm: Mounted, told: dict[str, Any]) -> None:
    """Last, min and max, and every point's step and value."""
    for key, place in experiments(warm):
        summary = json.loads((place / "metrics.json").read_text(), parse_float=str, parse_int=str)
        for name, row in told[key]["metrics"].items():
            # The same doubles, in the one spelling that all files have.
            assert [summary[name][word] for word in ("last", "min", "max")] == [
                spelt(row[word]) for word in ("valueCurrent", "valueMin", "valueMax")
            ]
        points = json.loads((place / ".api/experiment_metric.json").read_text())
        seen = [[row["metricName"], row["step"], row["metricValue"]] for row in points]
        assert sorted(seen, key=repr) == sorted(told[key]["points"], key=repr)


def test_every_asset_is_there_in_its_size(warm: Mounted, told: dict[str, Any]) -> None:
    """By the asset's id, which the file's own attributes tell."""
    for key, place in experiments(warm):
        found = {}
        for path in (place / "assets").rglob("*"):
            if path.is_file() and path.suffix != ".url":
                found[os.getxattr(path, "user.comet.asset_id").decode()] = path.stat().st_size
        assert found == dict(told[key]["assets"])


def csvs(mounted: Mounted) -> list[Path]:
    found = [
        path for path in mounted.path.rglob("*.csv") if path.is_file() and not {"assets", "models"} & set(path.parts)
    ]
    return [path for path in found if not {"source", ".artifacts", ".models"} & set(path.parts)]


def test_duckdb_and_pandas_read_every_csv_without_options(warm: Mounted) -> None:
    """The same rows and columns by both, for every table that the mount makes."""
    paths = csvs(warm)
    assert len(paths) > 90
    for path in paths:
        assert path.read_bytes(), path
        frame = pandas.read_csv(path)
        # A "=" in an experiment's name would read as a partition of Hive's.
        relation = duckdb.read_csv(str(path), hive_partitioning=False)
        assert list(frame.columns) == relation.columns, path
        assert len(frame) == len(relation.fetchall()), path


def test_a_query_over_a_project_finds_the_best_run(warm: Mounted) -> None:
    """What a user would ask: experiments.csv as a table of DuckDB."""
    table = warm / "vision-lab/digits/experiments.csv"
    query = f"select directory, \"metric.validate_accuracy.max\" as best from '{table}' order by best desc nulls last"
    rows = duckdb.execute(query).fetchall()
    assert len(rows) == 5
    best = (warm / "vision-lab/digits/views/best/validate_accuracy/max").resolve().name
    assert rows[0][0] == best
    assert math.isclose(
        rows[0][1],
        json.loads((warm / f"vision-lab/digits/{best}/metrics.json").read_text())["validate_accuracy"]["max"],
    )


def test_duckdb_and_pandas_read_the_table_as_json_without_options(warm: Mounted) -> None:
    """Lists are lists, numbers are numbers, and what an experiment has not is null; the columns are the CSV's."""
    table = warm / "vision-lab/digits/experiments.jsonl"
    columns = list(pandas.read_csv(table.with_suffix(".csv")).columns)
    frame = pandas.read_json(table, lines=True)
    assert list(frame.columns) == columns
    assert frame["metric.validate_accuracy.max"].dtype.kind == "f"
    assert frame["param.hidden"].map(type).eq(list).any()
    relation = duckdb.read_json(str(table))
    assert relation.columns == columns
    kinds = dict(zip(relation.columns, map(str, relation.types), strict=True))
    assert (kinds["tags"], kinds["param.hidden"]) == ("VARCHAR[]", "BIGINT[]")
    assert kinds["metric.validate_accuracy.max"] == "DOUBLE"
    best = duckdb.execute(f"select name from '{table}' where list_contains(tags, 'baseline')").fetchall()
    assert best == [("mlp-baseline",)]
    lines = table.read_text().splitlines()
    assert len(lines) == len(frame) == len(relation.fetchall()) == 5


@pytest.mark.skipif(not shutil.which("jq"), reason="jq is not installed here")
def test_jq_reads_the_table_as_json(warm: Mounted) -> None:
    """An object for each experiment, a list where a list was logged."""
    table = warm / "vision-lab/digits/experiments.jsonl"
    command = ["jq", "-c", '[.name, .["param.hidden"]]', str(table)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(said) == 5
    assert '["mlp-baseline",[32]]' in said


def test_every_link_is_relative_and_leads_somewhere(warm: Mounted) -> None:
    """To a directory of the same mount; to a project's tables; from the best by what no experiment has to its guide."""
    links = [path for path in warm.path.rglob("*") if path.is_symlink()]
    assert len(links) > 30
    for link in links:
        assert not link.readlink().is_absolute()
        target = link.resolve(strict=True)
        best = "best" in link.parts and target.name == "README.md"
        assert target.is_dir() or best or target == link.parent / "summary" / link.name
        assert link.resolve().is_relative_to(warm.path.resolve())


def test_no_file_holds_the_key(warm: Mounted) -> None:
    """Not a byte of it anywhere, links and attributes included; the sample's own words are not the key's."""
    key = b"test-key"
    found = subprocess.run(["grep", "-rl", key.decode(), str(warm.path)], capture_output=True, check=False)
    assert found.stdout == b""
    assert found.returncode == 1, found.stderr


def test_versions_of_artifacts_and_models_are_directories_with_aliases(warm: Mounted) -> None:
    """Files by version; aliases and stages are links to one."""
    shelves = [path for path in (*warm.path.glob("*/.artifacts/*"), *warm.path.glob("*/.models/*")) if path.is_dir()]
    assert len(shelves) >= 2
    for shelf in shelves:
        versions = [path for path in shelf.iterdir() if not path.is_symlink()]
        links = [path for path in shelf.iterdir() if path.is_symlink()]
        assert versions
        assert any(path.is_file() for version in versions for path in version.rglob("*"))
        assert all(link.resolve() in versions for link in links)
    assert any(path.is_symlink() for shelf in shelves for path in shelf.iterdir())


def test_two_experiments_differ_in_what_differs(warm: Mounted) -> None:
    """`diff -r` of the same run under two names of its directory says nothing; of two runs, what differs."""
    place = warm / "vision-lab/digits"
    same = subprocess.run(
        ["diff", "-r", place / "mlp-baseline", place / "views/by-key/50d3a93fdfbc7f162d0165d3174ee601"], check=False
    )
    assert same.returncode == 0
    differs = subprocess.run(
        inside(place, "diff", "-rq", "mlp-wide-76e61c8b", "mlp-wide-80a71956"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "params.json differ" in differs.stdout
    assert "requirements.txt differ" not in differs.stdout
    assert "system.json differ" not in differs.stdout
