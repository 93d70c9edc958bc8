"""Calls of a client that logs, in process: what is answered to which body, and what is told of it afterwards."""

from __future__ import annotations

import gzip
import json
import os
import socket
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from cometfs.server.catalog.catalog import open_directory
from cometfs.server.http.app import make_app
from cometfs.server.http.listener import serve
from cometfs.server.storage import journal
from cometfs.server.storage.dedup import ArchiveFilter
from cometfs.server.storage.journal import Journal
from cometfs.server.storage.lock import Locked, lock

KEY = "00c0ffee" * 4
REST = "/api/rest/v2/"
START = {"experimentKey": KEY, "projectName": None, "teamName": None, "local_timestamp": 1000}


class Client:
    """Asks a server whose clock of silence is `time`."""

    def __init__(self, directory: Path) -> None:
        self.time = 0.0
        self.locked: Locked = lock(directory)
        index = open_directory(directory)
        self.app = make_app(index, journal=Journal(index, self.locked, crashed_after=30, clock=lambda: self.time))
        self.http = httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app), base_url="http://comet", headers={"Authorization": "k"}
        )

    async def post(self, path: str, body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Any:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        reply = await self.http.post(path if path.startswith("/") else REST + path, content=content, headers=headers)
        assert reply.status_code == status, reply.text
        return reply.json()

    async def get(self, path: str, **query: Any) -> Any:
        reply = await self.http.get(REST + path, params={"experimentKey": KEY} | query)
        assert reply.status_code == 200, reply.text
        return reply.json()

    async def row(self) -> Any:
        return await self.get("experiment/metadata")


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    """With one experiment that has begun."""
    made = Client(tmp_path)
    await made.post("/clientlib/logger/add/run", START)
    yield made
    await made.http.aclose()


async def test_the_handshake(client: Client) -> None:
    """It tells the project, where to look at the run, and how large files may be."""
    said = await client.post("/clientlib/logger/add/run", START)
    row = await client.row()
    assert (said["project_id"], row["workspaceName"], row["projectName"]) == (row["projectId"], "default", "general")
    assert said["focusUrl"] == "http://comet/default/general/"
    assert said["upload_file_size_limit_in_mb"] > 1000
    assert (await client.get("account-details"))["defaultWorkspaceName"] == "default"


async def test_the_handshake_again(client: Client) -> None:
    """A client that asks again, because it got no answer, is let in; another run of that key only if it says so."""
    await client.post("/clientlib/logger/add/run", START)
    other = START | {"local_timestamp": 2000}
    assert (await client.post("/clientlib/logger/add/run", other, 400))["sdk_error_code"] == 90999
    await client.post("/clientlib/logger/add/run", other | {"getOrCreateEnabled": True})
    await client.post("/clientlib/logger/get/run", {"previousExperiment": KEY})
    unknown = await client.post("/clientlib/logger/get/run", {"previousExperiment": "x"}, 400)
    assert unknown["sdk_error_code"] == 90210
    assert len((await client.get("experiments", workspaceName="default", projectName="general"))["experiments"]) == 1


async def log_three(client: Client, sent: int) -> None:
    """As comet_ml does, and as its uploader repeats it: a report, points, then output."""
    await client.post("write/experiment/html", {"experimentKey": KEY, "html": "<p>", "timestamp": sent})
    values = [{"metricName": "m", "metricValue": at, "step": at, "timestamp": 2000 + at} for at in range(3)]
    await client.post("/clientlib/batch/logger/experiment/metric", {"experimentKey": KEY, "values": values})
    await say(client, sent, "same\n", "same\n")


async def say(client: Client, sent: int, *texts: str) -> None:
    lines = [{"output": text, "offset": number, "localTimestamp": sent} for number, text in enumerate(texts)]
    await client.post("/clientlib/rest/v2/write/experiment/output", {"experimentKey": KEY, "outputLines": lines})


async def found(client: Client) -> tuple[list[int], str]:
    points = (await client.get("experiment/metrics/get-metric", metricName="m"))["metrics"]
    return [point["step"] for point in points], (await client.get("experiment/output"))["output"]


UPLOAD = START | {"local_timestamp": 9000, "offline": True}


async def test_an_archive_completes_a_run_that_never_ended(client: Client) -> None:
    """What is known is left out, once, also when the uploader repeats a request; its start stays."""
    await log_three(client, 0)
    refused = await client.post("/clientlib/logger/add/run", UPLOAD, 400)
    assert refused["sdk_error_code"] == 90999, "it still runs"
    client.time = 31
    await client.post("/clientlib/logger/add/run", UPLOAD | {"offline": False}, 400)
    for attempt in (1, 2):
        await client.post("/clientlib/logger/add/run", UPLOAD)
        await log_three(client, attempt)
        await log_three(client, attempt)
    await say(client, 3, "more\n")
    assert await found(client) == ([0, 1, 2], "same\nsame\nmore\n")
    assert (await client.get("experiment/html"))["html"] == "<p>"
    end = {"experimentKey": KEY, "is_alive": False, "local_timestamp": 9100}
    await client.post("/clientlib/status-report/update", end)
    times = {"experimentKey": KEY, "startTimestamp": 1500, "endTimestamp": 8000}
    await client.post("/clientlib/status-report/offline-metadata", times)
    row = await client.row()
    assert (row["startTimeMillis"], row["endTimeMillis"], row["running"], row["hasCrashed"]) == (
        1000,
        8000,
        False,
        False,
    )
    assert (await client.post("/clientlib/logger/add/run", UPLOAD, 400))["sdk_error_code"] == 90999, "it has ended"


async def test_a_long_log_is_compared_while_others_are_answered(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run of a million points takes seconds to read; one that reports itself meanwhile goes on as it is."""
    began, goes_on = threading.Event(), threading.Event()

    class Slow(ArchiveFilter):
        def __init__(self, archives: Any, since: float) -> None:
            began.set()
            assert goes_on.wait(60)
            super().__init__(archives, since)

    await log_three(client, 0)
    client.time = 31
    monkeypatch.setattr(journal, "ArchiveFilter", Slow)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.post, "/clientlib/logger/add/run", UPLOAD, 400)
        await trio.to_thread.run_sync(began.wait)
        await client.post("/clientlib/logger/get/run", {"previousExperiment": KEY})
        goes_on.set()
    assert (await client.row())["running"]


async def test_another_archive_of_its_key_is_left_whole(client: Client) -> None:
    """One that shares no point with the run was written by another process, which may print the same."""
    await say(client, 0, "same\n")
    client.time = 31
    await client.post("/clientlib/logger/add/run", UPLOAD)
    await log_three(client, 1)
    assert await found(client) == ([0, 1, 2], "same\n" * 3)


async def test_a_run_that_goes_on_after_an_upload_prints_anew(client: Client) -> None:
    """What it prints is not what its archive says."""
    await log_three(client, 2)
    client.time = 31
    await client.post("/clientlib/logger/add/run", UPLOAD)
    await client.post("/clientlib/logger/get/run", {"previousExperiment": KEY})
    await log_three(client, 3)
    assert await found(client) == ([0, 1, 2], "same\n" * 4)
    client.time = 62
    await client.post("/clientlib/logger/add/run", UPLOAD)
    await log_three(client, 4)
    assert await found(client) == ([0, 1, 2], "same\n" * 4)


async def test_states(client: Client) -> None:
    """A run runs for as long as it is heard of, has crashed when not, and has finished when it said so."""

    async def seen() -> tuple[Any, ...]:
        row = await client.row()
        return row["running"], row["hasCrashed"]

    beat = {"experimentKey": KEY, "is_alive": True, "local_timestamp": 2000}
    asked = await client.post("/clientlib/status-report/update", beat)
    assert asked["is_alive_beat_duration_millis"] == 10_000
    assert asked["gpu_monitor_interval_millis"] > 0
    assert await seen() == (True, False)
    client.time = 30.0
    assert await seen() == (False, True)
    await client.post("/clientlib/status-report/update", beat)
    assert await seen() == (True, False)
    await client.post("/clientlib/status-report/update", beat | {"is_alive": False, "local_timestamp": 5000})
    assert await seen() == (False, False)
    assert (await client.row())["durationMillis"] == 4000
    await client.post("write/experiment/update-status", {"experimentKey": KEY, "isAlive": True})
    assert await seen() == (True, False)
    error = {"experimentKey": KEY, "isAlive": True, "error": "it broke", "hasCrashed": True}
    await client.post("write/experiment/update-status", error)
    await client.get("write/experiment/stop")
    assert await seen() == (False, True)


async def test_what_a_run_says_of_itself(client: Client) -> None:
    """That it failed counts until it says otherwise, also when it goes on, and when it is told after the end."""

    async def crashed(**told: Any) -> bool:
        await client.post("write/experiment/update-status", {"experimentKey": KEY} | told)
        await client.get("write/experiment/stop")
        return bool((await client.row())["hasCrashed"])

    assert await crashed(isAlive=True, hasCrashed=True)
    assert await crashed(isAlive=True)
    assert await crashed(error="it broke")
    assert not await crashed(isAlive=True, hasCrashed=False)
    failed = {"experimentKey": KEY, "isAlive": True, "error": "it broke", "hasCrashed": True}
    await client.post("write/experiment/update-status", failed)
    row = await client.row()
    assert (row["running"], row["hasCrashed"]) == (False, True)


async def test_a_name_that_somebody_gives_is_no_sign_of_life(client: Client) -> None:
    """A run that has crashed stays so for who renames it, and runs for who logs a batch of points."""
    client.time = 31.0
    await client.post("write/experiment/log-other", {"experimentKey": KEY, "key": "Name", "value": "x"})
    assert (await client.row())["running"] is False
    values = [{"metricName": "m", "metricValue": 1, "step": 1, "timestamp": 2000}]
    await client.post("/clientlib/batch/logger/experiment/metric", {"experimentKey": KEY, "values": values})
    assert (await client.row())["running"] is True


async def test_the_end_follows_a_run(client: Client) -> None:
    """While it runs, a run's end and its project's last update are when it was last heard of."""
    await client.post(REST + "write/experiment/metric", metric("loss", 1, timestamp=4_000_000_000_000))
    row = await client.row()
    assert row["endTimeMillis"] == 4_000_000_000_000
    project = await client.get("project", projectId=row["projectId"])
    assert (project["lastUpdated"], project["numberOfExperiments"]) == (4_000_000_000_000, 1)


async def test_times_that_are_no_times(client: Client) -> None:
    """Dependencies come with a time that comet_ml has multiplied once too often; nonsense breaks no answer."""
    dependency = {"experimentKey": KEY, "logDependencies": [{"name": "n", "version": "1"}], "timestamp": 4 * 10**15}
    await client.post("write/experiment/dependencies", dependency)
    assert (await client.row())["endTimeMillis"] == 4_000_000_000_000
    await client.post("write/experiment/metric", metric("loss", 1, timestamp=-1))
    await client.post("write/experiment/metric", metric("loss", 1, timestamp=10**40))
    rule = {"field": "last_message_time", "operator": "greater", "value": "2020-01-01", "type": "datetime"}
    predicates = [{"source": "metadata", "query": {"rules": [rule]}}]
    where = {"workspaceName": "default", "projectName": "general", "predicates": predicates}
    await client.post("project/query", where)


def metric(name: str, value: Any, **more: Any) -> Any:
    return {"experimentKey": KEY, "metricName": name, "metricValue": value, **more}


async def test_bodies_as_python_writes_them(client: Client) -> None:
    """Packed or not, with NaN and infinities bare or in text."""
    values = [{"metricName": "m", "metricValue": value, "timestamp": at} for at, value in enumerate([1.5, "NaN"])]
    body = gzip.compress(json.dumps({"experimentKey": KEY, "values": values}).encode())
    await client.post("/clientlib/batch/logger/experiment/metric", body, headers=GZIP)
    await client.post("write/experiment/metric", metric("m", float("-inf")))
    await client.post("write/experiment/log-other", {"experimentKey": KEY, "key": "k", "value": [float("nan")]})
    await client.post("/clientlib/notification/experiment", b'{"additional_data": NaN}')
    points = (await client.get("experiment/metrics/get-metric", metricName="m"))["metrics"]
    assert [point["metricValue"] for point in points] == ["1.5", "NaN", "-Infinity"]
    assert (await client.get("experiment/log-other"))["values"][0]["valueCurrent"] == '["NaN"]'


async def test_a_metric_without_a_name(client: Client) -> None:
    """The SDK logs it; who finds it among the metrics can ask for it."""
    await client.post("write/experiment/metric", metric("", 1.5))
    assert [one["name"] for one in (await client.get("experiment/metrics/summary"))["values"]] == [""]
    assert [
        one["metricValue"] for one in (await client.get("experiment/metrics/get-metric", metricName=""))["metrics"]
    ] == ["1.5"]


async def test_a_name_is_a_name(client: Client) -> None:
    """A run is called what it said last, in every answer."""
    for name in ("one", "two"):
        await client.post("write/experiment/log-other", {"experimentKey": KEY, "key": "Name", "value": name})
    assert (await client.row())["experimentName"] == "two"
    rows = await client.get("experiments", workspaceName="default", projectName="general")
    assert rows["experiments"][0]["experimentName"] == "two"


async def test_a_chart_is_not_stale(client: Client) -> None:
    """What was asked for before is asked for again when there is more."""
    question = {"targetedExperiments": [KEY], "metrics": ["m"], "params": ["lr"]}
    for count in (1, 2):
        await client.post("write/experiment/metric", metric("m", count, step=count))
        await client.post(
            "write/experiment/parameter", {"experimentKey": KEY, "parameterName": "lr", "parameterValue": count}
        )
        (chart,) = (await client.post("experiments/multi-metric-chart", question))["experiments"].values()
        assert chart["metrics"][0]["values"] == list(range(1, count + 1))
        assert chart["params"] == {"lr": str(count)}
    columns = (await client.get("project/column-names", workspaceName="default", projectName="general"))["columns"]
    assert {"m", "lr"} <= {column["name"] for column in columns}


async def test_tags_come_and_go(client: Client) -> None:
    """Tags are added and taken away, each once."""
    await client.post("/clientlib/tags/add-tags-to-experiment", {"experimentKey": KEY, "addedTags": ["b", "a", "b"]})
    await client.post("write/experiment/tags", {"experimentKey": KEY, "addedTags": ["c", "a"]})
    await client.post("write/experiment/tags/delete", {"experimentKey": KEY, "tags": ["a", "?"]})
    assert (await client.get("experiment/tags"))["tags"] == ["b", "c"]


async def test_parts_of_system_details_are_one_answer(client: Client) -> None:
    """Requests that each tell a part add up; a null takes nothing away."""
    for part in (
        {"osPackages": ["a=1"]},
        {"user": "me", "pid": 7, "ip": None},
        {"installedPackages": ["b==2"], "logAdditionalSystemInfoList": [{"key": "k", "value": {"x": 1}}]},
        {"gpuStaticInfoList": [{"name": "g"}], "networkInterfaceIps": ["10.0.0.1"]},
    ):
        await client.post("/clientlib/rest/v2/write/experiment/system-details", {"experimentKey": KEY} | part)
    again = {"experimentKey": KEY, "logAdditionalSystemInfoList": [{"key": "k", "value": 2}, {"key": "l", "value": 3}]}
    await client.post("/clientlib/rest/v2/write/experiment/system-details", again)
    told = await client.get("experiment/system-details")
    assert (told["osPackages"], told["installedPackages"], told["user"], told["pid"]) == (["a=1"], ["b==2"], "me", 7)
    assert told["logAdditionalSystemInfoList"] == [{"key": "k", "value": "2"}, {"key": "l", "value": "3"}]
    assert (told["gpuStaticInfoList"], told["networkInterfaceIps"]) == ([{"name": "g"}], ["10.0.0.1"])


BATCH = "/clientlib/batch/logger/experiment/metric"
GZIP = {"content-encoding": "gzip"}


@pytest.mark.parametrize(
    ("path", "body", "status", "headers"),
    [
        (BATCH, b"", 400, {}),
        (BATCH, b"[]", 400, {}),
        (BATCH, b"{", 400, {}),
        pytest.param(BATCH, b"[" * 100_000, 400, {}, id="deep"),
        (BATCH, b"\xff", 400, {}),
        (BATCH, {"experimentKey": KEY}, 400, {}),
        (BATCH, {"experimentKey": KEY, "values": [{"metricName": None}, {"step": 1}, 5]}, 400, {}),
        (BATCH, {"experimentKey": "?", "values": []}, 400, {}),
        (BATCH, b"no gzip", 400, GZIP),
        (BATCH, gzip.compress(b'{"experimentKey"', mtime=0)[:-9], 400, GZIP),
        pytest.param(BATCH, lambda: gzip.compress(b" " * (33 << 20), 1), 413, GZIP, id="a bomb"),
        pytest.param(
            *(REST + "project/query", lambda: gzip.compress(b" " * ((256 << 20) + 1), 1), 413, GZIP), id="a big bomb"
        ),
        (BATCH, {"experimentKey": KEY, "values": [{"metricName": "x"}] * 100_001}, 413, {}),
        (BATCH, b"x", 415, {"content-encoding": "br"}),
        (REST + "project/query", b"{}", 415, {"content-encoding": "br"}),
        (REST + "write/experiment/system-details", {"experimentKey": KEY, "pid": "seven"}, 400, {}),
        (REST + "write/experiment/system-details", {"experimentKey": KEY, "logAdditionalSystemInfoList": 5}, 400, {}),
        (REST + "write/experiment/system-details", {"pid": 1}, 400, {}),
        (REST + "write/experiment/html", {"experimentKey": KEY, "html": {}}, 400, {}),
        ("/clientlib/logger/add/run", {"experimentKey": "../../etc", "teamName": "x"}, 400, {}),
        ("/clientlib/status-report/update", {"experimentKey": "nobody"}, 400, {}),
        ("/clientlib/tags/add-tags-to-experiment", {"experimentKey": KEY, "addedTags": {}}, 400, {}),
        (REST + "write/experiment/set-start-end-time", {"experimentKey": KEY, "startTimeMillis": "x"}, 400, {}),
    ],
)
async def test_bad_bodies(client: Client, path: str, body: Any, status: int, headers: dict[str, str]) -> None:
    """What cannot be understood is refused in Comet's shape, changes nothing, and is no failure of the server."""
    before = await client.row()
    refused = await client.post(path, body() if callable(body) else body, status, headers)
    assert refused["code"] == status
    assert refused["msg"]
    assert await client.row() == before


async def test_a_server_of_a_sample_takes_nothing(tmp_path: Path) -> None:
    """Where nothing is kept nothing is taken, and the client is told why."""
    app = make_app(open_directory(tmp_path), closed="nothing can be logged here")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://comet") as http:
        headers = {"Authorization": "k"}
        reply = await http.post("/clientlib/logger/add/run", json=START, headers=headers)
        assert (reply.status_code, reply.json()["msg"]) == (403, "nothing can be logged here")
    assert list(tmp_path.iterdir()) == []


async def test_reading_while_it_grows(client: Client) -> None:
    """Readers in threads walk through names, points and lines while more of all come: every answer is whole."""
    done = False

    async def read(path: str, of: str) -> None:
        seen = 0
        while not done:
            count = len((await client.get(path))[of] or ())
            assert count >= seen
            seen = count

    async def query() -> None:
        where: dict[str, Any] = {"workspaceName": "default", "projectName": "general"}
        rule = {"field": "m0", "source": "metrics", "operator": "is_not_null", "type": "double"}
        where["predicates"] = [{"source": "metrics", "query": {"condition": "AND", "rules": [rule]}}]
        while not done:
            await client.post("project/query", where)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read, "experiment/metrics/get-all", "metrics")
        nursery.start_soon(read, "experiment/output", "output")
        nursery.start_soon(query)
        for number in range(150):
            values = [{"metricName": f"m{number}", "metricValue": n, "timestamp": n} for n in range(3)]
            await client.post(BATCH, {"experimentKey": KEY, "values": values})
            lines = {"experimentKey": KEY, "outputLines": [{"output": "é\n", "offset": number}]}
            await client.post("/clientlib/rest/v2/write/experiment/output", lines)
        done = True
    assert (await client.get("experiment/output"))["output"] == "é\n" * 150
    assert len((await client.get("experiment/metrics/get-all"))["metrics"]) == 450


async def test_a_client_that_goes_away_in_the_middle(tmp_path: Path) -> None:
    """Half a request logs nothing, and the server complains of nothing and goes on."""
    client = Client(tmp_path)
    async with trio.open_nursery() as nursery:
        url = await nursery.start(serve, client.app, "127.0.0.1:0")
        await client.post("/clientlib/logger/add/run", START)
        stream = await trio.open_tcp_stream("127.0.0.1", int(url.rsplit(":", 1)[1]))
        host = url.removeprefix("http://")
        head = f"POST {BATCH} HTTP/1.1\r\nHost: {host}\r\nAuthorization: k\r\nContent-Length: 1000\r\n\r\n"
        await stream.send_all(head.encode() + b'{"experimentKey": ')
        stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        await stream.aclose()
        async with httpx.AsyncClient(headers={"Authorization": "k"}, timeout=60) as http:
            body = metric("m", 1)
            assert (await http.post(url + REST + "write/experiment/metric", json=body)).status_code == 200
        nursery.cancel_scope.cancel()
    lines = (tmp_path / KEY / "messages.json").read_text().splitlines()
    assert len(lines) == 1
    os.close(client.locked._file)


@pytest.mark.parametrize("depth", [150, 300, 500, 955, 970, 100_000])
async def test_depth(client: Client, depth: int) -> None:
    """However deep lists stand in each other: a value is refused, or told now and by whoever reads it later."""
    body = b'{"experimentKey": "%s", "key": "k", "value": %s%s}' % (KEY.encode(), b"[" * depth, b"]" * depth)
    await client.post("write/experiment/log-other", body, 200 if depth < 200 else 400)
    values = (await client.get("experiment/log-other"))["values"]
    assert [row["valueCurrent"] for row in values] == (["[" * depth + "]" * depth] if depth < 200 else [])
    log = client.locked.path / KEY / "messages.json"
    assert bool(log.read_bytes()) == bool(values)


async def test_a_step_that_is_no_number_costs_no_value(client: Client) -> None:
    """It is left out, and what came with it is kept."""
    steps = [1, "7", float("nan"), [2], True, 2.5]
    values = [
        {"metricName": "m", "metricValue": at, "step": step, "epoch": step, "timestamp": step}
        for at, step in enumerate(steps)
    ]
    await client.post("/clientlib/batch/logger/experiment/metric", {"experimentKey": KEY, "values": values})
    points = (await client.get("experiment/metrics/get-metric", metricName="m"))["metrics"]
    assert [(point["metricValue"], point["step"], point["epoch"]) for point in points] == [
        ("0", 1, 1), ("1", None, None), ("2", None, None), ("3", None, None), ("4", None, None), ("5", 2.5, 2.5)
    ]  # fmt: skip
    settings = [{"parameterName": "a", "parameterValue": 1, "step": "x", "timestamp": "y"}]
    await client.post("/clientlib/batch/logger/experiment/parameter", {"experimentKey": KEY, "values": settings})
    (row,) = (await client.get("experiment/parameters"))["values"]
    assert row["valueCurrent"] == "1"


async def test_what_stands_behind_a_packed_body_is_refused(client: Client) -> None:
    """Nothing of what was sent is dropped in silence."""
    body = gzip.compress(json.dumps(metric("m", 1)).encode())
    await client.post("write/experiment/metric", body + gzip.compress(b"{}"), 400, GZIP)
    await client.post("write/experiment/metric", body + b"more", 400, GZIP)
    await client.post("write/experiment/metric", body, headers=GZIP)
    assert len((await client.get("experiment/metrics/get-metric", metricName="m"))["metrics"]) == 1


async def test_a_name_has_its_context_once(client: Client) -> None:
    """What a tool copies from another Comet has it already, in metrics and parameters; a mere likeness is none."""
    for name in ("loss", "train_loss", "trainable"):
        await client.post("write/experiment/metric", metric(name, 1) | {"context": "train"})
        body = {"experimentKey": KEY, "parameterName": name, "parameterValue": 1, "context": "train"}
        await client.post("write/experiment/parameter", body)
    for path in ("metrics/summary", "parameters"):
        rows = (await client.get(f"experiment/{path}"))["values"]
        assert [row["name"] for row in rows] == ["train_loss", "train_trainable"]
    points = await client.get("experiment/metrics/get-metric", metricName="train_loss")
    assert len(points["metrics"]) == 2


async def test_the_first_of_several_values_counts(client: Client) -> None:
    """`get_metrics(["b", "a"])` of comet_ml asks so, and Comet answers with the points of b."""
    for name in ("a", "b"):
        await client.post("write/experiment/metric", metric(name, 1))
    found = await client.get("experiment/metrics/get-metric", metricName=["b", "a"])
    assert [row["metricName"] for row in found["metrics"]] == ["b"]


async def test_facts_about_the_system_are_told_once(client: Client) -> None:
    """The last of each, whether a client repeats them or says them anew."""
    for value in ("3", "3", "4"):
        facts = [{"key": "cluster", "value": value}, {"key": "zone", "value": "z"}]
        body = {"experimentKey": KEY, "logAdditionalSystemInfoList": facts}
        await client.post("write/experiment/system-details", body)
    told = (await client.get("experiment/system-details"))["logAdditionalSystemInfoList"]
    assert told == [{"key": "cluster", "value": "4"}, {"key": "zone", "value": "z"}]


async def test_what_is_not_there_says_so(client: Client) -> None:
    """What the manual says that there is no endpoint for is no failure of the server."""
    absent = ["cpu-metrics", "gpu-metrics", "ram-metrics", "load-metrics", "asset/delete", "parameter/delete"]
    paths = [f"write/experiment/{name}" for name in absent]
    paths += ["write/project/update-owner", "write/project/symlink"]
    paths += ["write/registry-model/notes", "write/registry-model/update"]
    for path in paths:
        assert (await client.post(path, {"experimentKey": KEY}, 404))["code"] == 404
