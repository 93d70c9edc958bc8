"""The embedded Comet, asked in process: shapes, errors and borders of its answers. No socket, no comet_ml."""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
from starlette.types import Message, Receive, Scope, Send
from trio.testing import MockClock

from cometfs.server.catalog.catalog import open_directory
from cometfs.server.http.app import make_app
from cometfs.server.http.middleware import AccessLog

KEY = "0123456789abcdef0123456789abcdef"
EXPERIMENT = {"experimentKey": KEY}
REST = "/api/rest/v2/"

Client = Callable[..., httpx.AsyncClient]


def line(kind: str, **payload: Any) -> str:
    return json.dumps({"payload": payload, "type": kind})


def metric(name: str, value: Any, step: Any = None) -> str:
    point = {"metricName": name, "metricValue": value, "step": step, "epoch": None}
    return line("metric_msg", metric=point, local_timestamp=1000 + (step or 0))


def upload(member: str, kind: str, asset_id: str, name: str, **more: Any) -> str:
    placed = {"assetId": asset_id, "fileName": name, "step": 1}
    return line("file_upload", file_path=member, upload_type=kind, additional_params=placed, metadata=more)


BLOB = bytes(range(256)) * 4096

LINES = [
    line("log_other", key="Name", value="run"),
    line("parameter_msg", param={"paramName": "lr", "paramValue": 0.1}),
    *(metric("loss", 1 / (step + 1), step) for step in range(1000)),
    metric("odd", "NaN", 0),
    metric("odd", "Infinity", 1),
    metric("odd", "text", 2),
    upload("blob", "asset", "a1", "d/blob.bin", m=1),
    upload("blob", "curve", "a2", "c1"),
    upload("empty", "asset", "a3", "empty"),
    upload("model", "model-element", "a4", "w.bin").replace('"step"', '"groupingName": "mm", "step"'),
    line(
        "remote_file", remote_uri="s3://b/k", upload_type="asset", additional_params={"assetId": "r", "fileName": "k"}
    ),
]


def write_run(directory: Path, key: str, lines: list[str], **heading: Any) -> None:
    head = {"offline_id": key, "workspace": "ws", "project_name": "p", "start_time": 1, "stop_time": 9, "tags": ["t"]}
    folder = directory / key
    folder.mkdir()
    (folder / "experiment.json").write_text(json.dumps(head | heading))
    (folder / "messages.json").write_text("".join(text + "\n" for text in lines))
    for name, body in {"blob": BLOB, "empty": b"", "model": b"weights"}.items():
        (folder / name).write_bytes(body)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """One run of everything, one that is archived, one in another project."""
    runs = tmp_path / "runs"
    runs.mkdir()
    write_run(runs, KEY, LINES)
    write_run(runs, "archived", [], archived=True, start_time=2)
    write_run(runs, "elsewhere", [], project_name="q", start_time=3)
    return runs


@asynccontextmanager
async def asking(
    directory: Path, *, key: str | None = "k", replicate: int = 1, **kinds: Any
) -> AsyncIterator[httpx.AsyncClient]:
    app = make_app(open_directory(directory, replicate), **kinds)
    headers = {} if key is None else {"Authorization": key}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://comet", headers=headers
    ) as client:
        yield client


async def answer(client: httpx.AsyncClient, path: str, **query: Any) -> Any:
    reply = await client.get(REST + path, params=query)
    assert reply.status_code == 200, reply.text
    return reply.json()


async def test_json_is_exactly_application_json(directory: Path) -> None:
    """No charset behind the type, in answers and in errors: Comet's Python client takes nothing else."""
    async with asking(directory) as client:
        for path in ("workspaces", "nope", "experiment/metadata"):
            assert (await client.get(REST + path)).headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("method", "path", "query", "status", "number"),
    [
        ("GET", "experiment/metadata", {"experimentKey": "nope"}, 404, 90211),
        ("GET", "experiment/metadata", {}, 400, 90998),
        ("GET", "experiment/metrics/get-metric", {"experimentKey": "nope", "metricName": "a"}, 404, 90211),
        ("GET", "experiment/metrics/get-metric", EXPERIMENT, 400, None),
        ("GET", "projects", {"workspaceName": "nope"}, 404, 90219),
        ("GET", "projects", {}, 400, None),
        ("GET", "project", {"workspaceName": "ws"}, 400, 98219),
        ("GET", "project", {"workspaceName": "ws", "projectName": "nope"}, 404, None),
        ("GET", "project", {"projectId": "nope"}, 404, None),
        ("GET", "experiments", {"projectId": "nope"}, 404, None),
        ("GET", "experiments", {"workspaceName": "ws", "projectName": "p", "page": "0"}, 400, None),
        ("GET", "experiments", {"workspaceName": "ws", "projectName": "p", "size": "x"}, 400, None),
        ("GET", "experiments", {"workspaceName": "ws", "projectName": "p", "sortBy": "x"}, 400, None),
        ("GET", "experiment/asset/get-asset", EXPERIMENT | {"assetId": "nope"}, 404, None),
        ("GET", "experiment/asset/get-asset", EXPERIMENT | {"assetId": "r"}, 400, None),
        ("GET", "no/such/endpoint", {}, 404, None),
        ("POST", "workspaces", {}, 404, None),
        ("GET", "experiments/multi-metric-chart", {}, 404, None),
        ("POST", "experiments/multi-metric-chart", {}, 400, None),
        ("POST", "write/panel/store", {}, 400, None),
    ],
)
async def test_errors_are_comets(
    directory: Path, method: str, path: str, query: dict[str, str], status: int, number: int | None
) -> None:
    """What is missing or unknown is refused with Comet's status, in Comet's shape, with Comet's number."""
    async with asking(directory) as client:
        reply = await client.request(method, REST + path, params=query)
    body = reply.json()
    assert (reply.status_code, body["code"], body.get("sdk_error_code")) == (status, status, number)
    assert body["msg"]


@pytest.mark.parametrize(
    ("sent", "expected", "status"),
    [
        ({}, None, 401),
        ({"Authorization": ""}, None, 401),
        ({"Authorization": "any"}, None, 200),
        ({"Comet-Sdk-Api": "any"}, None, 200),
        ({"Authorization": "any"}, "right", 401),
        ({"Authorization": "right"}, "right", 200),
        ({"Comet-Sdk-Api": "right"}, "right", 200),
        ({"Authorization": "Bearer right"}, "right", 401),
    ],
)
async def test_the_key_decides(directory: Path, sent: dict[str, str], expected: str | None, status: int) -> None:
    """No key is refused always; any will do unless one was asked for, then only that one, bare."""
    async with asking(directory, key=None, api_key=expected) as client:
        reply = await client.get(REST + "workspaces", headers=sent)
    assert reply.status_code == status
    assert status == 200 or reply.json()["sdk_error_code"] == 90212


async def test_the_version_needs_no_key(directory: Path) -> None:
    """Whether the server is alive, and how old it is, anyone may ask."""
    async with asking(directory, key=None, api_key="right") as client:
        assert (await client.get("/clientlib/isAlive/ver")).json() == {"version": "4.40.0"}
        assert (await client.get("/clientlib/health/ping")).status_code == 200


async def test_a_project_is_found_by_id_and_by_names(directory: Path) -> None:
    """Both ways lead to the same project, whose id is the same after every start."""
    async with asking(directory) as client:
        by_name = await answer(client, "project", workspaceName="ws", projectName="p")
        by_id = await answer(client, "project", projectId=by_name["projectId"])
        listed = (await answer(client, "projects", workspaceName="ws"))["projects"]
    async with asking(directory) as client:
        again = await answer(client, "project", workspaceName="ws", projectName="p")
    assert by_name == by_id == listed[0] == again
    assert (len(by_name["projectId"]), by_name["numberOfExperiments"], by_name["lastUpdated"]) == (32, 2, 9)
    assert [project["projectName"] for project in listed] == ["p", "q"]


async def test_archived_experiments_are_listed_apart(directory: Path) -> None:
    """A listing has the live ones or the archived ones, in any client's spelling of a boolean; never both."""
    async with asking(directory) as client:
        for spelled, keys in {
            "False": [KEY],
            "false": [KEY],
            "True": ["archived"],
            "true": ["archived"],
            "": [KEY],
        }.items():
            rows = await answer(client, "experiments", workspaceName="ws", projectName="p", archived=spelled)
            assert [row["experimentKey"] for row in rows["experiments"]] == keys


async def test_a_listing_is_whole_unless_a_page_is_asked_for(directory: Path) -> None:
    """All experiments come in one answer; with page and size they come in sorted slices, none lost or twice."""
    async with asking(directory, replicate=250) as client:
        query = {"workspaceName": "ws", "projectName": "p"}
        whole = (await answer(client, "experiments", **query))["experiments"]
        pages = [(await answer(client, "experiments", **query, page=n, size=100))["experiments"] for n in (1, 2, 3, 4)]
        backwards = await answer(client, "experiments", **query, sortBy="endTime", sortOrder="desc", size=1)
    assert len(whole) == 250
    assert [len(page) for page in pages] == [100, 100, 50, 0]
    assert [row for page in pages for row in page] == whole
    assert len(backwards["experiments"]) == 1


async def test_a_row_is_the_metadata(directory: Path) -> None:
    """A listing tells of an experiment all that its own metadata do, so nobody needs to ask again."""
    async with asking(directory) as client:
        (row,) = (await answer(client, "experiments", workspaceName="ws", projectName="p"))["experiments"]
        assert row == await answer(client, "experiment/metadata", **EXPERIMENT)
    assert (row["experimentName"], row["durationMillis"], row["running"], row["hasCrashed"]) == ("run", 8, False, False)


async def test_points_are_text_and_complete(directory: Path) -> None:
    """A metric has every point that was logged, values as text; one that was not logged has none."""
    async with asking(directory) as client:
        points = (await answer(client, "experiment/metrics/get-metric", **EXPERIMENT, metricName="loss"))["metrics"]
        odd = (await answer(client, "experiment/metrics/get-metric", **EXPERIMENT, metricName="odd"))["metrics"]
        none = await answer(client, "experiment/metrics/get-metric", **EXPERIMENT, metricName="nope")
        every = (await answer(client, "experiment/metrics/get-all", **EXPERIMENT))["metrics"]
    assert [float(point["metricValue"]) for point in points] == [1 / (step + 1) for step in range(1000)]
    assert [point["metricValue"] for point in odd] == ["NaN", "Infinity", "text"]
    assert none == {"metrics": []}
    assert every == points + odd


async def ask_chart(client: httpx.AsyncClient, **question: Any) -> Any:
    return (await client.post(REST + "experiments/multi-metric-chart", json=question)).json()


async def test_a_chart_has_numbers(directory: Path) -> None:
    """Charts come as parallel arrays of numbers; what JSON has no number for is text, what is no number is null."""
    async with asking(directory) as client:
        chart = await ask_chart(
            client, targetedExperiments=[KEY, "nope"], metrics=["odd", "x"], params=["lr"], fetchFull=True
        )
    (only,) = chart["experiments"].values()
    assert (only["experimentKey"], only["experimentName"], only["params"]) == (KEY, "run", {"lr": "0.1"})
    (odd,) = only["metrics"]
    assert (odd["metricName"], odd["values"], odd["steps"]) == ("odd", ["NaN", "Infinity", None], [0, 1, 2])


async def test_a_chart_is_sampled_unless_asked_in_full(directory: Path) -> None:
    """About 500 points suffice for a picture, the first and the last among them; in full there are all."""
    async with asking(directory) as client:
        counts = []
        for full in (False, True):
            chart = await ask_chart(client, targetedExperiments=[KEY], metrics=["loss"], fetchFull=full)
            steps = chart["experiments"][KEY]["metrics"][0]["steps"]
            counts.append((len(steps), steps[0], steps[-1], steps == sorted(set(steps))))
    assert counts == [(500, 0, 999, True), (1000, 0, 999, True)]


async def test_a_chart_of_dependent_metrics_has_shared_steps(directory: Path) -> None:
    """Metrics that are not independent have the steps that all of them have, no others."""
    async with asking(directory) as client:
        chart = await ask_chart(client, targetedExperiments=[KEY], metrics=["loss", "odd"], independentMetrics=False)
    assert [one["steps"] for one in chart["experiments"][KEY]["metrics"]] == [[0, 1, 2], [0, 1, 2]]


async def test_a_chart_of_nothing_is_empty(directory: Path) -> None:
    """When no experiment has what is asked for, the answer is the one that was recorded of the real Comet."""
    async with asking(directory) as client:
        assert await ask_chart(client, targetedExperiments=[KEY], metrics=["nope"]) == {
            "experiments": {},
            "empty": True,
        }


async def test_assets_are_listed_by_type_and_by_name(directory: Path) -> None:
    """A type or a name leaves the others out; the sizes are those of the files."""
    async with asking(directory) as client:
        every = (await answer(client, "experiment/asset/list", **EXPERIMENT))["assets"]
        curves = (await answer(client, "experiment/asset/list", **EXPERIMENT, type="curve"))["assets"]
        named = (await answer(client, "experiment/asset/get-by-name", **EXPERIMENT, assetName="d/blob.bin"))["assets"]
        none = await answer(client, "experiment/asset/get-by-name", **EXPERIMENT, assetName="blob.bin")
    assert {row["assetId"]: row["fileSize"] for row in every} == {
        "a1": len(BLOB),
        "a2": len(BLOB),
        "a3": 0,
        "a4": 7,
        "r": 0,
    }
    assert [row["assetId"] for row in curves] == ["a2"]
    assert [(row["assetId"], row["metadata"]) for row in named] == [("a1", '{"m": 1}')]
    assert none == {"assets": []}


async def test_assets_bytes_come_whole(directory: Path) -> None:
    """An asset is its file's bytes with their number in front, an empty one too; where a redirect is allowed, too."""
    async with asking(directory) as client:
        for asset, body in {"a1": BLOB, "a3": b"", "a4": b"weights"}.items():
            query = EXPERIMENT | {"assetId": asset, "allow301": "True"}
            reply = await client.get(REST + "experiment/asset/get-asset", params=query)
            assert (reply.status_code, reply.content) == (200, body)
            assert reply.headers["content-length"] == str(len(body))


async def test_a_link_leads_to_the_asset(directory: Path) -> None:
    """The link in a listing is an address of this server."""
    async with asking(directory) as client:
        row = (await answer(client, "experiment/asset/list", **EXPERIMENT))["assets"][0]
        assert (await client.get(row["link"])).content == BLOB


async def test_models_are_named(directory: Path) -> None:
    """An experiment's models are listed by name, and their files under it."""
    async with asking(directory) as client:
        models = (await answer(client, "experiment/model", **EXPERIMENT))["models"]
        files = (await answer(client, "experiment/model/asset/list", **EXPERIMENT, modelName="mm"))["assets"]
        none = await answer(client, "experiment/model", experimentKey="elsewhere")
    assert [model["modelName"] for model in models] == ["mm"]
    assert [(row["fileName"], row["dir"]) for row in files] == [("w.bin", "models/mm")]
    assert none == {"models": []}


async def test_what_was_not_logged_is_null(directory: Path) -> None:
    """An experiment with nothing in it answers everything: nulls, empty lists, and a message instead of a patch."""
    async with asking(directory) as client:
        query = {"experimentKey": "elsewhere"}
        for name in ("html", "code", "output", "graph"):
            assert await answer(client, f"experiment/{name}", **query) == {name: None}
        for name in ("parameters", "metrics/summary", "log-other"):
            assert await answer(client, f"experiment/{name}", **query) == {"values": []}
        assert set((await answer(client, "experiment/git/metadata", **query)).values()) == {None}
        assert (await answer(client, "experiment/system-details", **query))["installedPackages"] is None
        assert (await client.get(REST + "experiment/git/patch", params=query)).content.startswith(b'{"msg"')


async def test_a_patch_is_its_zip(tmp_path: Path) -> None:
    """The patch is the zip that the SDK packed, and no asset of any list."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("git_diff.patch", "diff")
    write_run(tmp_path, KEY, [line("file_upload", file_path="patch", upload_type="git-patch", additional_params=None)])
    (tmp_path / KEY / "patch").write_bytes(packed.getvalue())
    async with asking(tmp_path) as client:
        assert (await client.get(REST + "experiment/git/patch", params=EXPERIMENT)).content == packed.getvalue()
        assert await answer(client, "experiment/asset/list", **EXPERIMENT) == {"assets": []}


async def test_columns_are_every_name_of_a_project(directory: Path) -> None:
    """One answer has the names of all metrics, parameters, others and tags, each with its source and type."""
    async with asking(directory) as client:
        columns = (await answer(client, "project/column-names", workspaceName="ws", projectName="p"))["columns"]
    told = {(column["source"], column["name"]): column["type"] for column in columns}
    assert told["metrics", "loss"] == told["params", "lr"] == "double"
    assert told["log_other", "Name"] == "string"
    assert ("tag", "t") in told
    assert {"name": "loss", "id": "loss--metrics", "type": "double", "source": "metrics"} in columns


async def test_the_store_keeps_its_text(directory: Path) -> None:
    """What was stored is what is told, as a whole."""
    async with asking(directory) as client:
        assert await answer(client, "panel/store") == {"store": "{}"}
        reply = await client.post(REST + "write/panel/store", json={"store": '{"k": 1}'})
        assert reply.json() == {"msg": "Stored"}
        assert await answer(client, "panel/store") == {"store": '{"k": 1}'}


async def test_the_access_log_has_a_line_per_request(directory: Path, tmp_path: Path) -> None:
    """Whoever has an answer finds its line: method, path, query, status, bytes of the body; never a key."""
    log = tmp_path / "access.log"
    async with asking(directory, key="secret-key", access_log=log) as client:
        for path, query in [
            ("workspaces", {}),
            ("experiment/asset/get-asset", EXPERIMENT | {"assetId": "a1"}),
            ("no", {}),
        ]:
            reply = await client.get(REST + path, params=query)
            entry = json.loads(log.read_text().splitlines()[-1])
            assert entry.pop("time") > 0
            assert entry == {
                "method": "GET",
                "path": REST + path,
                "query": str(httpx.QueryParams(query)),
                "status": reply.status_code,
                "bytes": len(reply.content),
            }
        await client.get(REST + "workspaces", headers={"Authorization": ""})
    assert len(log.read_text().splitlines()) == 4
    assert "secret-key" not in log.read_text()


async def test_the_access_log_is_ahead_of_the_answer(tmp_path: Path) -> None:
    """The line is in the file before the last bytes leave, so nobody has an answer that is not in the log yet."""
    path = tmp_path / "log"

    async def app(_: Scope, __: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"1234", "more_body": True})
        await send({"type": "http.response.body", "body": b"5"})

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    logged: list[tuple[bool, bool]] = []

    async def send(message: Message) -> None:
        logged.append((message["type"].endswith("body") and not message.get("more_body", False), path.exists()))

    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b""}
    await AccessLog(app, path)(scope, receive, send)
    assert logged == [(False, False), (False, False), (True, True)]
    assert json.loads(path.read_text())["bytes"] == 5


async def test_latency_delays_every_answer(directory: Path, autojump_clock: MockClock) -> None:
    """Every answer takes that long, errors and answers without a key included."""
    async with asking(directory, latency=3.0) as client:
        for path in ("/clientlib/isAlive/ver", REST + "workspaces", "/nope"):
            before = trio.current_time()
            await client.get(path)
            assert math.isclose(trio.current_time() - before, 3.0)


async def test_a_lost_archive_is_an_error_of_its_requests(directory: Path) -> None:
    """When an archive goes away under the server, what needs it fails in Comet's shape; the rest is answered."""
    app = make_app(open_directory(directory))
    (directory / KEY / "messages.json").unlink()
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://comet", headers={"Authorization": "k"}
    ) as client:
        lost = await client.get(REST + "experiment/metrics/get-all", params=EXPERIMENT)
        kept = await client.get(REST + "experiment/metadata", params=EXPERIMENT)
    assert (lost.status_code, lost.json()["code"], kept.status_code) == (500, 500, 200)
