"""Artifacts: versioned sets of files of a workspace, from the folder ``artifacts`` beside the archives.

    artifacts/<workspace>/<artifact>/<version>/<files, in folders or not>
    artifacts/<workspace>/<artifact>/artifact.json      optional: its description, `ArtifactJson`
    artifacts/<workspace>/<artifact>/<version>.jsonl    optional: its files' descriptions, a line each, `FileJson`

Names, sizes and places of files are read once; their bytes on request. Links are left out: a link could name
any file of this machine. Names that begin with a dot are none of artifacts or versions.

Not here: answers (`read_api.artifacts`); making them (`storage.artifact_store`).
"""

from __future__ import annotations

import logging
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from cometfs.host.files import read_regular, status_of
from cometfs.server.catalog.disk_names import from_disk
from cometfs.server.runs.apply import derived_id
from cometfs.server.runs.values import text_of
from cometfs.text.numbers import whole_of

LOG = logging.getLogger("cometfs.server")

FOLDER = "artifacts"

ABOUT = "artifact.json"

LINES = ".jsonl"
"""What follows a version's name in the name of the file that describes its files."""

LATEST = "Latest"
"""The alias that Comet itself gives to the newest version."""

CLOSED = "CLOSED"
"""The state of a version that is whole; any other is one that is being made, or was never finished."""


class VersionJson(msgspec.Struct, rename="camel", omit_defaults=True):
    """The description of a version; `added` in ms since 1970, by default when its newest file was changed."""

    aliases: list[str] = []
    tags: list[str] = []
    metadata: dict[str, Any] | None = None
    experiment_key: str | None = None
    added: int | None = None
    state: str = CLOSED


class ArtifactJson(msgspec.Struct, omit_defaults=True):
    """``artifact.json``. `name` and `workspace` are there where a folder cannot bear them."""

    type: str = "unknown"
    description: str | None = None
    tags: list[str] = []
    versions: dict[str, VersionJson] = {}
    name: str | None = None
    workspace: str | None = None


class FileJson(msgspec.Struct, rename="camel", omit_defaults=True):
    """The description of a file: where it is, in `path` below its version or behind a `link`, and what it is."""

    file_name: str
    asset_id: str
    path: str | None = None
    link: str | None = None
    type: str | None = None
    metadata: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class StoredArtifactFile:
    """A file: its `name` within the version, with slashes; `size` in bytes; `changed` in ms since 1970.

    A file that is only a `link` has no `path`. `metadata` is JSON text.
    """

    id: str
    name: str
    path: Path | None
    size: int
    changed: int
    link: str | None = None
    type: str | None = None
    metadata: str | None = None


@dataclass(slots=True)
class StoredArtifactVersion:
    """A version; `files` by name, `metadata` is JSON text, `added` in ms since 1970."""

    id: str
    artifact: StoredArtifact
    name: str
    files: dict[str, StoredArtifactFile]
    about: VersionJson
    added: int

    @property
    def metadata(self) -> str | None:
        return None if self.about.metadata is None else text_of(self.about.metadata)

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files.values())

    @property
    def whole(self) -> bool:
        return self.about.state == CLOSED


@dataclass(slots=True)
class StoredArtifact:
    """An artifact, its versions from the oldest number to the newest; it is kept in `folder`.

    `misread`: its ``artifact.json`` could not be read.
    """

    id: str
    workspace: str
    name: str
    about: ArtifactJson
    folder: Path
    misread: bool = False
    versions: list[StoredArtifactVersion] = field(default_factory=list)

    def version(self, name: str) -> StoredArtifactVersion | None:
        """The version of this number."""
        return next((one for one in self.versions if one.name == name), None)

    def whole(self) -> list[StoredArtifactVersion]:
        """The versions that nothing is missing of; no listing has others."""
        return [one for one in self.versions if one.whole]

    def alias(self, name: str) -> StoredArtifactVersion | None:
        """The version that `name` points to; ``latest`` is the newest unless a version has that alias."""
        whole = self.whole()
        named = next((one for one in whole if name in one.about.aliases), None)
        return named or (whole[-1] if name.lower() == LATEST.lower() and whole else None)

    def aliases(self, version: StoredArtifactVersion) -> list[str]:
        """The names of one of its versions; that of the newest is `LATEST`, too."""
        is_latest = self.alias(LATEST) is version and LATEST.lower() not in map(str.lower, version.about.aliases)
        return [*version.about.aliases, LATEST] if is_latest else version.about.aliases

    def add(self, version: StoredArtifactVersion) -> None:
        """Take in a version, in its place."""
        self.versions = sorted([*self.versions, version], key=lambda one: order(one.name))


class ArtifactCatalog:
    """All artifacts that are served, by id and by names."""

    def __init__(self, found: list[StoredArtifact]) -> None:
        self.by_id = {artifact.id: artifact for artifact in found}
        self.versions = {version.id: version for artifact in found for version in artifact.versions}

    def workspaces(self) -> set[str]:
        return {artifact.workspace for artifact in self.by_id.values()}

    def of(self, workspace: str) -> list[StoredArtifact]:
        """The artifacts of a workspace by name."""
        found = [artifact for artifact in self.by_id.values() if artifact.workspace == workspace]
        return sorted(found, key=lambda artifact: artifact.name)

    def add(self, artifact: StoredArtifact, version: StoredArtifactVersion) -> None:
        """A version that was made just now, and its artifact, which may be as new."""
        self.by_id = {**self.by_id, artifact.id: artifact}
        self.versions = {**self.versions, version.id: version}

    def named(self, workspace: str, name: str) -> StoredArtifact | None:
        return self.by_id.get(artifact_id(workspace, name))


def read_artifacts(directory: Path) -> ArtifactCatalog:
    """The artifacts beside the archives of `directory`; what cannot be read is left out with a warning."""
    found = []
    for workspace in _folders(directory / FOLDER):
        found += [_artifact(folder) for folder in _folders(workspace)]
    return ArtifactCatalog(found)


def artifact_id(workspace: str, name: str) -> str:
    return derived_id("artifact", workspace, name)


def _artifact(folder: Path) -> StoredArtifact:
    parsed = _about(folder / ABOUT)
    about = parsed or ArtifactJson()
    workspace, name = about.workspace or from_disk(folder.parent.name), about.name or from_disk(folder.name)
    made = StoredArtifact(artifact_id(workspace, name), workspace, name, about, folder, misread=parsed is None)
    made.versions.extend(_version(made, one) for one in sorted(_folders(folder), key=lambda one: order(one.name)))
    unknown = {name for name, one in about.versions.items() if one.state == CLOSED and not made.version(name)}
    if unknown:
        LOG.warning("%s: there is no version %s", folder / ABOUT, ", ".join(sorted(unknown)))
    return made


def _version(artifact: StoredArtifact, folder: Path) -> StoredArtifactVersion:
    number = from_disk(folder.name)
    about = artifact.about.versions.setdefault(number, VersionJson())
    made = StoredArtifactVersion(derived_id("artifact-version", artifact.id, number), artifact, number, {}, about, 0)
    announced = {one.path or one.file_name: one for one in _file_lines(folder.with_name(folder.name + LINES))}
    found = [_file(made.id, folder, path, status, announced) for path, status in _files(folder)]
    found += [linked(one, about.added or 0) for one in announced.values() if one.link is not None]
    made.files = {file.name: file for file in sorted(found, key=lambda file: file.name)}
    made.added = about.added or max((file.changed for file in found), default=0)
    return made


def _file(
    version: str, folder: Path, path: Path, status: os.stat_result, announced: dict[str, FileJson]
) -> StoredArtifactFile:
    name = from_disk(path.relative_to(folder))
    about = announced.get(name) or FileJson(name, derived_id("artifact-file", version, name))
    return kept(about, path, status.st_size, status.st_mtime_ns // 1_000_000)


def kept(about: FileJson, path: Path, size: int, changed: int) -> StoredArtifactFile:
    """A file that is here."""
    metadata = text_of(about.metadata) if about.metadata else None
    return StoredArtifactFile(about.asset_id, about.file_name, path, size, changed, None, about.type, metadata)


def linked(about: FileJson, changed: int) -> StoredArtifactFile:
    """A file that is somewhere else."""
    metadata = text_of(about.metadata) if about.metadata else None
    return StoredArtifactFile(about.asset_id, about.file_name, None, 0, changed, about.link, about.type, metadata)


def _file_lines(path: Path) -> Iterator[FileJson]:
    """The lines about a version's files; the last one of a name is the one that counts, as they are in a dict."""
    try:
        lines = read_regular(path).splitlines()
    except FileNotFoundError:
        return
    except OSError as exc:
        LOG.warning("%s: ignored; %s", path, exc.strerror)
        return
    for number, line in enumerate(lines, 1):
        try:
            yield msgspec.json.decode(line, type=FileJson)
        except (ValueError, RecursionError) as exc:
            LOG.warning("%s: line %d ignored; %s", path, number, exc)


def _about(path: Path) -> ArtifactJson | None:
    """The description, an empty one where there is no such file; None where that is broken."""
    try:
        return msgspec.json.decode(read_regular(path), type=ArtifactJson)
    except FileNotFoundError:
        return ArtifactJson()
    except (OSError, ValueError, RecursionError) as exc:
        LOG.warning("%s: ignored; %s", path, exc)
        return None


def order(version: str) -> list[tuple[bool, int, str]]:
    """``1.10.0`` comes after ``1.9.0``, and what is no number after both."""
    parts = re.split(r"[.-]", version)
    return [(number is None, number or 0, part) for part, number in zip(parts, map(whole_of, parts), strict=True)]


def _folders(folder: Path) -> list[Path]:
    return [path for path, status in _entries(folder) if _is_folder(status) and not path.name.startswith(".")]


def _files(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Regular files, in folders of any depth, by name."""
    waiting = _entries(folder)[::-1]
    while waiting:
        path, status = waiting.pop()
        if _is_folder(status):
            waiting += _entries(path)[::-1]
        elif stat.S_ISREG(status.st_mode):
            yield path, status


def _is_folder(status: os.stat_result) -> bool:
    return stat.S_ISDIR(status.st_mode)


def _entries(folder: Path) -> list[tuple[Path, os.stat_result]]:
    """What is in a folder, by name; nothing where there is none. Names that are no text cannot be written in JSON."""
    try:
        entries = sorted(folder.iterdir())
    except FileNotFoundError:
        return []
    except OSError as exc:
        LOG.warning("%s: left out; %s", folder, exc.strerror)
        return []
    seen = [(entry, status_of(entry)) for entry in entries if _is_text(entry.name)]
    if hidden := [entry for entry, status in seen if status is None]:
        LOG.warning("%s: left out; it cannot be looked at", hidden[0])
    return [(entry, status) for entry, status in seen if status is not None]


def _is_text(name: str) -> bool:
    try:
        from_disk(name).encode()
    except UnicodeEncodeError:
        LOG.warning("a file is left out, its name is not UTF-8: %r", name)
        return False
    return True
