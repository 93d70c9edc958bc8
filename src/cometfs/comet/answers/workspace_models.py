"""The forms of what a workspace has beside its experiments: columns of projects, artifacts, registered models.

As in `models`: Comet's own fields, None where a server leaves one out, times in ms since 1970, sizes in bytes. None of
these answers was ever recorded, so what is not needed to find a thing may be missing.

Not here: which endpoint is asked (`workspace_api`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypedDict

import msgspec

from cometfs.comet.answers.models import ASSET, Asset, is_elsewhere
from cometfs.comet.answers.shapes import Mismatch, Row, Shape, as_text, scalar_text, texts, value


class Column(TypedDict):
    """A name that a project's experiments use, as `API.project_column_names` returns it.

    `source`: ``metadata``, ``metrics``, ``params``, ``log_other``, ``tag`` or ``env_details``; `type`: ``string``,
    ``boolean``, ``double``, ``datetime`` or ``timenumber`` (seconds).
    """

    name: str
    id: str | None
    type: str | None
    source: str


class FoundExperiment(TypedDict):
    """An experiment that `API.search_experiments` found: its key, and all else that the server says of it.

    Newer servers add columns, by the `id` that `Column` has (``lr--params``); which ones is not documented.
    """

    experimentKey: str


class ArtifactVersion(TypedDict):
    """A version in an `Artifact`.

    `sizeInBytes` is in bytes, `added` in ms since 1970. `alias` are names that point to it; `metadata` is JSON in a
    string; `experimentKey` is that of the experiment that logged it, which `API.stream_asset` takes.
    """

    artifactVersionId: str
    version: str
    owner: str | None
    metadata: str | None
    createdFrom: Any
    sizeInBytes: int | None
    state: str | None
    added: float | None
    alias: list[str]
    tags: list[str]
    experimentKey: str | None


class Artifact(TypedDict):
    """An artifact, as `API.artifact` and `API.artifacts` return it.

    `sizeInBytes` is in bytes. `versions` are complete in `API.artifact`, and empty where a
    listing leaves them out.
    """

    artifactId: str
    name: str
    type: str | None
    description: str | None
    latestVersion: str | None
    tags: list[str]
    isPublic: bool | None
    sizeInBytes: int | None
    versions: list[ArtifactVersion]


class ArtifactFile(TypedDict):
    """A file of one version of an artifact, as `API.artifact_files` returns it.

    `fileSize` is in bytes; `fileName` may contain folders. `remote`: Comet has only its `link`. `API.stream_asset`
    takes `assetId` and `artifactVersionId`.
    """

    artifactId: str | None
    artifactVersionId: str | None
    assetId: str
    fileName: str | None
    fileSize: int | None
    link: str | None
    dir: str | None
    type: str | None
    metadata: Any
    remote: bool | None


class ExperimentModel(TypedDict):
    """A model that an experiment logged, as `API.experiment_models` returns it.

    `registryRecords` are the versions of registered models that were made of it: ``registryModelName``, ``version``.
    """

    experimentModelId: str | None
    experimentKey: str | None
    modelName: str
    registryRecords: list[Any]


class ModelVersion(TypedDict):
    """A version of a `RegisteredModel`.

    `createdAt` and `lastUpdated` are in ms since 1970. `experimentModel` says which experiment logged it: its
    ``experimentKey`` and so on. `assets` are its files.
    """

    registryModelItemId: str | None
    version: str
    experimentModel: dict[str, Any] | None
    comment: str | None
    stages: list[str]
    status: str | None
    tags: list[str]
    userName: str | None
    createdAt: float | None
    lastUpdated: float | None
    assets: list[Asset]


class RegisteredModel(TypedDict):
    """A model of the registry, as `API.registry_model` and `API.registry_models` return it.

    `createdAt` and `lastUpdated` are in ms since 1970. `versions` are complete in `API.registry_model`, and empty where
    a listing leaves them out.
    """

    registryModelId: str | None
    modelName: str
    description: str | None
    isPublic: bool | None
    userName: str | None
    createdAt: float | None
    lastUpdated: float | None
    versions: list[ModelVersion]


# -- other spellings ---------------------------------------------------------------------------------------------------


def _spell(row: Row, name: str, other: str) -> None:
    """Takes from the field `other` what is not in `name`."""
    if row.get(name) is None:
        row[name] = row.get(other)


def _artifact_file(row: Row) -> None:
    """Comet says of no row whether its file is `remote`; of one that is, there is a link and no size."""
    link = row.get("link")
    if row.get("remote") is None and isinstance(link, str):
        row["remote"] = is_elsewhere(link) or not (row.get("fileSize") or "/asset/get-asset?" in link)


def _experiment_model(row: Row) -> None:
    _spell(row, "modelName", "experimentModelName")


def _artifact_version(row: Row) -> None:
    row["metadata"] = as_text(row.get("metadata"))


def _artifact(row: Row) -> None:
    _spell(row, "name", "artifactName")
    row["versions"] = ARTIFACT_VERSION.rows_within(row, "versions")


def _model_version(row: Row) -> None:
    row["assets"] = ASSET.rows_within(row, "assets")
    if isinstance(logged := row.get("experimentModel"), dict):
        _spell(logged, "modelName", "experimentModelName")
        row["experimentModel"] = logged | {
            name: scalar_text(logged.get(name)) for name in ("modelName", "experimentKey")
        }


def _registered_model(row: Row) -> None:
    _spell(row, "modelName", "registryModelName")
    row["versions"] = MODEL_VERSION.rows_within(row, "versions")


FOUND = Shape(FoundExperiment, known_by="experimentKey")
COLUMN = Shape(Column)
ARTIFACT_VERSION = Shape(ArtifactVersion, _artifact_version, known_by="version")
ARTIFACT = Shape(Artifact, _artifact, known_by="name")
ARTIFACT_FILE = Shape(ArtifactFile, _artifact_file, known_by="assetId")
EXPERIMENT_MODEL = Shape(ExperimentModel, _experiment_model, known_by="modelName")
MODEL_VERSION = Shape(ModelVersion, _model_version, known_by="version")
REGISTERED_MODEL = Shape(RegisteredModel, _registered_model, known_by="modelName")


# -- readers -----------------------------------------------------------------------------------------------------------


def columns(body: bytes) -> list[Column]:
    return COLUMN.rows(body, "columns")


def found_experiments(body: bytes) -> list[FoundExperiment]:
    return FOUND.rows(body, "experiments")


def experiment_keys(body: bytes) -> list[str]:
    return texts(body, "experimentKeys")


def artifacts(body: bytes) -> list[Artifact]:
    return ARTIFACT.rows(body, "artifacts")


def artifact(body: bytes) -> Artifact:
    """One artifact, which must have its versions."""
    found = ARTIFACT.read(body)
    _check_versions(body, found["versions"])
    return found


def artifact_files(body: bytes) -> list[ArtifactFile]:
    return ARTIFACT_FILE.rows(body, "files")


def experiment_models(body: bytes) -> list[ExperimentModel]:
    return EXPERIMENT_MODEL.rows_if_any(body, "models")


def registered_models(body: bytes) -> list[RegisteredModel]:
    """A workspace without any is also answered by ``{}``."""
    return REGISTERED_MODEL.rows_if_any(body, "registryModels")


def registered_model(body: bytes) -> RegisteredModel:
    """One registered model, which must have its versions."""
    found = REGISTERED_MODEL.read(body)
    _check_versions(body, found["versions"])
    return found


def _check_versions(body: bytes, found: Sequence[Any]) -> None:
    """Raises Mismatch where there are none, or none that can be read: the list would be empty, and that false."""
    if value(body, "versions", list[msgspec.Raw]) and not found:
        raise Mismatch("'versions' has no row that can be read")
