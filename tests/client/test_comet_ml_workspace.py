"""The real client is satisfied: comet_ml's API finds experiments, artifacts and models of the sample.

It runs as a process of its own, in an empty folder and with an empty home; it is given a loopback address only.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from cometfs.server import sample_directory
from cometfs.server.catalog.catalog import Catalog, open_directory
from cometfs.server.catalog.project import ServedExperiment
from cometfs.server.http.app import make_app
from cometfs.server.http.listener import serve
from tests.support.comet_ml_client import API_KEY, run

ARTIFACT = sample_directory() / "artifacts" / "tabular" / "wine features"

Told = dict[str, Any]


@pytest.fixture(scope="module")
def index() -> Catalog:
    return open_directory(sample_directory())


@pytest.fixture(scope="module")
def digits(index: Catalog) -> list[ServedExperiment]:
    """The experiments that are asked about."""
    project = index.project("vision-lab", "digits")
    assert project
    return project.experiments


@pytest.fixture(scope="module")
def metrics(digits: list[ServedExperiment]) -> dict[str, int]:
    """A few metrics of the longest experiment and how many points they have; one name has a space."""
    record = next(one.record for one in digits if one.name == "sgd-20k-steps")
    return {name: len(record.metrics[name].lines) for name in ("loss", "process duration")}


@pytest.fixture(scope="module")
def told(index: Catalog, metrics: dict[str, int], tmp_path_factory: pytest.TempPathFactory) -> Told:
    """Everything that comet_ml's API says, of the sample on a real socket."""
    return trio.run(ask, index, list(metrics), tmp_path_factory.mktemp("reader"))


async def ask(index: Catalog, metrics: list[str], folder: Path) -> Told:
    async with trio.open_nursery() as nursery:
        url = await nursery.start(serve, make_app(index, api_key=API_KEY), "127.0.0.1:0")
        reader = partial(run, "ask_workspace.py", *metrics, folder=folder, url=url)
        said = await trio.to_thread.run_sync(reader)
        nursery.cancel_scope.cancel()
    answers: Told = json.loads(said)
    return answers


def keys(experiments: list[ServedExperiment], *tags: str) -> set[str]:
    return {one.key for one in experiments if one.record.tags & set(tags)}


def last(experiment: ServedExperiment) -> float | None:
    found = experiment.record.metrics.get("train_loss")
    return float(found.summary.current.text) if found else None


@pytest.mark.parametrize("way", ["query", "search"])
def test_queries_find_what_the_archives_say(told: Told, digits: list[ServedExperiment], way: str) -> None:
    """Both ways to ask, all sources, joined and turned around."""
    found = {name: set(answer) for name, answer in told[way].items()}
    everything = {one.key for one in digits}
    good = {one.key for one in digits if (value := last(one)) is not None and value < 0.05}
    assert found["tag"] == keys(digits, "mlp")
    assert found["no tag"] == everything - keys(digits, "mlp")
    assert found["metric"] == good
    assert found["no metric"] == {one.key for one in digits if last(one) is None}
    assert found["other"] == {one.key for one in digits if (one.name or "").startswith("mlp-")}
    assert found["early"] == everything
    assert found["both"] == good & keys(digits, "mlp")
    assert found["either"] == keys(digits, "wide", "baseline")
    assert found["neither"] == everything - found["either"]
    assert all(found[name] for name in ("parameter", "truth", "name", "long", "machine"))


def test_notes_of_a_project(told: Told) -> None:
    """As projects.json says."""
    assert told["notes"].startswith("# Digits\n")


def test_registered_models(told: Told) -> None:
    """Names, versions, stages, tags and files."""
    models = told["models"]
    assert (models["names"], models["count"]) == (["digits-mlp"], 1)
    assert models["versions"] == models["found"] == ["1.1.0", "1.0.0"]
    assert (models["details"]["stages"], models["tags"]) == (["staging"], ["reviewed"])
    assert "Production" in models["statuses"]
    names = {"digits-mlp/config.json", "digits-mlp/model.joblib"}
    sizes = {asset["fileName"]: asset["fileSize"] for asset in models["assets"]}
    assert sizes.keys() == names
    assert models["stage"] == models["files"] == sizes
    assert models["zip"] == told["model"]
    assert models["zip"].keys() == names


def test_artifacts(told: Told) -> None:
    """A name with a space is found; versions, aliases and files are those of the folder."""
    artifacts = told["artifacts"]
    assert [row["name"] for row in artifacts["list"]["artifacts"]] == ["wine features"]
    assert artifacts["models"] == {"artifacts": []}
    assert [(one["version"], one["alias"]) for one in artifacts["details"]["versions"]] == [
        ("1.0.0", ["été"]),
        ("1.10.0", ["latest"]),
    ]
    folder = ARTIFACT / "1.10.0"
    assert {row["fileName"]: row["fileSize"] for row in artifacts["files"]} == {
        path.relative_to(folder).as_posix(): path.stat().st_size for path in folder.rglob("*") if path.is_file()
    }
    assert [row["fileName"] for row in artifacts["first"]] == ["names.txt"]
    assert [row["artifactName"] for row in artifacts["lineage"]["artifacts"]] == ["digits-split"]


def test_whole_metrics(told: Told, metrics: dict[str, int]) -> None:
    """Every point, also of a metric whose name the client changes before it asks."""
    assert told["total"] == metrics
