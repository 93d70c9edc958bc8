"""Questions about artifacts. Clients name what they ask for in many ways, and all of them are taken.

Comet's Python client encodes an artifact's name twice, so it is decoded once more if it names nothing as it is.

Not here: bytes of files (`downloads`); reading the folder (`catalog.artifacts`).
"""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from cometfs.server.catalog.artifacts import StoredArtifact, StoredArtifactFile, StoredArtifactVersion
from cometfs.server.errors import NO_SUCH_ARTIFACT, NO_SUCH_ARTIFACT_VERSION, NOT_FINAL, ApiError
from cometfs.server.read_api.serializers import LOCAL_USER
from cometfs.server.request import Request


def all_of_workspace(request: Request) -> Any:
    """``artifacts/get-all``: without versions, as a listing."""
    kind = request.query.get("type")
    found = request.index.artifacts.of(_workspace(request))
    return {"artifacts": [_summary(one) for one in found if kind in (None, one.about.type)]}


def details(request: Request) -> Any:
    """``artifacts/get``."""
    artifact = _artifact(request)
    return _summary(artifact) | {"versions": [_version_row(version) for version in artifact.whole()]}


def version(request: Request) -> Any:
    """``artifacts/version``."""
    found = _version(request)
    artifact = found.artifact
    return {
        "artifact": {
            "artifactId": artifact.id,
            "artifactName": artifact.name,
            "artifactType": artifact.about.type,
            "workspaceName": artifact.workspace,
            "tags": artifact.about.tags,
        },
        "artifactVersion": found.name,
        "artifactVersionId": found.id,
        "metadata": found.metadata,
        "alias": found.artifact.aliases(found),
        "tags": found.about.tags,
        "sizeInBytes": found.size,
        "experimentKey": found.about.experiment_key,
        "state": found.about.state,
    }


def files(request: Request) -> Any:
    """``artifacts/version/files``."""
    found = _version(request)
    return {
        "files": [
            _file_row(found, file, request.base_url)
            for file in sorted(found.files.values(), key=lambda file: file.name)
        ]
    }


def lineage(request: Request) -> Any:
    """``get/artifacts``: what an experiment logged. Nothing here knows what it used."""
    key, wanted = request.experiment().key, request.query.get("filter", "all")
    if wanted not in ("all", "input", "output"):
        raise ApiError(400, f"filter must be all, input or output, not {wanted!r}")
    logged = [one for one in request.index.artifacts.versions.values() if one.whole and one.about.experiment_key == key]
    return {"artifacts": [_lineage_row(one) for one in logged if wanted != "input"]}


def _lineage_row(found: StoredArtifactVersion) -> dict[str, Any]:
    return {
        "artifactId": found.artifact.id,
        "artifactName": found.artifact.name,
        "artifactType": found.artifact.about.type,
        "workspaceName": found.artifact.workspace,
        "artifactVersionId": found.id,
        "artifactVersion": found.name,
        "alias": found.artifact.aliases(found),
        "sizeInBytes": found.size,
        "direction": "output",
    }


def _summary(artifact: StoredArtifact) -> dict[str, Any]:
    newest = next(reversed(artifact.whole()), None)
    return {
        "artifactId": artifact.id,
        "workspace": artifact.workspace,
        "project": None,
        "type": artifact.about.type,
        "name": artifact.name,
        "description": artifact.about.description,
        "latestVersion": newest.name if newest else None,
        "tags": artifact.about.tags,
        "isPublic": False,
        "emoji": None,
        "sizeInBytes": newest.size if newest else 0,
    }


def _version_row(found: StoredArtifactVersion) -> dict[str, Any]:
    return {
        "artifactVersionId": found.id,
        "version": found.name,
        "owner": LOCAL_USER,
        "metadata": found.metadata,
        "createdFrom": None,
        "sizeInBytes": found.size,
        "state": found.about.state,
        "added": found.added,
        "alias": found.artifact.aliases(found),
        "tags": found.about.tags,
        "experimentKey": found.about.experiment_key,
    }


def _file_row(found: StoredArtifactVersion, file: StoredArtifactFile, base_url: str) -> dict[str, Any]:
    key = found.about.experiment_key
    query = f"assetId={file.id}&artifactVersionId={found.id}" + (f"&experimentKey={key}" if key else "")
    return {
        "artifactId": found.artifact.id,
        "artifactVersionId": found.id,
        "assetId": file.id,
        "fileName": file.name,
        "fileSize": file.size,
        "link": file.link or f"{base_url}api/rest/v2/experiment/asset/get-asset?{query}",
        "dir": None,
        "type": file.type or "unknown",
        "metadata": file.metadata,
        "remote": file.link is not None,
    }


# -- what is asked for -------------------------------------------------------------------------------------------------


def _given(request: Request, *names: str) -> str | None:
    """The first of these that is given."""
    return next((request.query[name] for name in names if request.query.get(name)), None)


def _workspace(request: Request) -> str:
    return request.workspace("workspace" if "workspace" in request.query else "workspaceName")


def _artifact(request: Request) -> StoredArtifact:
    identity = _given(request, "artifactId", "artifact_id")
    if identity is not None:
        found = request.index.artifacts.by_id.get(identity)
    else:
        identity = _given(request, "artifactName", "artifact_name")
        if identity is None:
            raise ApiError(400, "artifactName is missing")
        workspace, artifacts = _workspace(request), request.index.artifacts
        found = artifacts.named(workspace, identity) or artifacts.named(workspace, unquote(identity))
    if found is None:
        raise ApiError(404, f"artifact {identity} does not exist", NO_SUCH_ARTIFACT)
    return found


def _version(request: Request) -> StoredArtifactVersion:
    """The version that is named by id, number or alias; the newest where none is named.

    The client that makes a version knows its id; to all others one that is not whole is refused.
    """
    identity = _given(request, "versionId", "artifactVersionId", "version_id", "artifact_version_id")
    by_id = identity is not None
    if identity is not None:
        found = request.index.artifacts.versions.get(identity)
    else:
        artifact = _artifact(request)
        identity = _given(request, "version", "versionOrAlias", "version_or_alias", "alias") or "latest"
        number = None if _only_alias(request) else artifact.version(identity)
        found = number or (None if request.query.get("version") else artifact.alias(identity))
    if found is None:
        raise ApiError(404, f"artifact version {identity} does not exist", NO_SUCH_ARTIFACT_VERSION)
    if not found.whole and not by_id:
        raise ApiError(400, f"artifact version {identity} is not whole: its state is {found.about.state}", NOT_FINAL)
    return found


def _only_alias(request: Request) -> bool:
    return "alias" in request.query and _given(request, "version", "versionOrAlias", "version_or_alias") is None
