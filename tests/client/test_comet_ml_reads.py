"""The real client is satisfied: what comet_ml's OfflineExperiment logs, its API reads back from the embedded Comet.

Both run as processes of their own, in an empty folder and with an empty home; they are given loopback addresses only.
"""

from __future__ import annotations

import base64
import io
import json
import zipfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import trio

from cometfs.server.catalog.catalog import open_directory
from cometfs.server.http.app import make_app
from cometfs.server.http.listener import serve
from cometfs.server.http.object_store import ObjectStore
from tests.support.comet_ml_client import API_KEY, NOWHERE, SCRIPTS, make_dirty_repository, run

KEY = "c0ffee00c0ffee00c0ffee00c0ffee00"

Told = dict[str, Any]


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the archive of one run of comet_ml's OfflineExperiment."""
    folder = tmp_path_factory.mktemp("run")
    make_dirty_repository(folder)
    run("log_offline.py", str(folder / "archives"), KEY, folder=folder, url=NOWHERE)
    return folder / "archives"


@pytest.fixture(scope="module")
def told(archives: Path, tmp_path_factory: pytest.TempPathFactory) -> Told:
    """Everything that comet_ml's API says of that archive, served on a real socket."""
    return trio.run(read_back, archives, tmp_path_factory.mktemp("reader"))


async def read_back(archives: Path, folder: Path) -> Told:
    store = ObjectStore()
    async with trio.open_nursery() as nursery:
        store.port = urlsplit(await nursery.start(serve, store, "127.0.0.1:0")).port or 0
        app = make_app(open_directory(archives), api_key=API_KEY, object_store=store)
        url = await nursery.start(serve, app, "127.0.0.1:0")
        reader = partial(run, "read_back.py", "ws é", "pro ject", KEY, folder=folder, url=url)
        said = await trio.to_thread.run_sync(reader)
        nursery.cancel_scope.cancel()
    answers: Told = json.loads(said)
    assert store.links == len(answers["assets"]["downloaded"]) == 2
    return answers


@pytest.fixture(scope="module")
def members(archives: Path) -> dict[str, bytes]:
    """The archive's own members."""
    with zipfile.ZipFile(archives / f"{KEY}.zip") as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="module")
def messages(members: Mapping[str, bytes]) -> list[tuple[str, Told]]:
    """The archive's own messages: what was logged, told without the embedded Comet."""
    lines = [json.loads(line) for line in members["messages.json"].splitlines()]
    return [(line["type"], line["payload"]) for line in lines]


def currents(rows: list[Told]) -> dict[str, str]:
    return {row["name"]: row["valueCurrent"] for row in rows}


def bytes_of(text: str) -> bytes:
    return base64.b64decode(text)


def test_who_and_where(told: Told) -> None:
    """Name, metadata, address and state are those of the run."""
    experiment = told["experiment"]
    metadata = experiment["metadata"]
    assert experiment["name"] == "réglage/1"
    assert (metadata["experimentKey"], metadata["experimentName"]) == (KEY, "réglage/1")
    assert (metadata["workspaceName"], metadata["projectName"]) == ("ws é", "pro ject")
    assert (metadata["filePath"], metadata["fileName"]) == ("/neutral/train.py", "train.py")
    assert metadata["durationMillis"] == metadata["endTimeMillis"] - metadata["startTimeMillis"] > 0
    assert (metadata["archived"], experiment["state"]) == (False, "finished")
    assert experiment["url"].endswith(f"/{KEY}")


def test_tags(told: Told) -> None:
    """All tags are there."""
    assert sorted(told["experiment"]["tags"]) == ["one", "two words"]


def test_parameters(told: Told) -> None:
    """Numbers, lists, nested ones, truth and nothing are told as text; the last value is the current one."""
    parameters = currents(told["experiment"]["parameters"])
    expected = {"lr": "0.1", "layers": "[1, 2]", "nested|deep|x": "true", "nothing": "null", "curr_step": "2"}
    assert parameters | expected == parameters


def test_others(told: Told) -> None:
    """Others are there, those that the SDK adds included."""
    others = currents(told["experiment"]["others"])
    assert others | {"note": "a text", "Name": "réglage/1", "offline_experiment": "true"} == others


def test_metrics_summary(told: Told) -> None:
    """A summary has the last, least and greatest value of every metric, contexts in front of the names."""
    rows = {row["name"]: row for row in told["experiment"]["summary"]}
    assert {"train_loss", "val/acc", "odd"} <= set(rows)
    loss = told["experiment"]["one summary"]
    assert loss == rows["train_loss"]
    assert (loss["valueMin"], loss["valueMax"], loss["valueCurrent"], loss["stepMin"]) == ("0.2", "1.0", "0.2", 4)
    assert (rows["odd"]["valueMin"], rows["odd"]["valueMax"], rows["odd"]["valueCurrent"]) == (
        "-2.5",
        "Infinity",
        "-2.5",
    )


def test_metric_points(told: Told, messages: list[tuple[str, Told]]) -> None:
    """Every point that was logged is read back: value, step, epoch, time, context and the number of its line."""
    logged = [
        (
            "_".join(filter(None, [payload.get("context"), payload["metric"]["metricName"]])),
            str(payload["metric"]["metricValue"]),
            payload["metric"]["step"],
            payload["metric"]["epoch"],
            payload["local_timestamp"],
            payload.get("context"),
            number,
        )
        for number, (kind, payload) in enumerate(messages, 1)
        if kind == "metric_msg"
    ]
    fields = ("metricName", "metricValue", "step", "epoch", "timestamp", "runContext", "offset")
    points = [tuple(point[field] for field in fields) for point in told["experiment"]["metrics"]]
    assert sorted(points, key=lambda point: point[-1]) == logged
    assert ("odd", "NaN") in [point[:2] for point in points]
    assert [point["metricValue"] for point in told["experiment"]["loss"]][:2] == ["1.0", "0.5"]


def test_texts(told: Told) -> None:
    """Report, script, output and graph are those of the run; both output streams are in it."""
    experiment = told["experiment"]
    assert experiment["html"] == "<b>new</b><i>more</i>"
    assert experiment["code"] == (SCRIPTS / "log_offline.py").read_text()
    assert experiment["output"] == "printed\ncomplained\n"
    assert experiment["graph"] == "Graph(1)"


def test_system_details(told: Told, messages: list[tuple[str, Told]]) -> None:
    """The machine and its packages are what the SDK found."""
    logged = dict(messages)
    experiment = told["experiment"]
    assert experiment["packages"] == logged["installed_packages"]["installed_packages"]
    assert experiment["os packages"] == logged["os_packages"]["os_packages"]
    assert experiment["python"] == logged["system_details"]["python_version"]
    assert experiment["system"]["command"] == logged["system_details"]["command"]
    assert experiment["additional"] == [{"key": "cluster", "value": "node-3"}]


def test_git(told: Told, messages: list[tuple[str, Told]]) -> None:
    """The commit is told, and the patch is the zip with the change that was not committed."""
    state = dict(messages)["git_metadata"]["git_metadata"]
    assert told["experiment"]["git"] == {name: state[name] for name in ("user", "root", "branch", "parent", "origin")}
    with zipfile.ZipFile(io.BytesIO(bytes_of(told["experiment"]["patch"]))) as patch:
        assert b"+after" in patch.read("git_diff.patch")


def test_asset_bytes(told: Told, members: Mapping[str, bytes], messages: list[tuple[str, Told]]) -> None:
    """Every file that was logged is listed with its size, and both ways to read it give the archive's bytes."""
    uploads = [payload for kind, payload in messages if kind == "file_upload" and payload["additional_params"]]
    expected = {}
    for payload in uploads:
        placed = payload["additional_params"]
        expected[placed.get("assetId") or placed["imageId"]] = members[payload["file_path"]]
    assets = told["assets"]
    assert {one: bytes_of(body) for one, body in assets["bytes"].items()} == expected
    downloaded = {one: bytes_of(body) for one, body in assets["downloaded"].items()}
    assert downloaded == {one: expected[one] for one in downloaded}
    assert len(downloaded) == 2
    sizes = {row["assetId"]: row["fileSize"] for row in assets["listed"] if not row["remote"]}
    assert sizes == {one: len(body) for one, body in expected.items()}


def test_asset_rows(told: Told) -> None:
    """Names, types, steps and metadata are as logged; equal names stay apart, texts get a name."""
    rows = [(row["fileName"], row["type"], row["step"]) for row in told["assets"]["listed"]]
    for expected in [
        ("d/blob.bin", "asset", 3),
        ("same.txt", "asset", 1),
        ("same.txt", "asset", 2),
        ("roc", "curve", 5),
        ("cm.json", "confusion-matrix", 5),
        ("my/image", "image", 1),
        ("my/image", "image", 2),
    ]:
        assert rows.count(expected) == 1
    by_name = {row["fileName"]: row for row in told["assets"]["listed"]}
    assert json.loads(by_name["d/blob.bin"]["metadata"]) == {"m": 1}
    assert by_name["key.bin"]["link"] == "s3://bucket/key.bin"
    assert [name for name, kind, _ in rows if kind == "text-sample" and name.startswith("text-sample-")]


def test_images_curves_models(told: Told) -> None:
    """Images are found by type, curves are read with their points, models with their files; a name finds its asset."""
    assert [(row["fileName"], row["step"]) for row in told["assets"]["images"]] == [("my/image", 1), ("my/image", 2)]
    (curve,) = told["experiment"]["curves"]
    assert (curve["name"], curve["x"], curve["y"], curve["step"]) == ("roc", [0, 1], [0.5, 1], 5)
    assert told["experiment"]["models"] == ["net"]
    assert [row["fileName"] for row in told["assets"]["model"]] == ["weights.bin"]
    assert bytes_of(told["assets"]["named"]) == b"\x00\xffbytes"


def test_projects(told: Told) -> None:
    """Workspace, project and experiment are found by name, by id and in listings; what does not exist is nothing."""
    project = told["project"]
    assert (project["workspaces"], project["default"]) == (["ws é"], "ws é")
    assert (project["projects"], project["experiments"], project["archived"]) == (["pro ject"], [KEY], [])
    assert project["project"] == project["by id"]
    assert (project["by name"], project["unknown"], project["unknown project"]) == (KEY, None, None)
    assert project["notes"] is None
    assert "train_loss" in str(project["variables"])


def test_chart(told: Told) -> None:
    """A chart has the values of many metrics and the parameters of many experiments in one answer."""
    chart = told["project"]["chart"][KEY]
    metrics = {metric["metricName"]: metric for metric in chart["metrics"]}
    assert metrics["train_loss"]["values"] == [1.0, 0.5, 1 / 3, 0.25, 0.2]
    assert metrics["train_loss"]["steps"] == [0, 1, 2, 3, 4]
    assert len(metrics["odd"]["values"]) == 3
    assert chart["params"] == {"lr": "0.1"}
