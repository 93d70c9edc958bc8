"""What the embedded Comet serves beside the SDK's own questions, asked in process: queries, projects, artifacts,
models, the store.
"""

from __future__ import annotations

import io
import json
import logging
import os
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from cometfs.server import sample_directory
from cometfs.server.catalog.catalog import open_directory
from cometfs.server.http.app import make_app
from cometfs.server.storage.kv_store import KvStore

REST = "/api/rest/v2/"
KEYS = ("a" * 32, "b" * 32, "c" * 32)

Json = dict[str, Any]


def line(kind: str, **payload: Any) -> str:
    return json.dumps({"payload": payload, "type": kind}) + "\n"


def metric(name: str, value: Any) -> str:
    return line("metric_msg", metric={"metricName": name, "metricValue": value, "step": 1, "epoch": None})


def parameter(name: str, value: Any) -> str:
    return line("parameter_msg", param={"paramName": name, "paramValue": value})


def model_file(asset_id: str, name: str) -> str:
    placed = {"assetId": asset_id, "fileName": name, "groupingName": "My Net"}
    return line("file_upload", file_path="blob", upload_type="model-element", additional_params=placed, metadata=None)


LINES = {
    KEYS[0]: [metric("loss", 5), metric("loss", 0.1), parameter("lr", 0.1), parameter("net", "mlp")],
    KEYS[1]: [metric("loss", 1.5), parameter("lr", 0.5), parameter("net", "conv"), parameter("deep", True)],
    KEYS[2]: [
        metric("acc", "NaN"),
        parameter("net", ""),
        line("log_other", key="note", value="a b"),
        line("system_details", os="Linux", hostname="h"),
        line("html", html="<b>"),
    ],
}


def write_runs(directory: Path) -> None:
    for number, (key, lines) in enumerate(LINES.items()):
        folder = directory / key
        folder.mkdir()
        head = {
            "offline_id": key,
            "workspace": "ws",
            "project_name": "p",
            "start_time": 1767225600000 + 1000 * number,
            "stop_time": 1767225600000 + 60000 * (number + 1),
            "tags": ["odd", "x y"] if number % 2 == 0 else [],
        }
        (folder / "experiment.json").write_text(json.dumps(head))
        (folder / "messages.json").write_text("".join(lines))
        (folder / "blob").write_bytes(b"weights")


def append(directory: Path, key: str, *lines: str) -> None:
    with (directory / key / "messages.json").open("a") as file:
        file.writelines(lines)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Three runs of one project."""
    runs = tmp_path / "runs"
    runs.mkdir()
    write_runs(runs)
    return runs


@asynccontextmanager
async def asking(directory: Path, replicate: int = 1) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(make_app(open_directory(directory, replicate)))
    async with httpx.AsyncClient(
        transport=transport, base_url="http://comet", headers={"Authorization": "k"}
    ) as client:
        yield client


async def answer(client: httpx.AsyncClient, path: str, **query: Any) -> Any:
    reply = await client.get(REST + path, params=query)
    assert reply.status_code == 200, reply.text
    return reply.json()


async def refused(client: httpx.AsyncClient, path: str, **query: Any) -> tuple[int, int | None]:
    reply = await client.get(REST + path, params=query)
    return reply.status_code, reply.json().get("sdk_error_code")


# -- queries -----------------------------------------------------------------------------------------------------------


def rule(source: str, name: str, operator: str, value: Any = None, kind: str = "string") -> Json:
    return {"source": source, "id": name, "field": name, "operator": operator, "value": value, "type": kind}


def tree(*rules: Json, condition: str = "AND") -> Json:
    return {"condition": condition, "rules": list(rules), "valid": True}


async def search(client: httpx.AsyncClient, rules: Json, **more: Any) -> str:
    """First letters of the keys of what is found, by both endpoints alike."""
    project = (await answer(client, "project", workspaceName="ws", projectName="p"))["projectId"]
    body = {"projectId": project, "rulesTree": rules} | more
    reply = await client.post(REST + "experiments/search", json=body)
    assert reply.status_code == 200, reply.text
    found = [row["experimentKey"][0] for row in reply.json()["experiments"]]
    if not more:
        predicates = [{"source": "nested", "query": rules}]
        body = {"workspaceName": "ws", "projectName": "p", "archived": False, "predicates": predicates}
        reply = await client.post(REST + "project/query", json=body)
        assert [key[0] for key in reply.json()["experimentKeys"]] == found
    return "".join(found)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (rule("metrics", "loss", "less", "1", "double"), "a"),
        (rule("metrics", "loss--metrics", "less_or_equal", 1.5, "double"), "ab"),
        (rule("metrics", "loss", "greater", "1", "double"), "b"),
        (rule("metrics", "loss", "greater_or_equal", "0.1", "double"), "ab"),
        (rule("metrics", "loss", "between", ["0", "1"], "double"), "a"),
        (rule("metrics", "loss", "not_between", ["0", "1"], "double"), "b"),
        (rule("metrics", "loss", "equal", 0.10, "double"), "a"),
        (rule("metrics", "loss", "is_null"), "c"),
        (rule("metrics", "loss", "is_not_null"), "ab"),
        (rule("metrics", "acc", "less", "1", "double"), ""),
        (rule("params", "net", "equal", "mlp"), "a"),
        (rule("params", "net", "not_equal", "mlp"), "bc"),
        (rule("params", "net", "contains", "on"), "b"),
        (rule("params", "net", "not_contains", "on"), "ac"),
        (rule("params", "net", "begins_with", "m"), "a"),
        (rule("params", "net", "not_begins_with", "m"), "bc"),
        (rule("params", "net", "ends_with", "v"), "b"),
        (rule("params", "net", "not_ends_with", "v"), "ac"),
        (rule("params", "net", "is_empty"), "c"),
        (rule("params", "net", "is_not_empty"), "ab"),
        (rule("params", "net", "less", "d"), "bc"),
        (rule("params", "deep", "equal", "1", "boolean"), "b"),
        (rule("params", "deep", "not_equal", 1, "boolean"), ""),
        (rule("log_other", "note", "equal", "a b"), "c"),
        (rule("tag", "odd", "equal", "odd"), "ac"),
        (rule("tag", "odd", "not_equal", "odd"), "b"),
        (rule("tag", "nobody's", "equal", "nobody's"), ""),
        (rule("metadata", "experimentKey", "begins_with", "b"), "b"),
        (rule("metadata", "duration", "less", 100, "timenumber"), "a"),
        (rule("metadata", "start_server_timestamp", "greater", "2026-01-01 00:00:00", "datetime"), "bc"),
        (rule("metadata", "start_server_timestamp", "equal", "2026-01-01 00:00:00", "datetime"), "a"),
        (rule("metadata", "end_server_timestamp", "less", "no time", "datetime"), ""),
        (rule("metadata", "hasHtml", "equal", "1", "boolean"), "c"),
        (rule("env_details", "os", "equal", "Linux"), "c"),
        (rule("nothing", "os", "equal", "Linux"), ""),
        ({"field": "net", "operator": "equal", "value": "mlp"}, "a"),
    ],
)
async def test_every_operator_and_source(directory: Path, asked: Json, found: str) -> None:
    """A rule finds what it says, by the last value of a metric; what is not there meets no comparison, bar tags."""
    async with asking(directory) as client:
        assert await search(client, tree(asked)) == found


async def test_rules_are_joined_by_and_and_or_in_any_depth(directory: Path) -> None:
    """AND takes all, OR takes any, no rules at all take everything."""
    mlp, conv = rule("params", "net", "equal", "mlp"), rule("params", "net", "equal", "conv")
    odd = rule("tag", "odd", "equal", "odd")
    async with asking(directory) as client:
        assert await search(client, tree(mlp, conv)) == ""
        assert await search(client, tree(mlp, conv, condition="OR")) == "ab"
        assert await search(client, tree(odd, tree(mlp, conv, condition="OR"))) == "a"
        assert await search(client, tree()) == "abc"


async def test_a_search_has_pages_and_the_archived_apart(directory: Path) -> None:
    """`limit` and `page` cut, `deleted` asks for the archived ones."""
    async with asking(directory) as client:
        assert await search(client, tree(), limit=2, page=1) == "ab"
        assert await search(client, tree(), limit=2, page=2) == "c"
        assert await search(client, tree(), deleted=True) == ""


@pytest.mark.parametrize("asked", [rule("tag", "odd", "like", "x"), rule("metrics", "loss", "between", "1")])
async def test_a_rule_that_makes_no_sense_is_refused(directory: Path, asked: Json) -> None:
    """Better than an answer that looks like one."""
    body = {"workspaceName": "ws", "projectName": "p", "predicates": [{"source": "nested", "query": tree(asked)}]}
    async with asking(directory) as client:
        assert (await client.post(REST + "project/query", json=body)).status_code == 400


async def test_a_query_of_no_project_is_refused(directory: Path) -> None:
    """With the numbers of every other endpoint."""
    async with asking(directory) as client:
        reply = await client.post(REST + "project/query", json={"workspaceName": "nope", "projectName": "p"})
        assert (reply.status_code, reply.json()["sdk_error_code"]) == (404, 90219)
        assert (await client.post(REST + "experiments/search", json={"projectId": "nope"})).status_code == 404


# -- projects ----------------------------------------------------------------------------------------------------------


async def test_projects_json_is_served(directory: Path) -> None:
    """Notes, description and whether all may see it."""
    about = {"ws/p": {"notes": "# é", "description": "d", "public": True}}
    (directory / "projects.json").write_text(json.dumps(about))
    async with asking(directory) as client:
        row = await answer(client, "project", workspaceName="ws", projectName="p")
        assert (row["projectDescription"], row["public"]) == ("d", True)
        assert await answer(client, "project/notes", projectId=row["projectId"]) == {"notes": "# é"}


@pytest.mark.logs("projects.json: ignored")
@pytest.mark.parametrize("text", ["{", "[]", '{"ws/p": {"public": "yes"}}', '{"ws/p": null}'])
async def test_a_broken_projects_json_is_named_and_ignored(directory: Path, text: str) -> None:
    """The archives are served all the same."""
    (directory / "projects.json").write_text(text)
    async with asking(directory) as client:
        row = await answer(client, "project", workspaceName="ws", projectName="p")
        assert (row["projectDescription"], row["public"]) == ("", False)


@pytest.mark.logs("there is no project ws/q")
async def test_a_project_that_is_not_there_is_named(directory: Path) -> None:
    """A slip of the pen in projects.json does not pass silently."""
    (directory / "projects.json").write_text('{"ws/q": {}}')
    async with asking(directory) as client:
        assert len((await answer(client, "projects", workspaceName="ws"))["projects"]) == 1


# -- artifacts ---------------------------------------------------------------------------------------------------------

SET = {"workspace": "shelf", "artifactName": "a b%"}


@pytest.fixture
def shelf(directory: Path) -> Path:
    """An artifact of three versions in a workspace of its own; the second was made by the first run."""
    folder = directory / "artifacts" / "shelf" / "a b%"
    for version, name in (("1.9.0", "x"), ("1.10.0", "deep/er/é.txt"), ("1.2.0", "empty")):
        path = folder / version / name
        path.parent.mkdir(parents=True)
        path.write_text("" if name == "empty" else f"{version} of {name}")
    versions = {
        "1.9.0": {"aliases": ["prod"], "tags": ["t"], "metadata": {"m": 1}, "experimentKey": KEYS[0], "added": 5}
    }
    about = {"type": "dataset", "description": "d", "tags": ["all"], "versions": versions}
    (folder / "artifact.json").write_text(json.dumps(about))
    return directory


async def test_artifacts_are_listed_and_told(shelf: Path) -> None:
    """Their versions in the order of their numbers, aliases and metadata as they were given."""
    async with asking(shelf) as client:
        assert (await answer(client, "workspaces"))["workspaceNames"] == ["shelf", "ws"]
        (row,) = (await answer(client, "artifacts/get-all", workspace="shelf"))["artifacts"]
        assert (row["name"], row["type"], row["latestVersion"]) == ("a b%", "dataset", "1.10.0")
        assert (await answer(client, "artifacts/get-all", workspace="shelf", type="model"))["artifacts"] == []
        assert (await answer(client, "artifacts/get-all", workspace="ws"))["artifacts"] == []
        told = await answer(client, "artifacts/get", **SET)
        assert await answer(client, "artifacts/get", artifact_id=row["artifactId"]) == told
        assert await answer(client, "artifacts/get", workspace="shelf", artifactName="a%20b%25") == told
    assert [one["version"] for one in told["versions"]] == ["1.2.0", "1.9.0", "1.10.0"]
    made = told["versions"][1]
    assert (made["alias"], made["tags"], made["metadata"], made["added"]) == (["prod"], ["t"], '{"m": 1}', 5)


@pytest.mark.parametrize(
    ("query", "version"),
    [
        ({"version": "1.9.0"}, "1.9.0"),
        ({"versionOrAlias": "1.2.0"}, "1.2.0"),
        ({"versionOrAlias": "prod"}, "1.9.0"),
        ({"alias": "prod"}, "1.9.0"),
        ({"alias": "Latest"}, "1.10.0"),
        ({}, "1.10.0"),
        ({"version": "prod"}, None),
        ({"alias": "1.9.0"}, None),
        ({"versionId": "nope"}, None),
    ],
)
async def test_a_version_is_found_by_number_and_by_alias(shelf: Path, query: Json, version: str | None) -> None:
    """And what is not there has Comet's number of that error."""
    async with asking(shelf) as client:
        if version is None:
            assert await refused(client, "artifacts/version", **SET, **query) == (404, 624523)
        else:
            told = await answer(client, "artifacts/version", **SET, **query)
            assert told["artifactVersion"] == version
            assert await answer(client, "artifacts/version", versionId=told["artifactVersionId"]) == told


async def test_an_artifact_that_is_not_there_is_refused(shelf: Path) -> None:
    """By name, by id, without either, and in a workspace that is none."""
    async with asking(shelf) as client:
        assert await refused(client, "artifacts/get", workspace="shelf", artifactName="x") == (404, 624522)
        assert await refused(client, "artifacts/get", artifactId="x") == (404, 624522)
        assert await refused(client, "artifacts/get", workspace="shelf") == (400, None)
        assert await refused(client, "artifacts/get-all", workspace="x") == (404, 90219)


async def test_files_of_a_version_come_whole(shelf: Path) -> None:
    """By the id of their version, with or without an experiment; the link leads there too."""
    async with asking(shelf) as client:
        (row,) = (await answer(client, "artifacts/version/files", **SET, alias="latest"))["files"]
        assert (row["fileName"], row["fileSize"], row["remote"]) == ("deep/er/é.txt", 24, False)
        query = {"assetId": row["assetId"], "artifactVersionId": row["artifactVersionId"]}
        for reply in (
            await client.get(REST + "experiment/asset/get-asset", params=query),
            await client.get(REST + "experiment/asset/get-asset", params=query | {"experimentKey": KEYS[1]}),
            await client.get(row["link"]),
        ):
            assert reply.text == "1.10.0 of deep/er/é.txt"
            assert reply.headers["content-length"] == "24"
        assert await refused(client, "experiment/asset/get-asset", **query | {"assetId": "x"}) == (404, None)
        unknown = query | {"artifactVersionId": "x"}
        assert await refused(client, "experiment/asset/get-asset", **unknown) == (404, 624523)


async def test_lineage_has_what_an_experiment_made(shelf: Path) -> None:
    """As output; of input nothing is known."""
    async with asking(shelf) as client:
        (made,) = (await answer(client, "get/artifacts", experimentKey=KEYS[0]))["artifacts"]
        assert (made["artifactName"], made["artifactVersion"], made["direction"]) == ("a b%", "1.9.0", "output")
        assert await answer(client, "get/artifacts", experimentKey=KEYS[0], filter="input") == {"artifacts": []}
        assert await answer(client, "get/artifacts", experimentKey=KEYS[1]) == {"artifacts": []}
        assert await refused(client, "get/artifacts", experimentKey=KEYS[1], filter="x") == (400, None)


async def test_links_are_no_files_of_artifacts(shelf: Path) -> None:
    """They could name any file of this machine."""
    folder = shelf / "artifacts" / "shelf" / "a b%" / "1.2.0"
    (folder / "link").symlink_to("/etc/hostname")
    (folder / "folder").symlink_to("/etc")
    (shelf / "artifacts" / "shelf" / "linked").symlink_to("/etc")
    async with asking(shelf) as client:
        files = (await answer(client, "artifacts/version/files", **SET, version="1.2.0"))["files"]
        assert [row["fileName"] for row in files] == ["empty"]
        assert len((await answer(client, "artifacts/get-all", workspace="shelf"))["artifacts"]) == 1


@pytest.mark.logs("artifact.json: ignored")
async def test_a_broken_artifact_json_is_named_and_ignored(shelf: Path) -> None:
    """The files are served all the same."""
    (shelf / "artifacts" / "shelf" / "a b%" / "artifact.json").write_text('{"type": 1}')
    async with asking(shelf) as client:
        assert (await answer(client, "artifacts/get", **SET))["type"] == "unknown"


@pytest.mark.logs("there is no version 2.0.0")
async def test_a_version_that_is_not_there_is_named(shelf: Path) -> None:
    """A slip of the pen in artifact.json does not pass silently."""
    (shelf / "artifacts" / "shelf" / "a b%" / "artifact.json").write_text('{"versions": {"2.0.0": {}}}')
    async with asking(shelf) as client:
        assert len((await answer(client, "artifacts/get", **SET))["versions"]) == 3


@pytest.mark.logs("its name is not UTF-8")
async def test_a_name_that_is_no_text_is_left_out(shelf: Path) -> None:
    """JSON cannot tell it."""
    folder = os.fsencode(shelf / "artifacts" / "shelf" / "a b%" / "1.2.0")
    Path(os.fsdecode(folder + b"/\xff")).write_text("")
    async with asking(shelf) as client:
        assert len((await answer(client, "artifacts/version/files", **SET, version="1.2.0"))["files"]) == 1


# -- models ------------------------------------------------------------------------------------------------------------

NET = {"workspaceName": "ws", "modelName": "my-net"}


def registers(**more: Any) -> str:
    return line("register_model", model_name="My Net", experiment_id="x", public=None, **more)


@pytest.fixture
def registry(directory: Path) -> Path:
    """Two runs register the same model, the first of them twice."""
    append(
        directory,
        KEYS[0],
        model_file("m1", "../net/w.bin"),
        model_file("m2", "net/config"),
        line("remote_model", model_name="My Net", remote_assets=[{"fileName": "far", "remoteUrl": "s3://b/k"}]),
        registers(version="1.9.0", stages=["staging", "best"], tags=["t"], metadata={"m": 1}, comment="c"),
        registers(version="1.10.0", status="Production", description="d"),
    )
    append(directory, KEYS[1], model_file("m1", "net/w.bin"), registers())
    return directory


async def test_registered_models_have_versions(registry: Path) -> None:
    """The newest first, one without a number after the greatest; replicas have registered nothing."""
    async with asking(registry, replicate=3) as client:
        (row,) = (await answer(client, "registry-model", workspaceName="ws"))["registryModels"]
        assert (row["modelName"], row["description"], row["isPublic"]) == ("my-net", "d", False)
        assert await answer(client, "registry-model/count", workspaceName="ws") == {"registryModelCount": 1}
        told = await answer(client, "registry-model/details", **NET)
        compact = await answer(client, "registry-model/compact-details", **NET)
    assert [one["version"] for one in told["versions"]] == ["1.11.0", "1.10.0", "1.9.0"]
    assert compact["registryModelId"] == told["registryModelId"] == row["registryModelId"]
    first = told["versions"][2]
    assert (first["stages"], first["tags"], first["status"], first["comment"]) == (
        ["staging", "best"],
        ["t"],
        "None",
        "c",
    )
    assert first["experimentModel"]["experimentKey"] == KEYS[0]
    assert [asset["fileName"] for asset in first["assets"]] == ["../net/w.bin", "net/config", "far"]


async def test_versions_are_found_by_what_they_have(registry: Path) -> None:
    """By number, stage, status, tag and the beginning of a number."""

    async with asking(registry) as client:

        async def numbers(**query: Any) -> list[str]:
            return [one["version"] for one in (await answer(client, "registry-model/items", **NET, **query))["items"]]

        assert await numbers() == ["1.11.0", "1.10.0", "1.9.0"]
        assert await numbers(tag="t") == ["1.9.0"]
        assert await numbers(status="Production") == ["1.10.0"]
        assert await numbers(versionPrefix="1.1") == []
        assert await numbers(versionPrefix="1.10") == ["1.10.0"]
        details = await answer(client, "registry-model/item/details", **NET, stage="best")
        assert details["version"] == "1.9.0"
        item = details["registryModelItemId"]
        assert await answer(client, f"registry-model/item/{item}/metadata") == {
            "metadata": [{"key": "m", "value": "1"}]
        }
        assert (await answer(client, "registry-model/latest_version", **NET))["version"] == "1.11.0"
        latest = await answer(client, "registry-model/latest_version", **NET, versionMajor=1, stage="staging")
        assert latest["version"] == "1.9.0"
        assert await answer(client, "registry-model/notes", **NET) == {"notes": ""}


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("registry-model/details", NET | {"modelName": "x"}),
        ("registry-model/item/details", NET | {"version": "7.0.0"}),
        ("registry-model/item/download", NET | {"stage": "x"}),
        ("registry-model/latest_version", NET | {"versionMajor": "7"}),
        ("registry-model/item/x/metadata", {}),
        ("experiment/model/download", {"experimentKey": KEYS[2], "modelName": "My Net"}),
    ],
)
async def test_a_model_that_is_not_there_is_refused(registry: Path, path: str, query: Json) -> None:
    """With Comet's number of that error."""
    async with asking(registry) as client:
        assert await refused(client, path, **query) == (404, 42008)


async def test_a_model_comes_as_a_zip_of_its_files(registry: Path) -> None:
    """What is remote is not among them, and no name leads out of the folder it is unpacked in."""
    of_experiment = {"experimentKey": KEYS[0], "modelName": "My Net"}
    async with asking(registry) as client:
        one = await client.get(REST + "experiment/model/download", params=of_experiment)
        other = await client.get(REST + "registry-model/item/download", params=NET | {"version": "1.10.0"})
    assert one.content == other.content
    assert one.headers["content-length"] == str(len(one.content))
    with zipfile.ZipFile(io.BytesIO(one.content)) as archive:
        assert archive.namelist() == ["net/w.bin", "net/config"]
        assert archive.read("net/w.bin") == b"weights"


async def test_a_model_knows_where_it_is_registered(registry: Path) -> None:
    """And an experiment's list of models says so."""
    async with asking(registry) as client:
        (row,) = (await answer(client, "experiment/model", experimentKey=KEYS[0]))["models"]
    assert [one["version"] for one in row["registryRecords"]] == ["1.10.0", "1.9.0"]


@pytest.mark.logs("version 1.9.0 of the model my-net is registered already")
async def test_a_version_is_registered_once(registry: Path) -> None:
    """The first run keeps it."""
    append(registry, KEYS[1], registers(version="1.9.0"))
    async with asking(registry) as client:
        told = await answer(client, "registry-model/item/details", **NET, version="1.9.0")
    assert told["experimentKey"] == KEYS[0]


# -- the store ---------------------------------------------------------------------------------------------------------


async def save(client: httpx.AsyncClient, text: str) -> int:
    return (await client.post(REST + "write/panel/store", json={"store": text})).status_code


async def test_the_store_survives_a_restart(directory: Path) -> None:
    """It is in a file beside the archives, which is no archive; nothing is left of its making."""
    async with asking(directory) as client:
        assert await save(client, '{"é": 1}') == 200
    async with asking(directory) as client:
        assert await answer(client, "panel/store") == {"store": '{"é": 1}'}
        assert await save(client, '{"é": 2}') == 200
    assert [path.name for path in directory.iterdir() if path.is_file()] == ["store.json"]
    assert (directory / "store.json").read_text() == '{"é": 2}'


async def test_the_store_survives_a_kill_in_the_middle(directory: Path) -> None:
    """What was half written then is not taken for it, and is in nobody's way."""
    (directory / "store.json").write_text('{"old": 1}')
    (directory / ".store.json.new").write_text('{"ne')
    async with asking(directory) as client:
        assert await answer(client, "panel/store") == {"store": '{"old": 1}'}
        assert await save(client, '{"new": 1}') == 200
    assert (directory / "store.json").read_text() == '{"new": 1}'


async def test_a_disk_that_takes_nothing_is_an_error_and_the_old_text_stays(directory: Path) -> None:
    """In memory and on the disk."""
    async with asking(directory) as client:
        assert await save(client, '{"old": 1}') == 200
        (directory / ".store.json.new").mkdir()
        assert await save(client, '{"new": 1}') == 507
        assert await answer(client, "panel/store") == {"store": '{"old": 1}'}
    assert (directory / "store.json").read_text() == '{"old": 1}'


@pytest.mark.logs("no text, so it was put aside as store.json.broken")
async def test_a_store_that_is_no_text_is_put_aside(directory: Path) -> None:
    """Nothing that was there is overwritten."""
    (directory / "store.json").write_bytes(b"\xff")
    async with asking(directory) as client:
        assert await answer(client, "panel/store") == {"store": "{}"}
        assert await save(client, "{}") == 200
    assert (directory / "store.json.broken").read_bytes() == b"\xff"


def test_where_nothing_can_be_written_the_store_is_in_memory(
    directory: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """And that is said, once."""
    monkeypatch.setattr("cometfs.server.storage.kv_store.os.access", lambda *_: False)
    caplog.set_level(logging.INFO, "cometfs.server")
    store = KvStore(directory)
    store.save("one")
    store.save("two")
    assert store.load() == "two"
    assert not (directory / "store.json").exists()
    assert [record.getMessage().partition(",")[0] for record in caplog.records] == ["the store is kept in memory"]


async def test_the_sample_is_never_written(tmp_path: Path) -> None:
    """It is a part of the program, the same for everybody."""
    async with asking(sample_directory()) as client:
        assert await save(client, '{"k": 1}') == 200
        assert await answer(client, "panel/store") == {"store": '{"k": 1}'}
    assert not (sample_directory() / "store.json").exists()


# -- whole metrics -----------------------------------------------------------------------------------------------------


async def test_whole_metrics_are_files_for_who_asks_for_their_type(directory: Path) -> None:
    """They are not among all assets; of names that are changed alike there is one."""
    append(directory, KEYS[2], metric("a/b", 1), metric("a_b", 2), metric("a/b", "NaN"))
    query = {"experimentKey": KEYS[2]}
    async with asking(directory) as client:
        rows = (await answer(client, "experiment/asset/list", **query, type="ASSET_TYPE_FULL_METRIC"))["assets"]
        assert [row["fileName"] for row in rows] == ["a_b_0.csv.zip", "acc_0.csv.zip"]
        assert (await answer(client, "experiment/asset/list", **query))["assets"] == []
        body = await client.get(REST + "experiment/asset/get-asset", params=query | {"assetId": rows[0]["assetId"]})
    with zipfile.ZipFile(io.BytesIO(body.content)) as archive:
        assert archive.read("a_b_0.csv") == b"value,timestamp,step,epoch\n1.0,,1,\nnan,,1,\n"
