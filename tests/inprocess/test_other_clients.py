"""Bodies of clients in other languages, and batches with wrong items: what is kept, and what the answer says."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from cometfs.server.storage.journal import Journal
from cometfs.server.write_api import llm
from tests.inprocess.test_uploads import KEY, MOVE, OTHER, REST, Client

CLIENTLIB = "/clientlib/"


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    """With one experiment that has begun."""
    made = Client(tmp_path)
    await made.begin()
    yield made
    await made.http.aclose()


# -- clients in other languages ----------------------------------------------------------------------------------------


async def test_an_experiment_is_created_with_its_link(client: Client) -> None:
    """R and comet_llm give up without `link`; comet_llm sends a null for a workspace that was not set."""
    asked = {"workspaceName": None, "projectName": "my llm/1", "experimentName": None, "type": "LLM"}
    made = await client.post("write/experiment/create", asked)
    assert (made["workspaceName"], made["projectName"]) == ("default", "my llm/1")
    assert made["link"] == f"http://comet/default/my%20llm%2F1/{made['experimentKey']}"
    row = await client.get("experiment/metadata", experimentKey=made["experimentKey"])
    assert (row["running"], row["hasCrashed"], row["workspaceName"]) == (False, False, "default")
    dots = await client.post("write/experiment/create", {"workspaceName": "..", "projectName": "."})
    page = await client.http.get(dots["link"])
    assert (page.status_code, dots["experimentKey"] in page.text) == (200, True)
    unnamed = await client.post("write/experiment/create", {})
    assert (unnamed["workspaceName"], unnamed["projectName"]) == ("default", "general")


async def test_an_experiment_in_r(client: Client) -> None:
    """It has lists of one as their item, numbers wherever text is declared, and lines of output without their ends."""
    key = (await client.post("write/experiment/create", {"projectName": "p", "workspaceName": "ws"}))["experimentKey"]

    async def log(endpoint: str, **body: Any) -> None:
        assert (await client.post(f"write/experiment/{endpoint}", {"experimentKey": key} | body))["msg"] == "ok"

    await log("tags", addedTags="alone")
    await log("tags", addedTags=["a", 7, True])
    await log("metric", metricName=5, metricValue=0.25, timestamp=1764356888123)
    await log("parameter", parameterName=1.5, parameterValue="x", timestamp=1764356888123)
    await log("output", outputLines=[{"offset": 1, "output": "one"}, {"offset": 2, "output": 2}], context="train")
    await log("html", html=12, timestamp=1764356888123)
    await log("code", code=3)
    await log("system-details", user=1000, pid=7, installedPackages=["cometr 0.4", 5])
    for one in (client, client.again()):
        assert (await one.get("experiment/tags", experimentKey=key))["tags"] == ["7", "a", "alone", "true"]
        (point,) = (await one.get("experiment/metrics/get-metric", experimentKey=key, metricName="5"))["metrics"]
        assert point["metricValue"] == "0.25"
        (row,) = (await one.get("experiment/parameters", experimentKey=key))["values"]
        assert (row["name"], row["valueCurrent"]) == ("1.5", "x")
        assert (await one.get("experiment/output", experimentKey=key))["output"] == "one\n2\n"
        assert (await one.get("experiment/html", experimentKey=key))["html"] == "12"
        assert (await one.get("experiment/code", experimentKey=key))["code"] == "3"
        details = await one.get("experiment/system-details", experimentKey=key)
        assert (details["user"], details["pid"], details["installedPackages"]) == ("1000", 7, ["cometr 0.4", "5"])


async def test_a_run_that_reports_by_set_status(client: Client) -> None:
    """R and Java send nothing else, as often as the answer says. R says no end: then it is when it was last heard."""
    key = (await client.post("write/experiment/create", {"workspaceName": "ws", "projectName": "p"}))["experimentKey"]

    async def row() -> Any:
        return await client.get("experiment/metadata", experimentKey=key)

    assert not (await row())["running"]
    asked = await client.get("write/experiment/set-status", experimentKey=key)
    assert (asked["isAliveBeatDurationMillis"], asked["cpuMonitorIntervalMillis"]) == (10_000, 60_000)
    begun = await row()
    assert (begun["running"], begun["hasCrashed"]) == (True, False)
    times = {"experimentKey": key, "startTimeMillis": 1000, "endTimeMillis": 5000}
    await client.post("write/experiment/set-start-end-time", times)
    ended = await row()
    assert (ended["running"], ended["hasCrashed"], ended["durationMillis"]) == (False, False, 4000)
    await client.get("write/experiment/set-status", experimentKey=key)
    assert (await row())["running"]
    silent = await client.again().get("experiment/metadata", experimentKey=key)
    assert (silent["running"], silent["hasCrashed"]) == (False, False)
    assert silent["endTimeMillis"] > 5000


async def test_beats_do_not_end_a_run_that_reports_its_end(client: Client) -> None:
    """A run of comet_ml that is silent has crashed, also if another program sent signs of life for it."""
    await client.get("write/experiment/set-status", experimentKey=KEY)
    row = await client.again().get("experiment/metadata", experimentKey=KEY)
    assert row["running"] or row["hasCrashed"]


async def test_models_are_registered_in_java(client: Client) -> None:
    """By the id of the model that the run logged: the first time as a model, then as versions of it."""
    await client.upload(b"w", type="model-element", groupingName="My Model", fileName="w.bin", assetId="e1")
    (model,) = (await client.get("experiment/model", experimentKey=KEY))["models"]
    asked: Any = {"experimentModelId": model["experimentModelId"], "registryModelName": "mine"}
    first = asked | {"description": "d", "isPublic": False, "version": "1.0.0", "comment": "c", "stages": ["prod"]}
    made = await client.post("write/registry-model", first)
    again = await client.post("write/registry-model/item", asked | {"version": "1.1.0"})
    assert made["registryModelId"] == again["registryModelId"]
    assert made["registryModelItemId"] != again["registryModelItemId"]
    for one in (client, client.again()):
        details = await one.get("registry-model/details", workspaceName="ws", modelName="mine")
        assert [version["version"] for version in details["versions"]] == ["1.1.0", "1.0.0"]
        assert (details["description"], details["versions"][1]["stages"]) == ("d", ["prod"])
    await one.post("write/registry-model", first | {"experimentModelId": "other"}, 404)
    await one.post("write/registry-model/item", asked | {"version": "one"}, 400)


# -- batches -----------------------------------------------------------------------------------------------------------

DEEP: Any = "x"
for _ in range(250):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    ("path", "field", "items", "wrong"),
    [
        (
            CLIENTLIB + "batch/logger/experiment/metric",
            "values",
            [{"metricName": "m", "metricValue": 1}, {"metricValue": 2}, 7, {"metricName": "m", "metricValue": DEEP}],
            [1, 2, 3],
        ),
        (
            CLIENTLIB + "batch/logger/experiment/parameter",
            "values",
            [{"parameterName": []}, {"parameterName": "m", "parameterValue": 1}, {"parameterValue": DEEP}],
            [0, 2],
        ),
        (REST + "write/experiment/output", "outputLines", [{"output": {}}, {"output": "m"}, {"offset": "x"}], [0, 2]),
        (REST + "write/experiment/dependencies", "logDependencies", [{"version": 1}, {"name": "m"}], [0]),
        (REST + "write/experiment/tags", "addedTags", ["m", None, {}], [1, 2]),
        (CLIENTLIB + "tags/add-tags-to-experiment", "addedTags", [[], "m"], [0]),
        (REST + "write/experiment/tags/delete", "tags", [[], "m"], [0]),
        (REST + "write/experiment/system-details", "logAdditionalSystemInfoList", [{"value": 1}, {"key": "m"}], [0]),
        (REST + "write/experiment/system-details", "installedPackages", ["m", {}], [1]),
        (REST + "write/experiment/system-details", "gpuStaticInfoList", ["m", {"name": "m"}], [0]),
    ],
)
async def test_a_wrong_item_costs_that_item(client: Client, path: str, field: str, items: Any, wrong: Any) -> None:
    """It is named in the answer, and the others are kept; a batch without a right item is refused."""
    answer = await client.post(path, {"experimentKey": KEY, field: items})
    assert [one.partition(":")[0] for one in answer["leftOut"]] == [f"{field}[{number}]" for number in wrong]
    assert answer["code"] == 200
    assert answer["msg"].startswith(f"ok, but {len(wrong)} left out: {field}[{wrong[0]}]: ")
    bad = [items[number] for number in wrong]
    refused = await client.post(path, {"experimentKey": KEY, field: bad}, 400)
    assert f"{field}[0]" in refused["msg"] or f"{field}[...]" in refused["msg"] or "levels deep" in refused["msg"]


async def test_the_others_of_a_batch_are_kept(client: Client) -> None:
    """In the order in which they came, for this server and the next."""
    values: Any = [{"metricName": "m", "metricValue": at, "step": at} for at in range(5)]
    values[2] = {"metricName": {"no": "name"}}
    await client.post(CLIENTLIB + "batch/logger/experiment/metric", {"experimentKey": KEY, "values": values})
    for one in (client, client.again()):
        points = (await one.get("experiment/metrics/get-metric", experimentKey=KEY, metricName="m"))["metrics"]
        assert [point["step"] for point in points] == [0, 1, 3, 4]


async def test_experiments_that_are_not_there_do_not_keep_others_from_moving(client: Client) -> None:
    """They are named."""
    answer = await client.post("write/experiment/move", MOVE | {"experimentKeys": [KEY, OTHER, 5]})
    assert answer["leftOut"] == [f"'{OTHER}': experiment {OTHER} does not exist", "'5': experiment 5 does not exist"]
    assert await client.keys("q") == [KEY]


async def test_files_elsewhere_that_are_wrong(client: Client) -> None:
    """Of a remote model, and of a version of an artifact: links with wrong metadata, and of a version that is none."""
    entities = [{"fileName": "a", "remoteUrl": "s3://b/a"}, {"fileName": "b", "remoteUrl": "s3://b/b", "metadata": 5}]
    model = {"experimentKey": KEY, "modelName": "m", "remoteEntities": [*entities, {"fileName": "c"}]}
    answer = await client.post(CLIENTLIB + "asset/log-remote-model", model)
    assert [one.split(":")[0] for one in answer["leftOut"]] == ["remoteEntities[2]", "b"]
    assert [asset["fileName"] for asset in await client.assets()] == ["a"]
    made = await client.post("write/artifacts/upsert", {"experimentKey": KEY, "artifactName": "set"})
    version = made["artifactVersionId"]
    links = [
        {"artifactVersionId": identity, "fileName": name, "link": "s3://b/x", "metadata": about}
        for identity, name, about in ((version, "a", None), ("other", "b", None), (version, "c", "[]"))
    ]
    path = "write/artifact/assets/remote/batch"
    answer = await client.post(path, {"remoteArtifactAssetRequests": [*links, {"fileName": "d"}]})
    assert [one.split(":")[0] for one in answer["leftOut"]] == ["remoteArtifactAssetRequests[3]", "b", "c"]
    await client.post("write/artifacts/state", {"artifactVersionId": version, "state": "CLOSED"})
    files = await client.get("artifacts/version/files", workspace="ws", artifactName="set", version="1.0.0")
    assert [row["fileName"] for row in files["files"]] == ["a"]


async def test_questions_are_taken_as_they_are(client: Client) -> None:
    """To leave out a condition would answer another question."""
    rules = [{"field": "m", "operator": "equal", "type": "string", "value": "1"}, 7]
    asked = {"workspaceName": "ws", "projectName": "p", "predicates": [{"source": "tag", "query": {"rules": rules}}]}
    await client.post("project/query", asked, 400)


# -- comet_llm ---------------------------------------------------------------------------------------------------------

TRACE: Any = {
    "experimentKey": OTHER,
    "createExperimentRequest": {"workspaceName": None, "projectName": "llm", "type": "LLM"},
    "parameters": [{"parameterName": "model", "parameterValue": "m"}, {"parameterValue": 5}],
    "metrics": [{"metricName": "chain_duration", "metricValue": 12.5}],
    "others": [{"key": "k", "value": "v"}],
    "tags": ["t"],
    "jsonAsset": {"extension": "json", "type": "llm_data", "fileName": "data.json", "file": {"é": [1, None]}},
}


async def test_traces_of_comet_llm(client: Client) -> None:
    """Whole runs, each with an answer of its own; one that comes twice is there once."""
    assert (await client.http.get("/api/isAlive/ver", headers={"Authorization": ""})).json()["version"]
    batch = [{"tags": []}, TRACE, TRACE | {"experimentKey": "?"}]
    for _ in range(2):
        answers = await client.post("write/experiment/llm", batch)
        assert {key: answer["status"] for key, answer in answers.items()} == {"0": 400, OTHER: 200, "?": 400}
        assert [one[:13] for one in answers[OTHER]["content"]["leftOut"]] == ["parameters[1]"]
        assert answers[OTHER]["content"]["link"] == f"http://comet/default/llm/{OTHER}"
        assert [answers[key]["content"]["sdk_error_code"] for key in ("0", "?")] == [7777777] * 2
    for one in (client, client.again()):
        row = await one.get("experiment/metadata", experimentKey=OTHER)
        assert (row["running"], row["hasCrashed"], row["projectName"]) == (False, False, "llm")
        (metric,) = (await one.get("experiment/metrics/get-all", experimentKey=OTHER))["metrics"]
        assert (metric["metricName"], metric["metricValue"]) == ("chain_duration", "12.5")
        (setting,) = (await one.get("experiment/parameters", experimentKey=OTHER))["values"]
        (other,) = (await one.get("experiment/log-other", experimentKey=OTHER))["values"]
        assert (setting["valueCurrent"], other["valueCurrent"]) == ("m", "v")
        assert (await one.get("experiment/tags", experimentKey=OTHER))["tags"] == ["t"]
        (asset,) = await one.assets(OTHER)
        assert (asset["fileName"], asset["type"]) == ("data.json", "llm_data")
        content = await one.bytes(experimentKey=OTHER, assetId=asset["assetId"])
        assert content == '{"é":[1,null]}'.encode()


async def test_a_trace_that_is_too_deep_costs_no_other(client: Client) -> None:
    """Each has an answer of its own, whatever is wrong with it, and a wrong value costs that value."""
    deep: Any = "x"
    for _ in range(198):
        deep = [deep]
    first = TRACE | {"experimentKey": "3" * 32, "others": [{"key": "deep", "value": deep}, {"key": "k", "value": "v"}]}
    answers = await client.post("write/experiment/llm", [first, TRACE])
    assert {key: answer["status"] for key, answer in answers.items()} == {"3" * 32: 200, OTHER: 200}
    assert [one[:9] for one in answers["3" * 32]["content"]["leftOut"]] == ["parameter", "others[0]"]
    (other,) = (await client.get("experiment/log-other", experimentKey="3" * 32))["values"]
    assert other["name"] == "k"


@pytest.mark.parametrize("broken", ["log", "tags", "asset", "end"])
async def test_a_trace_of_which_a_kill_left_a_part(
    client: Client, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    """comet_llm sends it again: what the server has not is added, what it has is there once."""
    place, name = {
        "log": (Journal, "log"),
        "tags": (llm, "tagged"),
        "asset": (llm, "_keep"),
        "end": (Journal, "end"),
    }[broken]
    with monkeypatch.context() as patch:
        patch.setattr(place, name, _killed)
        with pytest.raises(KeyboardInterrupt):
            await client.post("write/experiment/llm", [TRACE])
    following = client.again()
    assert (await following.post("write/experiment/llm", [TRACE]))[OTHER]["status"] == 200
    for one in (following, following.again()):
        row = await one.get("experiment/metadata", experimentKey=OTHER)
        assert (row["running"], row["hasCrashed"]) == (False, False)
        points = await one.get("experiment/metrics/get-metric", experimentKey=OTHER, metricName="chain_duration")
        assert [point["metricValue"] for point in points["metrics"]] == ["12.5"]
        assert (await one.get("experiment/tags", experimentKey=OTHER))["tags"] == ["t"]
        assert [asset["fileName"] for asset in await one.assets(OTHER)] == ["data.json"]


def _killed(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt
