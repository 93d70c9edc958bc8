"""Calls that make artifacts: from a `Delivery` to the value that becomes the answer's JSON.

A version is made with ``upsert``, its files are uploaded, and with its state it becomes whole; until then nobody but
its maker sees it.

Not here: uploads (`uploads`), what is written (`artifact_store`).
"""

from __future__ import annotations

from typing import Any

import msgspec

from cometfs.server.catalog.artifacts import AboutFile, AboutVersion, ArtifactVersion
from cometfs.server.catalog.catalog import Index
from cometfs.server.errors import (
    ARTIFACT_VERSION_EXISTS,
    INVALID_VERSION,
    NO_SUCH_ARTIFACT,
    NO_SUCH_ARTIFACT_VERSION,
    NO_SUCH_EXPERIMENT,
    Refusal,
)
from cometfs.server.storage.artifact_store import MAKING, Unfit, unbroken
from cometfs.server.storage.run_dir import refused_if_full
from cometfs.server.write_api import payloads as b
from cometfs.server.write_api.request import DONE, Delivery, Endpoint
from cometfs.server.write_api.upload_lines import metadata_of, new_id


class _Upsert(b.Body):
    artifact_name: str
    artifact_type: str | None = None
    version: str | None = None
    version_metadata: str | None = None
    alias: list[str] | None = None
    version_tags: list[str] | None = None


class _State(msgspec.Struct, rename="camel"):
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
    """An endpoint whose disk may be full."""

    def answer(delivery: Delivery) -> Any:
        with refused_if_full():
            return endpoint(delivery)

    return answer


def version_to_fill(index: Index, identity: str) -> ArtifactVersion:
    """The version of this id, which must still be in the making. Raises Refusal."""
    found = _version(index, identity)
    if found.whole:
        raise Refusal(400, f"version {found.name} of {found.artifact.name} is closed, its files stay as they are")
    return found


def _upsert(delivery: Delivery) -> Any:
    asked: _Upsert = delivery.json(_Upsert)
    experiment = delivery.journal.index.experiments.get(asked.experiment_key)
    if experiment is None:
        raise Refusal(400, f"experiment {asked.experiment_key[:60]} does not exist", NO_SUCH_EXPERIMENT)
    if not asked.artifact_name:
        raise Refusal(400, "artifactName is missing")
    about = AboutVersion(
        aliases=asked.alias or [],
        tags=asked.version_tags or [],
        metadata=metadata_of(asked.version_metadata) or None,
        experiment_key=experiment.key,
    )
    workspace = experiment.project.workspace
    before = delivery.journal.index.artifacts.named(workspace, asked.artifact_name)
    newest = next(reversed(before.whole()), None) if before else None
    begun = before.version(asked.version) if before and asked.version else None
    if begun is not None and _is_repeated(begun, about):
        return _made(begun, newest)
    try:
        made = delivery.artifacts.make(workspace, asked.artifact_name, asked.artifact_type, asked.version, about)
    except Unfit as exc:
        raise Refusal(400, str(exc), ARTIFACT_VERSION_EXISTS if exc.taken else INVALID_VERSION) from exc
    return _made(made, newest)


def _is_repeated(begun: ArtifactVersion, about: AboutVersion) -> bool:
    """Whether who asks for a version is who began it, and got no answer: nothing has come of it since.

    Who names no number gets another one: two versions of one run that are logged at once are not one version.
    """
    same = msgspec.structs.replace(about, state=begun.about.state, added=begun.about.added)
    return begun.about == same and begun.about.state == MAKING and not begun.files


def _made(version: ArtifactVersion, before: ArtifactVersion | None) -> Any:
    return {
        "artifactId": version.artifact.id,
        "artifactVersionId": version.id,
        "currentVersion": version.name,
        "previousVersion": before.name if before else None,
    }


def _state(delivery: Delivery) -> Any:
    asked: _State = delivery.json(_State)
    delivery.artifacts.close(_version(delivery.journal.index, asked.artifact_version_id), asked.state)
    return DONE


def _labels(delivery: Delivery) -> Any:
    """What is not given stays as it is."""
    asked: _Labels = delivery.json(_Labels)
    found = _version(delivery.journal.index, asked.artifact_version_id)
    unbroken(found.artifact)
    about, metadata = found.about, metadata_of(asked.version_metadata)
    if asked.alias is not None:
        delivery.artifacts.name(found, asked.alias)
    about.tags = about.tags if asked.version_tags is None else asked.version_tags
    about.metadata = about.metadata if asked.version_metadata is None else metadata
    delivery.artifacts.tell(found.artifact)
    return DONE


def _details(delivery: Delivery) -> Any:
    asked: _Details = delivery.json(_Details)
    found = delivery.journal.index.artifacts.by_id.get(asked.artifact_id)
    if found is None:
        raise Refusal(404, f"artifact {asked.artifact_id[:60]} does not exist", NO_SUCH_ARTIFACT)
    unbroken(found)
    found.about.type = asked.artifact_type or found.about.type
    found.about.tags = found.about.tags if asked.tags is None else asked.tags
    delivery.artifacts.tell(found)
    return DONE


def _links(delivery: Delivery) -> Any:
    """Files that are somewhere else, many at once."""
    asked: _Links = delivery.json(_Links)
    links = asked.remote_artifact_asset_requests
    versions = [version_to_fill(delivery.journal.index, one.artifact_version_id) for one in links]
    told = [
        AboutFile(
            one.file_name, one.asset_id or new_id(), link=one.link, type=one.type, metadata=metadata_of(one.metadata)
        )
        for one in links
    ]
    for version, about in zip(versions, told, strict=True):
        delivery.artifacts.link(version, about)
    return DONE


def _version(index: Index, identity: str) -> ArtifactVersion:
    found = index.artifacts.versions.get(identity)
    if found is None:
        raise Refusal(404, f"artifact version {identity[:60]} does not exist", NO_SUCH_ARTIFACT_VERSION)
    return found


POSTED: dict[str, Endpoint] = {
    "write/artifacts/upsert": _kept(_upsert),
    "write/artifacts/state": _kept(_state),
    "write/artifacts/version/labels": _kept(_labels),
    "write/artifacts/details": _kept(_details),
    "write/artifact/assets/remote/batch": _kept(_links),
}
"""POSTs below ``/api/rest/v2/`` and ``/clientlib/rest/v2/``."""
