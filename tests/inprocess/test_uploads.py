"""Uploads and what becomes of experiments, in process: what is kept, what is refused, what is left behind."""

from __future__ import annotations

import json
import os
import stat
import zipfile
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from cometfs.server.catalog.catalog import open_directory
from cometfs.server.http.app import make_app
from cometfs.server.http.listener import serve
from cometfs.server.runs.zip_reader import Archive
from cometfs.server.storage.deletion import DELETED, GOES_WITH
from cometfs.server.storage.journal import Journal
from cometfs.server.storage.lock import lock

KEY = "00c0ffee" * 4
OTHER = "0ddba11f" * 4
REST = "/api/rest/v2/"
UPLOAD = "/clientlib/asset/upload"
HEADERS = {"Authorization": "k"}

Json = dict[str, Any]


class Client:
    """Asks a server of `directory`; `again` is the next one, after this one was killed."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.locked = directory, lock(directory)
        index = open_directory(directory)
        self.app = make_app(index, journal=Journal(index, self.locked))
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://comet", headers=HEADERS)

    def again(self) -> Client:
        os.close(self.locked._file)
        # Whoever asks this one again finds no lock, rather than by luck the next one's under the same number.
        self.locked._file = -1
        return Client(self.directory)

    async def begin(self, key: str = KEY, project: str = "p") -> None:
        body = {"experimentKey": key, "projectName": project, "teamName": "ws", "local_timestamp": 1000}
        await self.post("/clientlib/logger/add/run", body)

    async def post(self, path: str, body: Any, status: int = 200) -> Any:
        reply = await self.http.post(path if path.startswith("/") else REST + path, json=body)
        assert reply.status_code == status, reply.text
        return reply.json()

    async def get(self, path: str, status: int = 200, **query: Any) -> Any:
        reply = await self.http.get(REST + path, params=query)
        assert reply.status_code == status, reply.text
        return reply.json()

    async def upload(self, content: bytes, path: str = UPLOAD, status: int = 200, **query: Any) -> Any:
        asked = {"experimentId": KEY, "fileName": "a"} | query
        metadata = {"metadata": (None, asked.pop("metadata"))} if "metadata" in asked else {}
        files = {"file": ("file", content)} | metadata
        reply = await self.http.post(path, params=asked, files=files)
        assert reply.status_code == status, reply.text
        return reply.json()

    async def assets(self, key: str = KEY) -> list[Json]:
        found: list[Json] = (await self.get("experiment/asset/list", experimentKey=key))["assets"]
        return found

    async def bytes(self, **query: str) -> bytes:
        reply = await self.http.get(REST + "experiment/asset/get-asset", params=query)
        assert reply.status_code == 200, reply.text
        return reply.content

    async def keys(self, project: str = "p", archived: bool = False) -> list[str]:
        rows = await self.get("experiments", workspaceName="ws", projectName=project, archived=archived)
        return [row["experimentKey"] for row in rows["experiments"]]

    def arriving(self) -> list[Path]:
        return list(self.directory.rglob(".upload-*"))


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    """With one experiment that has begun."""
    (directory := tmp_path / "around" / "runs").mkdir(parents=True)
    made = Client(directory)
    await made.begin()
    yield made
    await made.http.aclose()


@pytest.mark.parametrize(
    ("method", "path", "asked", "status", "number"),
    [
        ("GET", "experiment/metadata", {"experimentKey": OTHER}, 404, 90211),
        ("GET", "write/experiment/archive", {"experimentKey": OTHER}, 404, 90211),
        ("GET", "write/experiment/delete", {"experimentKey": OTHER}, 404, 90211),
        ("GET", "write/experiment/stop", {"experimentKey": OTHER}, 400, 90211),
        ("POST", "write/experiment/move", {"experimentKeys": [OTHER], "targetProjectName": "q"}, 404, 90211),
        ("POST", "write/experiment/log-other", {"experimentKey": OTHER, "key": "k", "value": 1}, 400, 90211),
        ("POST", "write/experiment/code", {"experimentKey": OTHER, "code": "x"}, 400, 90211),
        ("POST", "write/artifacts/upsert", {"experimentKey": OTHER, "artifactName": "a"}, 400, 90211),
        ("POST", "write/registry-model/item/create", {"experimentKey": OTHER, "experimentModelName": "m"}, 400, 90211),
        ("POST", "/clientlib/logger/get/run", {"previousExperiment": OTHER}, 400, 90210),
    ],
)
async def test_an_experiment_that_is_not_there(
    client: Client, method: str, path: str, asked: Json, status: int, number: int
) -> None:
    """Comet has several statuses for it, and clients look at them."""
    reply = await (client.get(path, status, **asked) if method == "GET" else client.post(path, asked, status))
    assert reply == {"msg": f"experiment {OTHER} does not exist", "code": status, "sdk_error_code": number}


async def test_an_upload_to_an_experiment_that_is_not_there(client: Client) -> None:
    """It is refused before it is received."""
    assert (await client.upload(b"x", experimentId=OTHER, status=400))["sdk_error_code"] == 90211
    assert not client.arriving()


# -- files -------------------------------------------------------------------------------------------------------------


async def test_a_file_is_an_asset_at_once_and_later(client: Client) -> None:
    """All that is told with it is told of it, by this server and the next."""
    await client.upload(
        b"\x00bytes",
        assetId="x1",
        fileName="é/b.bin",
        step="3",
        epoch=2,
        type="audio",
        metadata='{"m": 1}',
        context="c",
    )
    for one in (client, client.again()):
        (asset,) = await one.assets()
        assert (asset["assetId"], asset["fileName"], asset["fileSize"], asset["type"]) == ("x1", "é/b.bin", 6, "audio")
        assert (asset["step"], asset["runContext"], json.loads(asset["metadata"])) == (3, "c", {"m": 1})
        assert await one.bytes(experimentKey=KEY, assetId="x1") == b"\x00bytes"
    assert client.arriving() == []


async def test_the_line_is_an_offline_archives(client: Client) -> None:
    """What comet_ml's schema of a file_upload wants is there."""
    await client.upload(b"x", assetId="x1", step="2.5", overwrite="True", projectId="p", runId="r")
    line = json.loads((client.directory / KEY / "messages.json").read_text())
    assert line["type"] == "file_upload"
    payload = line["payload"]
    assert payload["additional_params"] == {
        "assetId": "x1", "context": None, "fileName": "a", "overwrite": True, "runId": None, "step": 2.5
    }  # fmt: skip
    assert (payload["upload_type"], payload["metadata"], payload["clean"]) == ("asset", {}, True)
    assert (client.directory / KEY / payload["file_path"]).read_bytes() == b"x"


async def test_metadata_as_python_writes_them(client: Client) -> None:
    """A loss that is NaN does not cost the file."""
    await client.upload(b"x", metadata='{"loss": NaN, "low": -Infinity, "half": "\\ud800"}')
    for one in (client, client.again()):
        (asset,) = await one.assets()
        assert json.loads(asset["metadata"]) == {"loss": "NaN", "low": "-Infinity", "half": "?"}


async def test_permissions_are_those_of_the_umask_and_stay_what_the_user_made_them(client: Client) -> None:
    """An uploaded file is as open as any new one; what is written anew is as open as it was."""
    heading, store = client.directory / KEY / "experiment.json", client.directory / "store.json"
    before = os.umask(0o027)
    try:
        await client.upload(b"x", assetId="x1")
        await client.post("write/panel/store", {"store": "{}"})
    finally:
        os.umask(before)
    (uploaded,) = (path for path in heading.parent.iterdir() if path.read_bytes() == b"x")
    assert stat.S_IMODE(uploaded.stat().st_mode) == stat.S_IMODE(store.stat().st_mode) == 0o640
    heading.chmod(0o660)
    store.chmod(0o600)
    await client.get("write/experiment/archive", experimentKey=KEY)
    await client.post("write/panel/store", {"store": '{"k": "v"}'})
    assert json.loads(heading.read_bytes())["archived"] is True
    assert (heading.stat().st_mode & 0o777, store.stat().st_mode & 0o777) == (0o660, 0o600)


async def test_an_upload_that_comes_twice_is_one(client: Client) -> None:
    """Its answer was lost; of other bytes under the same id the last count."""
    for _ in range(2):
        await client.upload(b"same", assetId="x1")
    assert len(list((client.directory / KEY).glob("tmp*"))) == 1
    await client.upload(b"other", assetId="x1")
    for one in (client, client.again()):
        (asset,) = await one.assets()
        assert await one.bytes(experimentKey=KEY, assetId=asset["assetId"]) == b"other"


async def test_overwrite_replaces_what_has_the_name(client: Client) -> None:
    """Without it files of one name stand beside each other."""
    await client.upload(b"one", assetId="x1")
    await client.upload(b"two", assetId="x2")
    assert len(await client.assets()) == 2
    await client.upload(b"three", assetId="x3", overwrite="True")
    for one in (client, client.again()):
        assert [asset["assetId"] for asset in await one.assets()] == ["x3"]


async def test_many_at_once(client: Client) -> None:
    """Parallel uploads to two experiments are all there, each with its own bytes."""
    await client.begin(OTHER)
    async with trio.open_nursery() as nursery:
        for number in range(40):

            async def one(number: int = number) -> None:
                key = (KEY, OTHER)[number % 2]
                await client.upload(b"%d" % number * 1000, experimentId=key, assetId=f"x{number}", fileName=str(number))

            nursery.start_soon(one)
    for server in (client, client.again()):
        found = {asset["assetId"]: key for key in (KEY, OTHER) for asset in await server.assets(key)}
        assert len(found) == 40
        for identity, key in found.items():
            content = await server.bytes(experimentKey=key, assetId=identity)
            assert content == b"%s" % identity[1:].encode() * 1000


async def test_links_models_and_images(client: Client) -> None:
    """What is elsewhere has its link; images their name; elements their model."""
    link = {"link": ("link", b"s3://b/k"), "metadata": (None, b'{"s": 1}')}
    query = {"experimentId": KEY, "fileName": "far", "isRemote": "True", "assetId": "r1"}
    assert (await client.http.post(UPLOAD, params=query, files=link)).status_code == 200
    entities = [{"assetId": "r2", "fileName": "w", "remoteUrl": "s3://b/w"}]
    await client.post(
        "/clientlib/asset/log-remote-model", {"experimentKey": KEY, "modelName": "m", "remoteEntities": entities}
    )
    await client.upload(b"png", "/clientlib/visualizations/upload", figName="fig", imageId="i1", figCounter="1")
    await client.upload(b"w", type="model-element", groupingName="m", fileName="w.bin", assetId="e1")
    for one in (client, client.again()):
        found = {asset["assetId"]: asset for asset in await one.assets()}
        assert (found["r1"]["link"], found["r1"]["remote"], found["r2"]["link"]) == ("s3://b/k", True, "s3://b/w")
        assert (found["i1"]["type"], found["i1"]["fileName"]) == ("image", "fig")
        assert found["e1"]["dir"] == found["r2"]["dir"] == "models/m"


async def test_scenes_come_in_pieces(client: Client) -> None:
    """A 3-D image, its points, its boxes and its picture; what comes twice is there once."""
    made = {"experimentKey": KEY, "userFileName": "scene", "assetType": "3d-image", "step": 4, "metadata": '{"x": 1}'}
    scene = (await client.post("/clientlib/asset", made))["assetId"]
    for name in ("points.jsonl", "boxes.jsonl", "points.jsonl"):
        said = {"experimentKey": KEY, "assetId": scene, "userFileName": name, "assetItemType": name[:-7]}
        parts: Json = {"requestParams": (None, json.dumps(said)), "assetItemContent": ("file", name.encode())}
        assert (await client.http.post("/clientlib/asset/asset-item", files=parts)).status_code == 200
    picture: Json = {"requestParams": (None, json.dumps({"experimentKey": KEY})), "thumbnail": ("file", b"png")}
    assert (await client.http.put(f"/clientlib/asset/{scene}/thumbnail", files=picture)).status_code == 200
    for one in (client, client.again()):
        found = {asset["assetId"]: asset for asset in await one.assets()}
        items = found[scene]["items"]
        assert sorted(item["fileName"] for item in items) == ["boxes.jsonl", "points.jsonl"]
        assert (found[scene]["step"], found[scene]["metadata"], len(found)) == (4, '{"x": 1}', 3)
        assert await one.bytes(experimentKey=KEY, assetId=scene) == b"png"
        for item in items:
            assert await one.bytes(experimentKey=KEY, assetId=item["assetId"]) == item["fileName"].encode()


async def test_a_patch(client: Client) -> None:
    """It is told as it came."""
    await client.upload(b"PK..", "/clientlib/git-patch/upload")
    for one in (client, client.again()):
        reply = await one.http.get(REST + "experiment/git/patch", params={"experimentKey": KEY})
        assert reply.content == b"PK.."


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"experimentId": "unknown"}, 400),
        ({"experimentId": ""}, 400),
        ({"experimentId": "../.."}, 400),
        ({"assetId": "../../x"}, 400),
        ({"assetId": "x" * 101}, 400),
        ({"metadata": "[1]"}, 400),
        ({"metadata": "{"}, 400),
        ({"metadata": '{"a": ' + "[" * 100_000 + "]" * 100_000 + "}"}, 400),
        ({"metadata": '{"a": ' + "[" * 600 + "]" * 600 + "}"}, 400),
        ({"artifactVersionId": "unknown"}, 404),
    ],
)
async def test_what_cannot_be_is_refused(client: Client, query: Json, status: int) -> None:
    """In Comet's shape, and nothing of it is kept."""
    said = await client.upload(b"x" * 3_000_000, status=status, **query)
    assert said["code"] == status
    assert said["msg"]
    assert await client.assets() == []
    assert client.arriving() == []
    assert len(list((client.directory / KEY).iterdir())) == 2


@pytest.mark.parametrize("step", ["one", "NaN", "Infinity", "1e999", "true", "9" * 5000, "[" * 5000, ""])
async def test_a_step_that_is_no_number_costs_no_file(client: Client, step: str) -> None:
    """The file is kept, without a step."""
    await client.upload(b"x", assetId="x1", step=step, epoch=step)
    for one in (client, client.again()):
        assert [(asset["assetId"], asset["step"]) for asset in await one.assets()] == [("x1", None)]


async def test_a_full_disk_keeps_no_file_without_its_line(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line did not fit: the file is gone too, and is taken when it comes again."""

    def failing(file: int, content: bytes) -> int:
        raise OSError(28, "No space left on device")

    code = {"experimentKey": KEY, "code": "print(1)"}
    with monkeypatch.context() as full:
        full.setattr(os, "write", failing)
        await client.upload(b"one", assetId="x1", status=507)
        await client.upload(b"PK..", "/clientlib/git-patch/upload", status=507)
        await client.post("write/experiment/code", code, 507)
    await client.post("write/experiment/code", code | {"experimentKey": "unknown"}, 400)
    assert {path.name for path in (client.directory / KEY).iterdir()} == {"experiment.json", "messages.json"}
    assert not list((client.directory / ".arriving-uploads").iterdir())
    await client.upload(b"one", assetId="x1")
    assert await client.bytes(experimentKey=KEY, assetId="x1") == b"one"


async def test_bodies_that_are_no_uploads_are_refused(client: Client) -> None:
    """Whatever they are, and at every place where files come in."""
    for path in ("asset/upload", "visualizations/upload", "git-patch/upload", "asset/asset-item", "asset/x/thumbnail"):
        for kind, body in (("application/json", b"{}"), ("multipart/form-data; boundary=b", b"--b--\r\n"), ("", b"")):
            reply = await client.http.post(
                f"/clientlib/{path}", params={"experimentId": KEY}, content=body, headers={"content-type": kind}
            )
            assert reply.status_code == 400, (path, reply.text)
            assert reply.json()["code"] == 400
    wrong: list[Any] = [{}, [], {"experimentKey": 1}, {"experimentKey": KEY, "userFileName": "x", "assetType": "curve"}]
    for asked in wrong:
        await client.post("/clientlib/asset", asked, 400)
    assert await client.assets() == []


async def test_points_without_their_scene(client: Client) -> None:
    """cometx copies them as files of their own: they are kept as such."""
    await client.upload(b"points", "/clientlib/asset/asset-item", fileName="points.jsonl", assetId="p1")
    (found,) = await client.assets()
    assert (found["assetId"], found["fileName"], found["type"]) == ("p1", "points.jsonl", "asset-item")
    assert await client.bytes(experimentKey=KEY, assetId="p1") == b"points"


async def test_names_are_never_paths(client: Client) -> None:
    """Neither of assets nor of artifacts, workspaces and versions."""
    for name in ("../../up", "/etc/up", "a/../../up", "\u0000", "x" * 5000):
        await client.upload(b"x", fileName=name, assetId=f"x{len(name)}")
    assert len(await client.assets()) == 5
    for name in ("..", "a/b", ".hidden", "x" * 300, "a\nb"):
        made = await upsert(client, artifactName=name)
        await client.upload(b"x", artifactVersionId=made["artifactVersionId"], fileName="../../up")
        await client.upload(b"y", artifactVersionId=made["artifactVersionId"], fileName="f")
        await client.post("write/artifacts/state", {"artifactVersionId": made["artifactVersionId"], "state": "CLOSED"})
    for version in ("../1.0.0", "..", "1/0", ""):
        said = await client.post("write/artifacts/upsert", UPSERT | {"version": version}, 400 if version else 200)
        assert not version or said["sdk_error_code"] == 42001
    await client.post("write/experiment/move", MOVE | {"targetWorkspaceName": "../w", "targetProjectName": "../p"})
    assert not list(client.directory.parents[1].rglob("up"))
    names = {path.name for path in client.directory.iterdir() if not path.name.startswith(".")}
    assert names == {KEY, "artifacts"}
    later = client.again()
    rows = (await later.get("artifacts/get-all", workspace="ws"))["artifacts"]
    assert {"..", "a/b", ".hidden", "x" * 300, "a\nb"} <= {row["name"] for row in rows}


MOVE = {"experimentKeys": [KEY], "targetProjectName": "q", "targetWorkspaceName": "ws", "symlink": False}


# -- artifacts ---------------------------------------------------------------------------------------------------------

UPSERT: Json = {"experimentKey": KEY, "artifactName": "set", "artifactType": "data", "version": None, "alias": []}


async def upsert(client: Client, status: int = 200, **words: Any) -> Any:
    return await client.post("write/artifacts/upsert", UPSERT | words, status)


async def test_a_version_is_seen_when_it_is_whole(client: Client) -> None:
    """Whoever makes it knows it by its id; others do not list it, and are told that it is not final."""
    made = await upsert(client, alias=["best"])
    identity = made["artifactVersionId"]
    assert (made["currentVersion"], made["previousVersion"]) == ("1.0.0", None)
    await client.upload(b"one", artifactVersionId=identity, fileName="d/f", assetId="f1", metadata='{"k": 1}')
    named: Json = {"workspace": "ws", "artifactName": "set"}
    for one in (client, later := client.again()):
        assert (await one.get("artifacts/get", **named))["versions"] == []
        assert (await one.get("artifacts/version", 400, **named, version="1.0.0"))["sdk_error_code"] == 90402
        assert (await one.get("artifacts/version", versionId=identity))["state"] == "PREPARING"
    await later.post("write/artifacts/state", {"artifactVersionId": identity, "state": "CLOSED"})
    for one in (later, later.again()):
        assert (await one.get("artifacts/version", **named, versionOrAlias="best"))["artifactVersionId"] == identity
        (row,) = (await one.get("artifacts/version/files", **named, version="1.0.0"))["files"]
        assert (row["fileName"], row["assetId"], json.loads(row["metadata"])) == ("d/f", "f1", {"k": 1})
        assert await one.bytes(artifactVersionId=identity, assetId="f1", experimentKey=KEY) == b"one"
        refused = await one.upload(b"late", artifactVersionId=identity, fileName="late", status=400)
        assert "closed" in refused["msg"]


async def test_versions_count_and_are_not_made_twice(client: Client) -> None:
    """The next major one unless one is given; one that is there, or was given up, is not made again."""
    numbers = [(await upsert(client, version=asked))["currentVersion"] for asked in (None, "1.5.0", None, "7.0.0")]
    assert numbers == ["1.0.0", "1.5.0", "2.0.0", "7.0.0"]
    assert (await upsert(client, 400, version="7.0.0", alias=["x"]))["sdk_error_code"] == 90399
    assert (await upsert(client, 400, experimentKey="unknown"))["sdk_error_code"] == 90211
    assert (await upsert(client))["currentVersion"] == "8.0.0"


async def test_a_version_that_is_asked_for_again_is_the_same(client: Client) -> None:
    """Its answer was lost, also with a server that was killed; once it has a file it is somebody else's."""
    await client.begin(OTHER)
    identity = (await upsert(client, version="1.2.3", alias=["x"]))["artifactVersionId"]
    for one in (client, later := client.again()):
        assert (await upsert(one, version="1.2.3", alias=["x"]))["artifactVersionId"] == identity
        await upsert(one, 400, version="1.2.3", alias=["x"], experimentKey=OTHER)
    await later.upload(b"x", artifactVersionId=identity, fileName="f")
    await upsert(later, 400, version="1.2.3", alias=["x"])
    await later.post("write/artifacts/state", {"artifactVersionId": identity, "state": "CLOSED"})
    await upsert(later, 400, version="1.2.3", alias=["x"])


async def test_a_file_again_and_files_in_each_others_way(client: Client) -> None:
    """The last of a name counts; ``a`` and ``a/b`` are both there."""
    identity = (await upsert(client))["artifactVersionId"]
    for name, content in (("a", b"1"), ("a/b", b"2"), ("c/d", b"3"), ("c", b"4"), ("a", b"5")):
        await client.upload(content, artifactVersionId=identity, fileName=name)
    await client.post("write/artifacts/state", {"artifactVersionId": identity, "state": "CLOSED"})
    for one in (client, client.again()):
        files = (await one.get("artifacts/version/files", workspace="ws", artifactName="set", version="1.0.0"))["files"]
        told = {row["fileName"]: await one.bytes(artifactVersionId=identity, assetId=row["assetId"]) for row in files}
        assert told == {"a": b"5", "a/b": b"2", "c/d": b"3", "c": b"4"}


async def test_aliases_tags_and_types(client: Client) -> None:
    """An alias is one version's, and `Latest` the newest one's, whatever clients say; what is not named stays."""
    ids = [(await upsert(client, alias=["x"]))["artifactVersionId"] for _ in range(2)]
    for identity in ids:
        await client.post("write/artifacts/state", {"artifactVersionId": identity, "state": "CLOSED"})
    await client.post("write/artifacts/version/labels", {"artifactVersionId": ids[0], "versionTags": ["t"]})
    await client.post("write/artifacts/version/labels", {"artifactVersionId": ids[0], "alias": ["x", "y", "Latest"]})
    artifact = (await client.get("artifacts/version", versionId=ids[0]))["artifact"]["artifactId"]
    await client.post("write/artifacts/details", {"artifactId": artifact, "tags": ["all"]})
    for one in (client, client.again()):
        told = await one.get("artifacts/get", artifactId=artifact)
        assert [(row["alias"], row["tags"]) for row in told["versions"]] == [(["x", "y"], ["t"]), (["Latest"], [])]
        assert (told["tags"], told["type"]) == (["all"], "data")


@pytest.mark.logs("artifact.json: ignored")
async def test_what_somebody_else_says_of_an_artifact_stays(client: Client) -> None:
    """What we do not know is kept beside what we do; what we cannot read is not written over."""
    close: Json = {"artifactVersionId": (await upsert(client))["artifactVersionId"], "state": "CLOSED"}
    await client.post("write/artifacts/state", close)
    path = client.directory / "artifacts/ws/set/artifact.json"
    told = json.loads(path.read_text())
    path.write_text(json.dumps(told | {"mine": 1, "versions": {"1.0.0": told["versions"]["1.0.0"] | {"my": [2]}}}))
    later = client.again()
    labels: Json = {"artifactVersionId": close["artifactVersionId"], "alias": ["a"]}
    await later.post("write/artifacts/version/labels", labels)
    told = json.loads(path.read_text())
    assert (told["mine"], told["versions"]["1.0.0"]["my"], told["versions"]["1.0.0"]["aliases"]) == (1, [2], ["a"])
    path.write_text(broken := json.dumps(told)[:-1] + ",}")
    later = later.again()
    await upsert(later, 409)
    await later.post("write/artifacts/version/labels", labels | {"alias": ["b"]}, 409)
    assert path.read_text() == broken
    path.write_text(json.dumps(told))
    await later.post("write/artifacts/version/labels", labels | {"alias": ["b"]}, 409)
    later = later.again()
    assert (await upsert(later))["currentVersion"] == "2.0.0"
    assert (await later.get("artifacts/version", versionId=labels["artifactVersionId"]))["alias"][:1] == ["a"]


@pytest.mark.logs("1.0.0.jsonl: line 2 ignored")
async def test_a_line_about_a_file_is_there_whole_or_not_at_all(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a full disk nothing stays, and half a line that a killed server left spoils no other."""
    identity = (await upsert(client))["artifactVersionId"]
    await client.upload(b"1", artifactVersionId=identity, fileName="a", assetId="a1")
    write, lines = os.write, client.directory / "artifacts/ws/set/1.0.0.jsonl"
    before = lines.read_bytes()
    with monkeypatch.context() as full:
        full.setattr(os, "write", lambda file, content: write(file, content[: len(content) // 2]))
        await client.upload(b"2", artifactVersionId=identity, fileName="b", assetId="b1", status=507)
    assert lines.read_bytes() == before
    lines.write_bytes(before + before[: len(before) // 2])
    later = client.again()
    await later.upload(b"3", artifactVersionId=identity, fileName="c", assetId="c1")
    await later.post("write/artifacts/state", {"artifactVersionId": identity, "state": "CLOSED"})
    rows = (await later.again().get("artifacts/version/files", workspace="ws", artifactName="set", version="1.0.0"))[
        "files"
    ]
    assert {(row["fileName"], row["assetId"]) for row in rows} == {("a", "a1"), ("c", "c1")}


async def test_an_image_for_an_artifact_needs_no_name(client: Client) -> None:
    """It has its own, or the part's."""
    identity = (await upsert(client))["artifactVersionId"]
    for figure in ({"figName": "fig"}, {}):
        query = {"experimentId": KEY, "artifactVersionId": identity} | figure
        files = {"file": ("there.png", b"png")}
        reply = await client.http.post("/clientlib/visualizations/upload", params=query, files=files)
        assert reply.status_code == 200
    assert {path.name for path in (client.directory / "artifacts/ws/set/1.0.0").iterdir()} == {"fig", "there.png"}


@pytest.mark.logs("Is a directory")
async def test_a_version_is_never_where_lines_are(client: Client) -> None:
    """Nor where the artifact's own words are; a folder that somebody put there breaks nothing."""
    for number in ("1.0.0.jsonl", "artifact.json", "1.0.0.JSONL"):
        assert (await upsert(client, 400, version=number))["sdk_error_code"] == 42001
    await upsert(client, version="1.0.0")
    (client.directory / "artifacts/ws/set/1.0.0.jsonl").mkdir()
    assert (await client.again().get("workspaces"))["workspaceNames"] == ["ws"]


# -- models ------------------------------------------------------------------------------------------------------------


async def test_a_model_is_registered_and_told_more_about(client: Client) -> None:
    """Metadata, status and tags come after it; the same again is no second version, another one's is refused."""
    await client.upload(b"w", type="model-element", groupingName="m", fileName="w.bin")
    await client.begin(OTHER)
    asked = {"experimentKey": KEY, "experimentModelName": "m", "registryModelName": "reg", "version": "1.0.0"}
    item = (await client.post("write/registry-model/item/create", asked))["registryModelItemId"]
    assert (await client.post("write/registry-model/item/create", asked))["registryModelItemId"] == item
    await client.post("write/registry-model/item/create", asked | {"experimentKey": OTHER}, 400)
    bad = await client.post("write/registry-model/item/create", asked | {"version": "one"}, 400)
    assert bad["sdk_error_code"] == 42001
    facts = [{"key": "k", "value": 2}]
    await client.post(f"write/registry-model/item/{item}/metadata", {"metadata": facts})
    await client.post("write/registry-model/item/status", {"modelItemId": item, "status": "Production"})
    for stage in ("a", "b"):
        await client.get("write/registry-model/item/stage", modelItemId=item, stage=stage)
    await client.get("write/registry-model/item/stage/delete", modelItemId=item, stage="a")
    await client.post("write/registry-model/item/x/metadata", {"metadata": facts}, 404)
    again = await client.post("write/registry-model/item/create", asked | {"version": None, "experimentKey": OTHER})
    for one in (client, client.again()):
        told = await one.get("registry-model/details", workspaceName="ws", modelName="reg")
        assert [row["version"] for row in told["versions"]] == ["1.1.0", "1.0.0"]
        assert told["versions"][0]["registryModelItemId"] == again["registryModelItemId"]
        row = told["versions"][1]
        assert (row["status"], row["tags"], row["experimentKey"]) == ("Production", ["b"], KEY)
        assert (await one.get(f"registry-model/item/{item}/metadata"))["metadata"] == [{"key": "k", "value": "2"}]


async def test_a_version_of_thousands_of_digits_harms_nobody(client: Client) -> None:
    """It is refused, and where an archive has one the others are served all the same, and get their next numbers."""
    asked = {"experimentKey": KEY, "experimentModelName": "m", "version": f"1{'0' * 5000}.0.0"}
    await client.post("write/registry-model/item/create", asked, 400)
    line = {"type": "register_model", "payload": {"model_name": "m", "version": asked["version"]}}
    with (client.directory / KEY / "messages.json").open("a") as log:
        log.write(json.dumps(line) + "\n")
    later = client.again()
    await later.post("write/registry-model/item/create", asked | {"version": "1.0.0"})
    await later.post("write/registry-model/item/create", asked | {"experimentModelName": "n", "version": "1.0.0"})
    assert (await later.again().get("registry-model/count", workspaceName="ws"))["registryModelCount"] == 2


# -- what becomes of experiments ---------------------------------------------------------------------------------------


async def test_archived_moved_and_deleted(client: Client) -> None:
    """Seen by whoever lists, and by the next server; what is deleted is gone from the disk, and can come again."""
    await client.begin(OTHER)
    await client.get("write/experiment/archive", experimentKey=KEY)
    await client.post("write/experiment/move", MOVE | {"experimentKeys": [OTHER]})
    for one in (client, client.again()):
        assert (await one.keys(archived=True), await one.keys(), await one.keys("q")) == ([KEY], [], [OTHER])
    client = one
    await client.get("write/experiment/restore", experimentKey=KEY)
    await client.get("write/experiment/delete", experimentKey=OTHER)
    await client.get("write/experiment/delete", 404, experimentKey=OTHER)
    await client.post("write/experiment/log-other", {"experimentKey": OTHER, "key": "k", "value": 1}, 400)
    await client.upload(b"x", experimentId=OTHER, status=400)
    assert [path.name for path in client.directory.iterdir() if not path.name.startswith(".")] == [KEY]
    later = client.again()
    assert await later.keys() == [KEY]
    await later.begin(OTHER)
    assert await later.keys() == [KEY, OTHER]


async def test_a_move_that_is_refused(client: Client) -> None:
    """None that is there, no goal, or a link, which is not kept here."""
    await client.post("write/experiment/move", MOVE | {"experimentKeys": ["unknown"]}, 404)
    await client.post("write/experiment/move", MOVE | {"symlink": True}, 400)
    await client.post("write/experiment/move", {"experimentKeys": [KEY]}, 400)
    assert await client.keys() == [KEY]


def put_archive(directory: Path, name: str, start: int = 5, key: str = OTHER) -> bytes:
    head = {"offline_id": key, "workspace": "ws", "project_name": "p", "start_time": start, "stop_time": start + 1}
    with zipfile.ZipFile(directory / name, "w") as archive:
        archive.writestr("experiment.json", json.dumps(head))
        archive.writestr("messages.json", "")
    return (directory / name).read_bytes()


async def test_an_archive_that_was_put_there_is_moved_and_tagged(tmp_path: Path) -> None:
    """By what stands beside it: the next server finds it where it was put."""
    content = put_archive(tmp_path, "a.zip")
    client = Client(tmp_path)
    await client.post("write/experiment/move", MOVE | {"experimentKeys": [OTHER]})
    for one in (client, client.again()):
        assert await one.keys("q") == [OTHER]
        assert [row["projectName"] for row in (await one.get("projects", workspaceName="ws"))["projects"]] == ["q"]
        row = await one.get("experiment/metadata", experimentKey=OTHER)
        assert (row["startTimeMillis"], row["endTimeMillis"], row["running"]) == (5, 6, False)
    assert (tmp_path / "a.zip").read_bytes() == content


@pytest.mark.logs("is the same run as")
async def test_an_archive_that_was_put_there_is_not_destroyed(tmp_path: Path) -> None:
    """A delete moves it, its later parts and its copies to where nobody looks for archives."""
    kept = {name: put_archive(tmp_path, name, start) for name, start in (("a.zip", 5), ("b.zip", 5), ("c.zip", 50))}
    (tmp_path / DELETED).mkdir()
    (tmp_path / DELETED / "c.zip").write_text("of an earlier one")
    client = Client(tmp_path)
    await client.get("write/experiment/archive", experimentKey=OTHER)
    assert await client.keys(archived=True) == [OTHER]
    await client.get("write/experiment/delete", experimentKey=OTHER)
    found = {path.name: path.read_bytes() for path in (tmp_path / DELETED).iterdir()}
    assert found == {
        "a.zip": kept["a.zip"], "b.zip": kept["b.zip"], "2-c.zip": kept["c.zip"], "c.zip": b"of an earlier one"
    }  # fmt: skip
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith(".")] == []


async def test_deleted_while_it_is_read(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever was about to read its files is told that there is no such experiment, and not that the server failed."""
    await client.post("write/experiment/output", {"experimentKey": KEY, "outputLines": [{"output": "a"}]})
    opened = Archive.open

    def deleted_before(archive: Archive, name: str) -> Any:
        monkeypatch.setattr(Archive, "open", opened)
        trio.from_thread.run(partial(client.get, "write/experiment/delete", experimentKey=KEY))
        return opened(archive, name)

    monkeypatch.setattr(Archive, "open", deleted_before)
    await client.get("experiment/output", 404, experimentKey=KEY)


async def test_a_delete_that_was_killed_is_finished(tmp_path: Path) -> None:
    """No half of an experiment comes back."""
    put_archive(tmp_path, "a.zip")
    client = Client(tmp_path)
    await client.get("write/experiment/archive", experimentKey=OTHER)
    heading = tmp_path / OTHER / "experiment.json"
    heading.write_text(json.dumps(json.loads(heading.read_text()) | {GOES_WITH: ["a.zip", "../b", 1]}))
    later = client.again()
    assert await later.get("workspaces") == {"workspaceNames": ["default"]}
    assert [path.name for path in (tmp_path / DELETED).iterdir()] == ["a.zip"]
    assert not (tmp_path / OTHER).exists()


async def test_without_a_directory_it_says_why(tmp_path: Path) -> None:
    """Uploads are read to their end before they are refused."""
    put_archive(tmp_path, "a.zip")
    app = make_app(open_directory(tmp_path), closed="only read")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://c", headers=HEADERS) as http:
        for reply in (
            await http.post(UPLOAD, params={"experimentId": OTHER}, files={"file": b"x" * 3_000_000}),
            await http.get(REST + "write/experiment/delete", params={"experimentKey": OTHER}),
            await http.post(REST + "write/artifacts/upsert", json=UPSERT),
        ):
            assert (reply.status_code, reply.json()["msg"]) == (403, "only read")
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


async def until(so: Callable[[], bool]) -> None:
    """What another task does, waited for."""
    with trio.fail_after(60):
        while not so():  # noqa: ASYNC110  there is nothing that tells when a file is there
            await trio.sleep(0.01)


HEAD = """POST {path} HTTP/1.1\r
Host: {host}\r
Authorization: k\r
Content-Type: multipart/form-data; boundary=b\r
Content-Length: {length}\r
\r
"""
PART = b'--b\r\nContent-Disposition: form-data; name="file"; filename="file"\r\n\r\n'


async def start_upload(url: str, path: str, length: int) -> trio.SocketStream:
    """A connection on which an upload of so many bytes has begun."""
    host, port = url.removeprefix("http://").split(":")
    stream = await trio.open_tcp_stream(host, int(port))
    await stream.send_all(HEAD.format(path=path, host=f"{host}:{port}", length=length).encode() + PART)
    return stream


async def test_a_refusal_waits_for_the_end_of_the_body(client: Client) -> None:
    """A client that is still sending would take the answer for a broken connection, and send it all again."""
    async with trio.open_nursery() as nursery:
        url = await nursery.start(serve, client.app, "127.0.0.1:0")
        end = b"\r\n--b--\r\n"
        stream = await start_upload(url, f"{UPLOAD}?experimentId=unknown", len(PART) + (64 << 20) + len(end))
        async with stream:
            for _ in range(64):
                await stream.send_all(bytes(1 << 20))
            await stream.send_all(end)
            assert (await stream.receive_some(1000)).startswith(b"HTTP/1.1 400")
        nursery.cancel_scope.cancel()


async def test_a_client_that_goes_away_leaves_nothing(tmp_path: Path) -> None:
    """In the middle of a large file, over a real socket; a second one that sends all of it is served meanwhile."""
    client = Client(tmp_path)
    await client.begin()
    async with trio.open_nursery() as nursery:
        url = await nursery.start(serve, client.app, "127.0.0.1:0")
        stream = await start_upload(url, f"{UPLOAD}?experimentId={KEY}&fileName=a", 90_000_000)
        await stream.send_all(bytes(4 << 20))
        await until(lambda: bool(list(tmp_path.rglob(".upload-*"))))
        async with httpx.AsyncClient(base_url=url, headers=HEADERS, timeout=60) as http:
            reply = await http.post(UPLOAD, params={"experimentId": KEY, "fileName": "b"}, files={"file": b"whole"})
            assert reply.status_code == 200
        await stream.aclose()
        await until(lambda: not list(tmp_path.rglob(".upload-*")))
        nursery.cancel_scope.cancel()
    assert [asset["fileName"] for asset in await client.assets()] == ["b"]
    assert len(list((tmp_path / KEY).glob("tmp*"))) == 1


async def test_a_run_that_began_at_another_time(client: Client) -> None:
    """As the uploader of archives says at the end: what had no time of its own has the begin's, now and later."""
    await client.post("write/experiment/log-other", {"experimentKey": KEY, "key": "k", "value": 1})
    link = {"link": ("link", b"s3://b/k")}
    await client.http.post(UPLOAD, params={"experimentId": KEY, "fileName": "far", "assetId": "r"}, files=link)
    times = {"experimentKey": KEY, "startTimestamp": 500, "endTimestamp": 900}
    await client.post("/clientlib/status-report/offline-metadata", times)
    (asset,) = await client.assets()
    for one in (client, client.again()):
        (row,) = (await one.get("experiment/log-other", experimentKey=KEY))["values"]
        assert row["timestampCurrent"] == 500
        assert [other["createdAt"] for other in await one.assets()] == [asset["createdAt"]]
        row = await one.get("experiment/metadata", experimentKey=KEY)
        assert (row["startTimeMillis"], row["endTimeMillis"]) == (500, 900)
