"""Calls that make artifacts: from a `Request` to the value that becomes the answer's JSON.

A version is made with ``upsert``, its files are uploaded, and with its state it becomes whole; until then no client
but its maker sees it.

Not here: uploads (`uploads`), what is written (`storage.artifact_store`).
"""

from __future__ import annotations

from typing import Any

import msgspec

from cometfs.server.catalog.artifacts import FileJson, StoredArtifactVersion, VersionJson
from cometfs.server.catalog.catalog import Catalog
from cometfs.server.errors import (
    NO_SUCH_ARTIFACT,
    NO_SUCH_ARTIFACT_VERSION,
    ApiError,
)
from cometfs.server.request import DONE, Endpoint, Request
from cometfs.server.storage.artifact_store import MAKING, unbroken
from cometfs.server.storage.errors import full_disk
from cometfs.server.write_api import payloads as b
from cometfs.server.write_api.upload_lines import metadata_of, new_id


class _Upsert(b.LogBody):
    artifact_name: str
    artifact_type: str | None = None
    version: str | None = None
    version_metadata: str | None = None
    alias: list[str] | None = None
    version_tags: list[str] | None = None


class _VersionState(msgspec.Struct, rename="camel"):
    artifact_version_id: str
    state: str


class _Labels(msgspec.Struct, rename="camel"):
    artifact_version_id: str
    alias: list[str] | None = None
    version_tags: list[str] | None = None
    version_metadata: str | None = None


class _Details(msgspec.Struct, rename="camel"):
    artifact_id: str
    artifact_type: str | None = None
    tags: list[str] | None = None


class _Link(msgspec.Struct, rename="camel"):
    artifact_version_id: str
    file_name: str
    link: str
    asset_id: str | None = None
    type: str | None = None
    metadata: str | None = None


class _Links(msgspec.Struct, rename="camel"):
    remote_artifact_asset_requests: list[_Link]


def _kept(endpoint: Endpoint) -> Endpoint:
    """An endpoint that writes to a disk, which may be full."""

    def answer(request: Request) -> Any:
        with full_disk():
            return endpoint(request)

    return answer


def version_to_fill(index: Catalog, identity: str) -> StoredArtifactVersion:
    """The version of this id, which must still be in the making. Raises ApiError."""
    found = _version(index, identity)
    if found.whole:
        raise ApiError(400, f"version {found.name} of {found.artifact.name} is closed, its files stay as they are")
    return found


def _upsert(request: Request) -> Any:
    asked: _Upsert = request.logged(_Upsert)
    experiment = request.experiment(asked.experiment_key, status=400)
    if not asked.artifact_name:
        raise ApiError(400, "artifactName is missing")
    about = VersionJson(
        aliases=asked.alias or [],
        tags=asked.version_tags or [],
        metadata=metadata_of(asked.version_metadata) or None,
        experiment_key=experiment.key,
    )
    workspace = experiment.project.workspace
    before = request.index.artifacts.named(workspace, asked.artifact_name)
    newest = next(reversed(before.whole()), None) if before else None
    begun = before.version(asked.version) if before and asked.version else None
    if begun is not None and _is_repeated(begun, about):
        return _made(begun, newest)
    made = request.artifacts.make(workspace, asked.artifact_name, asked.artifact_type, asked.version, about)
    return _made(made, newest)


def _is_repeated(begun: StoredArtifactVersion, about: VersionJson) -> bool:
    """Whether a client asks for a version that it began already, and got no answer: nothing has come of it since.

    A request without a number gets another one: two versions of one run that are logged at once are not one version.
    """
    same = msgspec.structs.replace(about, state=begun.about.state, added=begun.about.added)
    return begun.about == same and begun.about.state == MAKING and not begun.files


def _made(version: StoredArtifactVersion, before: StoredArtifactVersion | None) -> Any:
    return {
        "artifactId": version.artifact.id,
        "artifactVersionId": version.id,
        "currentVersion": version.name,
        "previousVersion": before.name if before else None,
    }


def _state(request: Request) -> Any:
    asked: _VersionState = request.logged(_VersionState)
    request.artifacts.close(_version(request.index, asked.artifact_version_id), asked.state)
    return DONE


def _labels(request: Request) -> Any:
    """What is not given stays as it is."""
    asked: _Labels = request.logged(_Labels)
    found = _version(request.index, asked.artifact_version_id)
    unbroken(found.artifact)
    about, metadata = found.about, metadata_of(asked.version_metadata)
    if asked.alias is not None:
        request.artifacts.name(found, asked.alias)
    about.tags = about.tags if asked.version_tags is None else asked.version_tags
    about.metadata = about.metadata if asked.version_metadata is None else metadata
    request.artifacts.save(found.artifact)
    return DONE


def _details(request: Request) -> Any:
    asked: _Details = request.logged(_Details)
    found = request.index.artifacts.by_id.get(asked.artifact_id)
    if found is None:
        raise ApiError(404, f"artifact {asked.artifact_id[:60]} does not exist", NO_SUCH_ARTIFACT)
    unbroken(found)
    found.about.type = asked.artifact_type or found.about.type
    found.about.tags = found.about.tags if asked.tags is None else asked.tags
    request.artifacts.save(found)
    return DONE


def _links(request: Request) -> Any:
    """Files that are somewhere else, many at once."""
    asked: _Links = request.logged(_Links)
    found = request.each(
        asked.remote_artifact_asset_requests, lambda one: _link(request.index, one), lambda one: one.file_name
    )
    for version, about in found:
        request.artifacts.link(version, about)
    return DONE


def _link(index: Catalog, one: _Link) -> tuple[StoredArtifactVersion, FileJson]:
    metadata = metadata_of(one.metadata)
    about = FileJson(one.file_name, one.asset_id or new_id(), link=one.link, type=one.type, metadata=metadata)
    return version_to_fill(index, one.artifact_version_id), about


def _version(index: Catalog, identity: str) -> StoredArtifactVersion:
    found = index.artifacts.versions.get(identity)
    if found is None:
        raise ApiError(404, f"artifact version {identity[:60]} does not exist", NO_SUCH_ARTIFACT_VERSION)
    return found


POSTED: dict[str, Endpoint] = {
    "write/artifacts/upsert": _kept(_upsert),
    "write/artifacts/state": _kept(_state),
    "write/artifacts/version/labels": _kept(_labels),
    "write/artifacts/details": _kept(_details),
    "write/artifact/assets/remote/batch": _kept(_links),
}
"""POSTs below ``/api/rest/v2/`` and ``/clientlib/rest/v2/``."""
