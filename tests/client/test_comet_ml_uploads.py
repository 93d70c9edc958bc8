"""The real client is satisfied: files, artifacts, models and archives that comet_ml brings to `cometfs serve DIR`.

Client and server run as processes of their own, in an empty folder and with an empty home; the server is killed, and
what it acknowledged is told by the next one.
"""

from __future__ import annotations

import csv
import hashlib
import json
import zipfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from cometfs.render import logged
from tests.support.comet_ml_client import API_KEY, SCRIPTS, make_dirty_repository, python, run
from tests.support.processes import PATIENCE, Comet, running_comet

ONLINE = "0111e000000000000000000000000001"
OFFLINE = "0ff11e00000000000000000000000002"
THEIRS = "7e50000000000000000000000000000a"
BIG = 9_000_001

COMET = ("-m", "comet_ml.scripts.comet", "upload")
MODULE = ("-m", "comet_ml.scripts.comet_upload")

ENDPOINTS = (
    "metadata",
    "tags",
    "parameters",
    "metrics/summary",
    "metrics/get-all",
    "log-other",
    "html",
    "code",
    "output",
    "graph",
    "system-details",
    "git/metadata",
    "model",
    "asset/list",
)

Told = dict[str, Any]


def upload(program: Sequence[str], *words: str, folder: Path, url: str) -> int:
    """The status of comet_ml's uploader."""
    return python(*program, *words, folder=folder, url=url).returncode


@contextmanager
def serving(folder: Path, runs: Path) -> Iterator[Comet]:
    folder.mkdir(exist_ok=True)
    with running_comet(folder, "--api-key", API_KEY, archives=runs) as comet:
        yield comet


def get(url: str, endpoint: str, **query: Any) -> httpx.Response:
    address, headers = f"{url}/api/rest/v2/{endpoint}", {"Authorization": API_KEY}
    return httpx.get(address, params=query, headers=headers, timeout=PATIENCE)


def ask(url: str, endpoint: str, **query: Any) -> Any:
    reply = get(url, endpoint, **query)
    assert reply.status_code == 200, reply.text
    return reply.json()


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def write_their_archive(runs: Path) -> None:
    """An archive that somebody put into the directory."""
    runs.mkdir()
    head = {"offline_id": THEIRS, "workspace": "ws", "project_name": "p", "start_time": 1, "stop_time": 9}
    point = {"metricName": "loss", "metricValue": 7, "step": 1, "epoch": None}
    with zipfile.ZipFile(runs / "theirs.zip", "w") as archive:
        archive.writestr("experiment.json", json.dumps(head | {"tags": ["theirs"]}))
        archive.writestr("messages.json", json.dumps({"type": "metric_msg", "payload": {"metric": point}}) + "\n")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    (folder := tmp_path_factory.mktemp("uploads") / "around" / "place").mkdir(parents=True)
    make_dirty_repository(folder)
    write_their_archive(folder / "runs")
    return folder


@pytest.fixture(scope="module")
def told(place: Path) -> Told:
    """What was told when it was logged, by several at once, of the server that was killed then, and of the next one."""
    runs, archive = place / "runs", f"{place}/{OFFLINE}.zip"
    told: Told = {"before": (runs / "theirs.zip").read_bytes()}
    with serving(place / "first", runs) as comet, ThreadPoolExecutor() as several:
        script = partial(several.submit, partial(run, folder=place, url=comet.url))
        uploader = partial(several.submit, partial(upload, folder=place, url=comet.url))
        online = script("log_files.py", "online", ONLINE)
        offline = script("log_files.py", f"offline:{place}", OFFLINE)
        managed = script("manage.py", THEIRS)
        told["artifacts"] = json.loads(online.result().splitlines()[-1])
        told["made"] = json.loads(managed.result())
        offline.result()
        twice = uploader(MODULE, archive, archive).result()
        told["uploads"] = [twice, uploader(COMET, "--force-upload", "--project-name", "again", archive).result()]
        keys = [ONLINE, OFFLINE, THEIRS, told["made"]["kept"]]
        told["read"] = json.loads(script("read_files.py", *keys).result())
        told["at once"] = state_of(comet.url, keys)
        told["histograms"] = histograms_of(comet.url, ONLINE)
        comet.process.kill()
        comet.process.wait(PATIENCE)
    told["after"] = (runs / "theirs.zip").read_bytes()
    with serving(place / "second", runs) as comet:
        told["later"] = state_of(comet.url, keys)
    (place / "own").mkdir()
    (place / "own" / "x.zip").write_bytes(Path(archive).read_bytes())
    with serving(place / "third", place / "own") as comet:
        told["own"] = experiment_of(comet.url, OFFLINE)
    return told


def experiment_of(url: str, key: str) -> Told:
    """All that is told about an experiment, its assets' bytes by their digest; without addresses."""
    told = {endpoint: ask(url, f"experiment/{endpoint}", experimentKey=key) for endpoint in ENDPOINTS}
    told["assets"] = assets = told.pop("asset/list")["assets"]
    for asset in assets:
        if not asset["remote"]:
            reply = get(url, "experiment/asset/get-asset", experimentKey=key, assetId=asset["assetId"])
            asset["digest"] = digest(reply.content)
            del asset["link"]
        del asset["compressedAssetLink"], asset["curlDownload"]
    assets.sort(key=lambda asset: (asset["fileName"], asset["step"] or 0, asset["assetId"]))
    told["patch"] = digest(get(url, "experiment/git/patch", experimentKey=key).content)
    return told


def histograms_of(url: str, key: str) -> dict[str, str]:
    """By name, the JSON of all steps."""
    kind = "histogram_combined_3d"
    rows = ask(url, "experiment/asset/list", experimentKey=key, type=kind)["assets"]
    return {
        row["fileName"]: get(url, "experiment/asset/get-asset", experimentKey=key, assetId=row["assetId"]).text
        for row in rows
    }


def state_of(url: str, keys: Sequence[str]) -> Told:
    """All that is told, without addresses."""
    registry = ask(url, "registry-model/details", workspaceName="ws é", modelName="reg")
    for version in registry["versions"]:
        del version["assets"], version["restApiUrl"]
    artifact = {"workspace": "ws é", "artifactName": "set 1 é"}
    files = ask(url, "artifacts/version/files", **artifact, version="1.0.0")["files"]
    return {
        "experiments": {key: experiment_of(url, key) for key in keys},
        "listed": {
            (*place, archived): listed(url, *place, archived)
            for place in (("ws", "p"), ("ws", "other"), ("ws é", "pro ject"), ("ws é", "again"))
            for archived in (False, True)
        },
        "artifact": ask(url, "artifacts/get", **artifact),
        "files": [{name: value for name, value in row.items() if name != "link"} for row in files],
        "registry": registry,
    }


def listed(url: str, workspace: str, project: str, archived: bool) -> list[list[str]]:
    rows = ask(url, "experiments", workspaceName=workspace, projectName=project, archived=archived)["experiments"]
    return sorted([row["experimentKey"], row["experimentName"]] for row in rows)


def test_a_killed_server_has_lost_nothing(told: Told) -> None:
    """The next one tells all that the first one told, of files, places, tags, artifacts and models."""
    for key, then in told["at once"]["experiments"].items():
        for what, value in then.items():
            assert told["later"]["experiments"][key][what] == value, (key, what)
    assert told["later"] == told["at once"]


def by_name(one: Told) -> dict[str, list[Told]]:
    found: dict[str, list[Told]] = {}
    for asset in one["assets"]:
        found.setdefault(asset["fileName"], []).append(asset)
    return found


def test_files_are_those_that_were_logged(told: Told, place: Path) -> None:
    """Bytes, sizes, steps, types and metadata of every kind; names that are no paths stay what they are."""
    found = by_name(told["read"][ONLINE])
    (blob,), (empty,), (hostile,) = (found[name] for name in ("d/blob.bin", "empty", "../../é \u2028\x01/up"))
    assert (blob["digest"], blob["step"], json.loads(blob["metadata"])) == (digest(b"\x00\xffbytes"), 3, {"m": 1})
    assert (empty["fileSize"], hostile["digest"]) == (0, digest(b"hostile"))
    assert [one["digest"] for one in found["same.txt"]] == [digest(b"first"), digest(b"second")]
    (big,) = found["big.bin"]
    assert (big["fileSize"], big["digest"]) == (BIG, digest((place / "big.bin").read_bytes()))
    assert [(one["type"], one["step"]) for one in found["my/image"]] == [("image", 1), ("image", 2)]
    types = {asset["fileName"]: asset["type"] for asset in told["read"][ONLINE]["assets"]}
    assert (types["roc"], types["cm.json"], types["hist"]) == ("curve", "confusion-matrix", "histogram_combined_3d")
    assert (types["tone.wav"], types["weights.bin"]) == ("audio", "model-element")
    assert found["key.bin"][0]["link"] == "s3://bucket/key.bin"
    assert found["scene"][0]["items"] == ["points.jsonl"]
    assert not [path for path in place.parents[1].rglob("up*") if path.name == "up"]


def test_histograms_are_one_asset_a_name(told: Told) -> None:
    """As Comet makes of the pieces that comet_ml uploads, steps in order, for comet_ml's own class to read."""
    online, offline = (told["read"][key]["histograms"] for key in (ONLINE, OFFLINE))
    assert online == offline
    assert {name: [step for step, _ in steps] for name, steps in online.items()} == {
        "hist": [4, 20, 30],
        "deep/off center": [1],
    }
    assert [sum(count for *_, count in bins) for _, bins in online["hist"]] == [7, 7, 7]


def test_a_table_of_a_histogram_has_the_bins_of_comet_ml(told: Told) -> None:
    """The same doubles, so that a value that comet_ml counted lies where the table says."""
    for name, steps in told["read"][ONLINE]["histograms"].items():
        body = told["histograms"][name].encode()
        rows = [
            row for step, found in logged.histogram_steps(body, None) for row in rows_of(logged.histogram(found, step))
        ]
        assert rows == [[float(step), *map(float, one)] for step, bins in steps for one in bins]
        asset = next(row for row in told["read"][ONLINE]["assets"] if row["fileName"] == name)
        assert asset["fileSize"] == len(body)


def rows_of(sheet: bytes) -> list[list[float]]:
    return [[float(cell) for cell in row] for row in csv.reader(sheet.decode().splitlines())]


def test_code_patch_and_models(told: Told) -> None:
    """The script, the uncommitted changes, and the models of the run."""
    one = told["read"][ONLINE]
    assert one["code"] == (SCRIPTS / "log_files.py").read_text()
    assert one["models"] == ["far", "net"]
    assert one["patch"] not in (digest(b""), digest(b"{"))
    (version,) = told["at once"]["registry"]["versions"]
    assert (version["version"], version["status"], version["tags"]) == ("1.2.0", "Staging", ["a"])


def test_artifacts_are_read_back(told: Told) -> None:
    """By version, alias and as files; names that no path may have, links, an alias that went to a newer version."""
    artifacts = told["artifacts"]
    first = artifacts["1.0.0"]
    assert (first["aliases"], first["tags"], first["metadata"]) == ([], ["raw"], {"rows": 3})
    assert first["source"] == ONLINE
    assert first["assets"]["deep/big.bin"] == [BIG, False, {"f": 1}]
    assert first["assets"]["key.bin"][1] is True
    assert first["assets"].keys() == {"deep/big.bin", "weights.bin", "odd\x01name", "key.bin"}
    assert artifacts["best"]["assets"]["../out"] == [7, False, None]
    assert first["size"] == BIG + 14
    assert (artifacts["stable"]["version"], artifacts["best"]["version"]) == ("2.0.0", "7.1.0")
    assert artifacts["best"]["tags"] == ["clean"]
    assert artifacts["downloaded"] == {"here/deep/big.bin": BIG, "here/weights.bin": 7, "here/odd\x01name": 7}
    assert artifacts["same"]
    versions = told["at once"]["artifact"]["versions"]
    assert [(one["version"], one["state"]) for one in versions] == [(v, "CLOSED") for v in ("1.0.0", "2.0.0", "7.1.0")]
    assert len(told["read"][ONLINE]["lineage"]["artifacts"]) == 3


def test_files_of_artifacts_are_plain_files(place: Path, told: Told) -> None:
    """Under their own names, where a path may have them."""
    (folder,) = (place / "runs" / "artifacts" / "ws é").iterdir()
    assert (folder / "1.0.0" / "deep" / "big.bin").read_bytes() == (place / "big.bin").read_bytes()
    assert folder.name == "set 1 é"


def without_losses(told: Told) -> Told:
    """What comet_ml's uploader sends of an archive: no time of others, no order, no step of 3-D images."""
    told = json.loads(json.dumps(told))
    for row in told["log-other"]["values"]:
        row |= {"timestampMin": 0, "timestampMax": 0, "timestampCurrent": 0}
    for point in told["metrics/get-all"]["metrics"]:
        del point["offset"]
    told["metrics/get-all"]["metrics"].sort(key=json.dumps)
    for asset in told["assets"]:
        del asset["createdAt"]
        if asset["type"] in ("3d-image", "asset-item"):
            del asset["assetId"], asset["step"], asset["items"]
    return told


def test_an_uploaded_archive_tells_what_the_archive_tells(told: Told) -> None:
    """Whether it is served as it is or was uploaded: all that comet_ml's uploader sends is the same."""
    uploaded, own = (without_losses(one) for one in (told["at once"]["experiments"][OFFLINE], told["own"]))
    assert len(own["assets"]) > 15
    assert own["system-details"]["hostname"]
    for what, value in own.items():
        if what != "model":  # its version is the one that was registered online already
            assert uploaded[what] == value, what


def test_every_line_is_one_that_comet_ml_takes(place: Path, told: Told) -> None:
    """Its uploader leaves out messages that its schemas refuse, so that they would be lost on the way elsewhere."""
    assert told
    folders = [str(found.parent) for found in (place / "runs").glob("*/experiment.json")]
    assert json.loads(run("check_folders.py", *folders, folder=place, url="http://127.0.0.1:1")) == []


def test_an_archive_is_uploaded_once(told: Told) -> None:
    """The second time it is there already; by force it becomes another experiment."""
    assert told["uploads"] == [1, 0]
    listed = told["at once"]["listed"]
    assert [OFFLINE, "files/1"] in listed["ws é", "pro ject", False]
    ((key, name),) = listed["ws é", "again", False]
    assert (key != OFFLINE, name) == (True, "files/1")


def test_experiments_are_renamed_archived_moved_and_deleted(told: Told) -> None:
    """As the API's client asks for it, seen by whoever lists."""
    made, listed = told["made"], told["at once"]["listed"]
    names = {"kept": "kept", "renamed": "new name", "back": "back"}
    assert listed["ws", "p", False] == sorted([made[one], name] for one, name in names.items())
    assert listed["ws", "p", True] == sorted([[made["archived"], "archived"], [THEIRS, None]])
    assert listed["ws", "other", False] == [[made["moved"], "moved"]]
    assert made["deleted"] not in str(listed)


def test_what_the_api_logs(told: Told) -> None:
    """Endpoints of its own for what runs log in batches."""
    one = told["read"][told["made"]["kept"]]
    assert (one["tags"], one["parameters"], one["others"]["note"]) == (["b c", "d"], {"lr": "0.1"}, "é")
    assert (one["output"], one["html"], one["code"], one["state"]) == ("said\n", "<b>", "import this", "finished")
    found = by_name(one)
    assert (found["a.txt"][0]["digest"], found["a.txt"][0]["step"]) == (digest(b"asset"), 2)
    assert (found["pic"][0]["type"], found["pic"][0]["digest"]) == ("image", digest(b"\x89PNG"))


def test_an_archive_of_somebody_is_never_changed(told: Told) -> None:
    """What is said about it stands beside."""
    assert told["after"] == told["before"]
    theirs = told["read"][THEIRS]
    assert (theirs["tags"], theirs["place"][3]) == (["ours"], True)
    assert theirs["times"] == [1, 9]
    assert [point[1] for point in theirs["metrics"]] == ["7"]
