"""One function for each kind of upload: which line of the archive describes it.

An upload that comes twice, because its answer was lost, has the id and the bytes of the first: it changes nothing.

Not here: how bodies are received (`multipart`), how lines look (`upload_lines`).
"""

from __future__ import annotations

import filecmp
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import trio

from cometfs.server.catalog.artifacts import FileJson
from cometfs.server.catalog.project import ServedExperiment
from cometfs.server.errors import ApiError
from cometfs.server.request import DONE, Endpoint, Request
from cometfs.server.runs.record import LoggedAsset
from cometfs.server.runs.schema import step_of
from cometfs.server.storage.errors import StorageError, full_disk
from cometfs.server.storage.experiment_json import now
from cometfs.server.storage.log_lines import Message
from cometfs.server.write_api import payloads as b
from cometfs.server.write_api.artifacts import version_to_fill
from cometfs.server.write_api.multipart import Upload, UploadHandler, arriving
from cometfs.server.write_api.upload_lines import (
    asset_id,
    file_upload,
    metadata_of,
    new_id,
    placement,
    remote_file,
    scene,
)

LIMITS_3D = {
    "maxPoints": 1_000_000,
    "maxPointsFileSizeInBytes": 1 << 30,
    "maxBoxes": 100_000,
    "maxBoxesFileSizeInBytes": 1 << 30,
}
"""comet_ml thins out what has more points than this."""


# -- files -------------------------------------------------------------------------------------------------------------


async def _asset(request: Request, upload: Upload) -> Any:
    """``asset/upload`` and ``write/experiment/upload-asset``: a file, or a link to one."""
    query = request.query
    kind = query.get("type") or "asset"
    name = query.get("fileName") or Path(upload.file_name or "").name or "unnamed"
    return await _kept(request, {**query, "fileName": name}, upload, kind, asset_id(query, "assetId"), "assetId")


async def _visualization(request: Request, upload: Upload) -> Any:
    """``visualizations/upload``: an image; what else goes that way says so."""
    query = request.query
    return await _kept(
        request, query, upload, query.get("type") or "visualization", asset_id(query, "imageId", "assetId"), "imageId"
    )


async def _kept(
    request: Request, query: Mapping[str, str], upload: Upload, kind: str, identity: str, kind_of_id: str
) -> Any:
    metadata = metadata_of(upload.texts["metadata"]) if "metadata" in upload.texts else _in_query(query)
    if query.get("artifactVersionId"):
        name = query.get("fileName") or query.get("figName") or Path(upload.file_name or "").name or "unnamed"
        return _of_artifact(request, query, upload, FileJson(name, identity, metadata=metadata or None))
    experiment = _named_experiment(request)
    placed = placement(query, identity, kind_of_id)
    if "link" in upload.texts:
        request.journal.log(experiment.key, [remote_file(kind, upload.texts["link"], placed, metadata)])
    elif not await _is_there(experiment.record.assets.get(identity), upload):
        _keep(request, experiment.key, upload, lambda member: file_upload(kind, member, placed, metadata, now()))
    return _answer(identity)


def _in_query(query: Mapping[str, str]) -> dict[str, Any]:
    """comet_ml's API puts metadata there as well, and loses the values of most of them."""
    try:
        return metadata_of(query.get("metadata"))
    except ApiError:
        return {}


def _of_artifact(request: Request, query: Mapping[str, str], upload: Upload, about: FileJson) -> Any:
    version = version_to_fill(request.index, query["artifactVersionId"])
    about.type = query.get("type")
    if "link" in upload.texts:
        about.link = upload.texts["link"]
        request.artifacts.link(version, about)
    else:
        request.artifacts.keep(version, about, upload.file())
    return _answer(about.asset_id)


async def _git_patch(request: Request, upload: Upload) -> Any:
    """``git-patch/upload`` and ``write/experiment/git/patch``: a zip that holds ``git_diff.patch``."""
    experiment = _named_experiment(request)
    if not await _is_there(experiment.record.patch, upload):
        _keep(request, experiment.key, upload, lambda member: file_upload("git-patch", member, None, {}, now()))
    return DONE


def _named_experiment(request: Request) -> ServedExperiment:
    return _experiment(request, request.query.get("experimentId") or request.query.get("experimentKey") or "")


def _experiment(request: Request, key: str) -> ServedExperiment:
    return request.experiment(key, writable=True, status=400)


def _keep(request: Request, key: str, upload: Upload, message: Callable[[str], Message]) -> None:
    """Take an upload's file into a run, with the line that speaks of it: both or neither. Raises StorageError."""
    member = request.journal.adopt(key, upload.file(), upload.size)
    try:
        request.journal.log(key, [message(member)])
    except StorageError:
        archive = _experiment(request, key).record.parts[-1].archive
        del archive.members[member]
        (archive.path / member).unlink(missing_ok=True)
        raise


async def _is_there(asset: LoggedAsset | None, upload: Upload) -> bool:
    """Whether an asset holds these bytes already."""
    if asset is None or asset.member is None or asset.size != upload.size:
        return False
    path = asset.part.archive.path / asset.member
    return path.is_file() and await trio.to_thread.run_sync(filecmp.cmp, path, upload.file(), False)


def _answer(identity: str) -> Any:
    return DONE | {"assetId": identity}


class _Code(b.LogBody):
    code: str


def _code(request: Request) -> Any:
    """``write/experiment/code``: the script of the run, which archives have as a file."""
    asked: _Code = request.logged(_Code)
    content = asked.code.encode("utf-8", "replace")
    placed = placement({"fileName": "Default", "extension": "py", "type": "source_code"}, new_id())
    script = {"source_code_type": "experiment_creation"}
    keep_bytes(
        request, asked.experiment_key, content, lambda member: file_upload("source_code", member, placed, script, now())
    )
    return DONE


def keep_bytes(request: Request, key: str, content: bytes, message: Callable[[str], Message]) -> None:
    """Keep a file that came within a body. Raises StorageError."""
    _experiment(request, key)
    with full_disk():
        arrived = arriving(request.journal) / new_id()
        try:
            arrived.write_bytes(content)
            _keep(request, key, Upload(path=arrived, size=len(content)), message)
        finally:
            arrived.unlink(missing_ok=True)


# -- 3-D images --------------------------------------------------------------------------------------------------------


class _Scene(b.LogBody):
    user_file_name: str
    asset_type: str | None = None
    metadata: str | None = None
    step: Any = None


class _Item(b.LogBody):
    asset_id: str
    user_file_name: str
    asset_item_type: str | None = None


def _create(request: Request) -> Any:
    """``asset``: an asset whose files come later, which only 3-D images are."""
    asked: _Scene = request.logged(_Scene)
    if asked.asset_type != "3d-image":
        raise ApiError(400, f"an asset of type {asked.asset_type!r} comes with its file")
    identity = new_id()
    message = scene(identity, asked.user_file_name, step=step_of(asked.step), metadata=metadata_of(asked.metadata))
    request.journal.log(asked.experiment_key, [message])
    return {"assetId": identity}


async def _item(request: Request, upload: Upload) -> Any:
    """``asset/asset-item``: points or boxes of a 3-D image. Without one they are a file like others, as cometx copies
    them.
    """
    if "requestParams" not in upload.texts:
        return await _asset(request.about({"type": "asset-item", **request.query}), upload)
    asked: _Item = _params(request, upload, _Item)
    found = _scene_of(request, asked.experiment_key, asked.asset_id)
    items = _experiment(request, asked.experiment_key).record.assets
    same = next((items[one] for one in found.items if one in items and items[one].name == asked.user_file_name), None)
    if not await _is_there(same, upload):
        item = {"file_name": asked.user_file_name, "type": asked.asset_item_type}
        _keep(
            request,
            asked.experiment_key,
            upload,
            lambda member: scene(found.id, found.name, step=found.step, items=[item | {"file_path": member}]),
        )
    return _answer(asked.asset_id)


async def _thumbnail(request: Request, upload: Upload) -> Any:
    """``asset/<id>/thumbnail``: the picture of a 3-D image."""
    asked: b.LogBody = _params(request, upload, b.LogBody)
    found = _scene_of(request, asked.experiment_key, request.query["asset"])
    if not await _is_there(found, upload):
        _keep(
            request,
            asked.experiment_key,
            upload,
            lambda member: scene(found.id, found.name, step=found.step, thumbnail=member),
        )
    return DONE


def _scene_of(request: Request, key: str, identity: str) -> LoggedAsset:
    found = _experiment(request, key).record.assets.get(identity)
    if found is None or found.type != "3d-image":
        raise ApiError(400, f"there is no 3-D image {identity[:60]}")
    return found


def _params(request: Request, upload: Upload, shape: type[Any]) -> Any:
    return request.part(upload.texts.get("requestParams", "").encode(), shape)


# -- models elsewhere --------------------------------------------------------------------------------------------------


class _RemoteFile(msgspec.Struct, rename="camel"):
    file_name: str
    remote_url: str
    asset_id: str | None = None
    metadata: Any = None


class _RemoteModel(b.LogBody):
    model_name: str
    remote_entities: list[_RemoteFile]


def _remote_model(request: Request) -> Any:
    """``asset/log-remote-model``."""
    asked: _RemoteModel = request.logged(_RemoteModel)
    files = request.each(asked.remote_entities, _remote_entity, lambda one: one.file_name)
    request.journal.log(
        asked.experiment_key, [("remote_model", {"model_name": asked.model_name, "remote_assets": files})]
    )
    return DONE


def _remote_entity(one: _RemoteFile) -> dict[str, Any]:
    entity = {"assetId": one.asset_id or new_id(), "fileName": one.file_name, "remoteUrl": one.remote_url}
    text = one.metadata if isinstance(one.metadata, str) else msgspec.json.encode(one.metadata).decode()
    return entity | ({"metadata": metadata_of(text)} if one.metadata else {})


UPLOADED: dict[str, UploadHandler] = {
    "asset/upload": _asset,
    "visualizations/upload": _visualization,
    "git-patch/upload": _git_patch,
    "asset/asset-item": _item,
    "asset/{asset}/thumbnail": _thumbnail,
}
"""Bodies of several parts that are posted, or put, below ``/clientlib/``."""

WRITTEN: dict[str, UploadHandler] = {
    "write/experiment/upload-asset": _asset,
    "write/experiment/git/patch": _git_patch,
}
"""The same below ``/api/rest/v2/``."""

POSTED: dict[str, Endpoint] = {"write/experiment/code": _code}
"""POSTs below ``/api/rest/v2/`` that are JSON."""

CREATED: dict[str, Endpoint] = {
    "asset": _create,
    "asset/3d-limits": lambda _: LIMITS_3D,
    "asset/log-remote-model": _remote_model,
}
"""POSTs below ``/clientlib/`` that are JSON."""
