"""The sources of what a workspace keeps beside its projects: artifacts and registered models, with their versions.

Not here: what is shown of the answers (layout/).
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import NamedTuple

from cometfs.vfs.schema.declaration import Context, Needs, Resolver, Row, Source, Stream
from cometfs.vfs.sources.experiment import ASSET, about_experiment, listing_lease


class Version(NamedTuple):
    """One version of an artifact or a registered model, and the experiment that logged it."""

    name: str
    row: Row
    experiment_key: str


class VersionFile(NamedTuple):
    """A file of a version."""

    row: Row
    version: Version


def at_name(at: Context, row: Row) -> Context:
    """The place of an artifact or a registered model."""
    name = row.get("name") or row.get("modelName")
    return Context(at.web, row.get("lastUpdated") or at.modified_ms, (*at.key, name), at.workspace, item=name)


def at_version(at: Context, row: Row) -> Context:
    """The place of one of its versions."""
    logged = row.get("experimentKey") or (row.get("experimentModel") or {}).get("experimentKey") or ""
    when = row.get("added") or row.get("createdAt") or at.modified_ms
    # A version that was taken back and registered again may hold other files.
    version = f"{zlib.crc32(repr(row).encode('utf-8', 'replace')):08x}"
    return Context(
        at.web, when, (*at.key, row["version"]), at.workspace, item=Version(at.item, row, logged), version=version
    )


def at_file(at: Context, row: Row) -> Context:
    """The place of one of a version's files."""
    # The key of any other asset of that experiment: a model's file is one, and is fetched once for both its places.
    return Context(
        at.web, at.modified_ms, (_logged(at.item, row), row["assetId"]), at.workspace, item=VersionFile(row, at.item)
    )


ARTIFACTS = Source("artifacts/get-all", lambda asker, at: asker.api.artifacts(at.workspace), listing_lease)
ARTIFACT = Source("artifacts/get", lambda asker, at: asker.api.artifact(at.workspace, at.item), listing_lease)
ARTIFACT_FILES = Source(
    "artifacts/version/files",
    lambda asker, at: asker.api.artifact_files(at.workspace, at.item.name, at.item.row["version"]),
    listing_lease,
)
MODELS = Source("registry-model", lambda asker, at: asker.api.registry_models(at.workspace), listing_lease)
MODEL = Source(
    "registry-model/details", lambda asker, at: asker.api.registry_model(at.workspace, at.item), listing_lease
)
LINEAGE = about_experiment("get/artifacts", lambda api, key: api.experiment_artifacts(key))


async def _model_files(asker: Resolver, at: Context) -> list[Row]:
    """The files of a version: listed with it, or, where a server leaves them out there, the model's as logged."""
    row = at.item.row
    if row["assets"]:
        return list(row["assets"])
    name = (row["experimentModel"] or {}).get("modelName") or at.item.name
    return list(await asker.api.experiment_model_assets(at.item.experiment_key, name))


MODEL_FILES = Source(
    "experiment/model/asset/list",
    _model_files,
    listing_lease,
    needs=lambda _known, at: Needs(0 if at.item.row["assets"] else 1),
)


def titles(rows: Sequence[Row]) -> list[str]:
    """The names of artifacts or registered models."""
    return [str(row.get("name") or row.get("modelName")) for row in rows]


LATEST = "Latest"
"""The alias that Comet gives to the newest version of an artifact."""


def marked(answer: Row, field: str) -> list[tuple[str, Row]]:
    """(alias or stage, version) of all versions, the last one that claims a mark; none that is a version's own name.

    An artifact's newest version has the alias `LATEST`, where a server only names that version, too.
    """
    versions = {row["version"]: row for row in answer["versions"]}
    found = {mark: row for row in answer["versions"] for mark in row[field]}
    newest = versions.get(answer.get("latestVersion"))
    if newest is not None and LATEST.lower() not in map(str.lower, found):
        found[LATEST] = newest
    return [(mark, row) for mark, row in found.items() if mark not in versions]


def _logged(version: Version, row: Row) -> str:
    """The key of the experiment that logged a file of a version."""
    return version.experiment_key or row.get("experimentKey") or ""


def _asked(at: Context) -> tuple[str, str, str | None]:
    held: VersionFile = at.item
    return str(at.key[0]), held.row["assetId"], held.version.row.get("artifactVersionId")


FILE = Stream(
    ASSET.name,
    lambda api, at: api.stream_asset(*_asked(at)),
    lambda at: at.item.row,
    (ARTIFACT_FILES, MODEL, MODEL_FILES),
    lambda at: (at.workspace, at.item.version.name, at.item.version.row["version"]),
    parts=lambda api, at: api.asset_parts(*_asked(at)),
    same_as=ASSET,
)
