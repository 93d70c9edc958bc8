"""What the client asks beside the SDK's own methods, against the embedded Comet with the sample, and by its words."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, get_type_hints

import httpx
import pytest
import trio

from cometfs import API
from cometfs.comet.answers import workspace_models
from cometfs.comet.answers.predicates import Condition, has_metric, metric, other, parameter, predicates, tagged
from cometfs.comet.http.transport import Transport
from cometfs.errors import NotFound, Unintelligible, Unsupported
from cometfs.server import sample_directory
from cometfs.server.catalog.catalog import Catalog, open_directory
from cometfs.server.http.app import make_app

ARTIFACTS = sample_directory() / "artifacts"
DIGITS = ("vision-lab", "digits")


@pytest.fixture(scope="module")
def index() -> Catalog:
    return open_directory(sample_directory())


@pytest.fixture
async def api(index: Catalog) -> AsyncIterator[API]:
    wire = httpx.ASGITransport(make_app(index))
    async with API("key", "http://comet", transport=Transport(wire)) as made:
        yield made


Answer = httpx.Response
Asked = list[httpx.Request]


def scripted(answer: Callable[[httpx.Request], Answer]) -> tuple[API, Asked]:
    """A client of a server that answers as told, and what it was asked."""
    asked: Asked = []

    def handle(request: httpx.Request) -> Answer:
        asked.append(request)
        return answer(request)

    return API("key", "http://comet", transport=Transport(httpx.MockTransport(handle))), asked


def always(found: Any) -> Callable[[httpx.Request], Answer]:
    return lambda _: httpx.Response(200, json=found)


async def key_of(api: API, name: str) -> str:
    rows = await api.experiments_by_project_name(*DIGITS)
    return next(row["experimentKey"] for row in rows if row["experimentName"] == name)


# -- columns and queries -----------------------------------------------------------------------------------------------


async def test_columns_are_all_names_of_a_project(api: API) -> None:
    """In one call: every metric of every experiment is among them, in their form."""
    project = next(one for one in await api.projects("vision-lab") if one["projectName"] == "digits")
    columns = await api.project_column_names(project["projectId"])
    assert all(column.keys() == get_type_hints(workspace_models.Column).keys() for column in columns)
    told = {column["name"] for column in columns if column["source"] == "metrics"}
    rows = await api.experiments_by_project_name(*DIGITS)
    used = [await api.experiment_metrics_summary(row["experimentKey"]) for row in rows]
    assert told == {row["name"] for summary in used for row in summary}


async def test_queries_find_by_tags_and_by_metrics(api: API) -> None:
    """The experiments that have them, and all where nothing is asked."""
    rows = await api.experiments_by_project_name(*DIGITS)
    keys = {row["experimentKey"] for row in rows}
    tagged_mlp = {key for key in keys if "mlp" in await api.experiment_tags(key)}
    summaries = {key: await api.experiment_metrics_summary(key, "train_loss") for key in keys}
    assert tagged_mlp
    assert set(await api.query_experiments(*DIGITS, tagged("mlp"))) == tagged_mlp
    assert set(await api.query_experiments(*DIGITS, has_metric("train_loss"))) == {
        key for key, summary in summaries.items() if summary
    }
    good = await api.query_experiments(*DIGITS, tagged("mlp"), metric("train_loss", "less", 0.05))
    last = {key: float(str(summary["valueCurrent"])) for key, summary in summaries.items() if summary}
    assert set(good) == {key for key, value in last.items() if value < 0.05} & tagged_mlp
    assert set(await api.query_experiments(*DIGITS)) == keys
    assert await api.query_experiments(*DIGITS, archived=True) == []


async def test_queries_find_by_parameters_and_others(api: API) -> None:
    """Numbers as numbers, text as text."""
    one = await key_of(api, "mlp-baseline")
    assert one in await api.query_experiments(*DIGITS, parameter("lr", "between", (0.001, 0.003)))
    assert await api.query_experiments(*DIGITS, other("Name", "equal", "mlp-baseline")) == [one]
    assert one in await api.query_experiments(*DIGITS, parameter("augment", "equal", False))


def test_conditions_of_a_source_go_together() -> None:
    """One predicate for each source, values as Comet's Python client sends them."""
    asked = predicates([tagged("t"), metric("a", "less", 1), metric("b", "between", (1, 2)), parameter("c", "is_null")])
    assert [(one["source"], len(one["query"]["rules"])) for one in asked] == [("tag", 1), ("metrics", 2), ("params", 1)]
    assert [rule["value"] for one in asked for rule in one["query"]["rules"]] == ["t", 1, ["1", "2"], None]
    assert predicates([Condition("log_other", "x", "equal", True, "boolean")])[0]["query"]["rules"][0]["value"] == 1


async def test_a_project_that_is_not_there_is_not_found(api: API) -> None:
    """Of a query that is all that is known: a server without queries answers 404, too."""
    with pytest.raises(Unsupported, match="project nope does not exist"):
        await api.query_experiments("vision-lab", "nope")
    with pytest.raises(NotFound):
        await api.project_column_names("nope")


# -- artifacts ---------------------------------------------------------------------------------------------------------


async def test_artifacts_are_those_of_the_folder(api: API) -> None:
    """With every version, file and byte, whatever characters their names have."""
    for folder in sorted(ARTIFACTS.glob("*/*")):
        workspace, name = folder.parent.name, folder.name
        assert name in [row["name"] for row in await api.artifacts(workspace)]
        told = json.loads((folder / "artifact.json").read_text())["versions"]
        artifact = await api.artifact(workspace, name)
        assert artifact.keys() >= get_type_hints(workspace_models.Artifact).keys()
        assert {one["version"]: one["alias"] for one in artifact["versions"]} == {
            version: about["aliases"] for version, about in told.items()
        }
        for version in artifact["versions"]:
            await check_files(api, workspace, name, version, folder / version["version"])


async def check_files(api: API, workspace: str, name: str, version: Any, folder: Path) -> None:
    files = await api.artifact_files(workspace, name, version["version"])
    assert sum(row["fileSize"] or 0 for row in files) == version["sizeInBytes"]
    assert {row["fileName"] for row in files} == {
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    }
    for row in files:
        key = version["experimentKey"] or ""
        async with api.stream_asset(key, row["assetId"], version["artifactVersionId"]) as stream:
            assert stream.size == row["fileSize"]
            assert b"".join([chunk async for chunk in stream]) == (folder / (row["fileName"] or "")).read_bytes()


async def test_a_version_tells_who_made_it(api: API) -> None:
    """By number and by alias alike; and whoever made it knows it."""
    told = await api.artifact_version("vision-lab", "digits-split", "production")
    assert told == await api.artifact_version("vision-lab", "digits-split", "1.1.0")
    (made,) = (await api.experiment_artifacts(told["experimentKey"]))["artifacts"]
    assert (made["artifactName"], made["artifactVersionId"]) == ("digits-split", told["artifactVersionId"])


async def test_what_is_not_there_is_not_found_and_named(api: API) -> None:
    """Artifacts, their versions, models, and workspaces."""
    with pytest.raises(NotFound, match="artifact 'nope' of workspace 'tabular'"):
        await api.artifact("tabular", "nope")
    with pytest.raises(NotFound):
        await api.artifact_files("tabular", "wine features", "9.9.9")
    with pytest.raises(NotFound, match="model 'nope' of workspace 'tabular'"):
        await api.registry_model("tabular", "nope")
    with pytest.raises(NotFound):
        await api.registry_models("nope")


async def test_an_artifacts_name_is_encoded_as_comets_own_client_does() -> None:
    """Once more than the query itself."""
    one, asked = scripted(always({"artifactId": "i", "name": "a b", "versions": []}))
    artifact = await one.artifact("w", "a b/é")
    assert b"artifactName=a%2520b%252F%25C3%25A9" in asked[0].url.query
    assert (artifact["versions"], artifact["tags"], artifact["isPublic"]) == ([], [], None)


# -- models ------------------------------------------------------------------------------------------------------------


async def test_registered_models_have_their_versions(api: API) -> None:
    """With stages and tags, and the files of the experiment that registered them."""
    (row,) = await api.registry_models("vision-lab")
    assert (row["modelName"], row["versions"]) == ("digits-mlp", [])
    model = await api.registry_model("vision-lab", "digits-mlp")
    assert model.keys() >= get_type_hints(workspace_models.RegisteredModel).keys()
    assert [(one["version"], one["stages"], one["tags"]) for one in model["versions"]] == [
        ("1.1.0", ["production"], ["reviewed"]),
        ("1.0.0", ["staging"], ["reviewed"]),
    ]
    for version in model["versions"]:
        assert version["experimentModel"]
        key = version["experimentModel"]["experimentKey"]
        assert version["assets"] == await api.experiment_model_assets(key, "digits-mlp")
        assert not any("curlDownload" in asset for asset in version["assets"])
        body = await api.experiment_asset(key, version["assets"][0]["assetId"])
        assert len(body) == version["assets"][0]["fileSize"]
    assert await api.registry_models("tabular") == []


async def test_models_of_an_experiment(api: API) -> None:
    """By name, with where they are registered; none where none was logged."""
    (row,) = await api.experiment_models(await key_of(api, "mlp-baseline"))
    assert (row["modelName"], len(row["registryRecords"])) == ("digits-mlp", 1)
    assert await api.experiment_models(await key_of(api, "sgd-20k-steps")) == []


@pytest.mark.parametrize(
    ("found", "ask"),
    [
        ({}, lambda api: api.project_column_names("p")),
        ({"columns": [{"name": "a"}]}, lambda api: api.project_column_names("p")),
        ({}, lambda api: api.query_experiments("w", "p")),
        ({"experimentKeys": [[1]]}, lambda api: api.query_experiments("w", "p")),
        ({"artifacts": [{"name": "a"}]}, lambda api: api.artifacts("w")),
        ({"artifactId": "i", "name": "a", "versions": [{}]}, lambda api: api.artifact("w", "a")),
        ({"files": [{"fileName": "a"}]}, lambda api: api.artifact_files("w", "a", "1")),
        ({"registryModels": [{}]}, lambda api: api.registry_models("w")),
        ({"modelName": "m", "versions": [{"version": None}]}, lambda api: api.registry_model("w", "m")),
        ({"modelName": "m", "versions": "x"}, lambda api: api.registry_model("w", "m")),
        ([], lambda api: api.experiment_artifacts("k")),
    ],
)
async def test_nonsense_is_unintelligible(found: Any, ask: Callable[[API], Any]) -> None:
    """An answer without what its endpoint is asked for is an error, never a gap."""
    one, _ = scripted(always(found))
    with pytest.raises(Unintelligible):
        await ask(one)


async def test_a_server_without_these_endpoints_is_told_from_one_without_the_thing() -> None:
    """What is lacking is named."""
    one, _ = scripted(lambda _: httpx.Response(404, text="<html>"))
    with pytest.raises(Unsupported, match="artifacts"):
        await one.artifacts("w")
    with pytest.raises(Unsupported, match="model registry"):
        await one.registry_models("w")
    with pytest.raises(Unsupported, match="queries"):
        await one.query_experiments("w", "p")


# -- the store ---------------------------------------------------------------------------------------------------------


async def test_stores_at_once_lose_nothing(api: API) -> None:
    """However many tasks of one client store and delete together."""
    async with trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(api.store, f"k{number}", str(number))
    async with trio.open_nursery() as nursery:
        for number in range(10):
            nursery.start_soon(api.delete_from_store, f"k{number}")
            nursery.start_soon(api.store, f"n{number}", "new")
    held = json.loads((await api.get_store())["store"])
    assert held.keys() == {*(f"k{number}" for number in range(10, 20)), *(f"n{number}" for number in range(10))}


async def test_deleting_says_whether_there_was_something(api: API) -> None:
    """And leaves the rest as it is."""
    await api.store("a", "1")
    await api.store("b", "2")
    assert await api.delete_from_store("a") is True
    assert await api.delete_from_store("a") is False
    assert await api.get_from_store("a") is None
    assert await api.get_from_store("b") == "2"


async def test_renaming_in_the_store_is_one_step() -> None:
    """Over what is there; what another client stored that is no text moves as it is."""
    store: list[str] = ['{"a": 1.10, "b": "2", "c": "3"}']
    sent: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            sent.append(json.loads(request.content)["store"])
            store.append(sent[-1])
        return httpx.Response(200, json={"store": store[-1]})

    one, _ = scripted(answer)
    assert await one.rename_in_store("a", "b") == b"1.10"
    assert sent == ['{"b":1.10,"c":"3"}']
    assert await one.rename_in_store("nothing", "b") is None
    assert len(sent) == 1


async def test_a_server_without_a_store_says_so_when_something_is_deleted() -> None:
    """Nothing is taken for deleted."""
    one, _ = scripted(lambda _: httpx.Response(404, json={"msg": "no"}))
    with pytest.raises(Unsupported, match="store"):
        await one.delete_from_store("a")
