"""Artifacts: versioned sets of files of a workspace, from the folder ``artifacts`` beside the archives.

    artifacts/<workspace>/<artifact>/<version>/<files, in folders or not>
    artifacts/<workspace>/<artifact>/artifact.json      optional: what is said about it, `About`

Names, sizes and places of files are read once; their bytes when somebody asks. Links are left out: a link could name
any file of this machine. Names that begin with a dot are none of artifacts or versions.

Not here: answers (`artifact_endpoints`).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from cometfs.local.feeding import derived_id
from cometfs.local.values import text_of

LOG = logging.getLogger("cometfs.local")

FOLDER = "artifacts"

ABOUT = "artifact.json"


class AboutVersion(msgspec.Struct, rename="camel"):
    """What is said about a version; `added` in ms since 1970, by default when its newest file was changed."""

    aliases: list[str] = []
    tags: list[str] = []
    metadata: dict[str, Any] | None = None
    experiment_key: str | None = None
    added: int | None = None


class About(msgspec.Struct):
    """``artifact.json``."""

    type: str = "unknown"
    description: str | None = None
    tags: list[str] = []
    versions: dict[str, AboutVersion] = {}


@dataclass(frozen=True, slots=True)
class ArtifactFile:
    """A file: its `name` within the version, with slashes; `size` in bytes; `changed` in ms since 1970."""

    id: str
    name: str
    path: Path
    size: int
    changed: int


@dataclass(frozen=True, slots=True)
class ArtifactVersion:
    """A version; `metadata` is JSON text, `added` in ms since 1970."""

    id: str
    artifact: Artifact
    name: str
    files: tuple[ArtifactFile, ...]
    about: AboutVersion
    added: int

    @property
    def metadata(self) -> str | None:
        return None if self.about.metadata is None else text_of(self.about.metadata)

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


@dataclass(frozen=True, slots=True)
class Artifact:
    """An artifact, its versions from the oldest number to the newest."""

    id: str
    workspace: str
    name: str
    about: About
    versions: list[ArtifactVersion] = field(default_factory=list)

    def version(self, name: str) -> ArtifactVersion | None:
        """The version of this number."""
        return next((one for one in self.versions if one.name == name), None)

    def alias(self, name: str) -> ArtifactVersion | None:
        """The version that `name` points to; ``latest`` is the newest where nothing is said to be."""
        named = next((one for one in self.versions if name in one.about.aliases), None)
        return named or (self.versions[-1] if name.lower() == "latest" and self.versions else None)


class Artifacts:
    """All artifacts that are served, by id and by names."""

    def __init__(self, found: list[Artifact]) -> None:
        self.by_id = {artifact.id: artifact for artifact in found}
        self.versions = {version.id: version for artifact in found for version in artifact.versions}

    def workspaces(self) -> set[str]:
        return {artifact.workspace for artifact in self.by_id.values()}

    def of(self, workspace: str) -> list[Artifact]:
        """The artifacts of a workspace by name."""
        found = [artifact for artifact in self.by_id.values() if artifact.workspace == workspace]
        return sorted(found, key=lambda artifact: artifact.name)

    def named(self, workspace: str, name: str) -> Artifact | None:
        return self.by_id.get(derived_id("artifact", workspace, name))


def read_artifacts(directory: Path) -> Artifacts:
    """The artifacts beside the archives of `directory`; what cannot be read is left out with a warning."""
    found = []
    for workspace in _folders(directory / FOLDER):
        found += [_artifact(workspace.name, folder) for folder in _folders(workspace)]
    return Artifacts(found)


def _artifact(workspace: str, folder: Path) -> Artifact:
    made = Artifact(derived_id("artifact", workspace, folder.name), workspace, folder.name, _about(folder / ABOUT))
    made.versions.extend(_version(made, one) for one in sorted(_folders(folder), key=_order))
    unknown = made.about.versions.keys() - {version.name for version in made.versions}
    if unknown:
        LOG.warning("%s: there is no version %s", folder / ABOUT, ", ".join(sorted(unknown)))
    return made


def _version(artifact: Artifact, folder: Path) -> ArtifactVersion:
    identity = derived_id("artifact-version", artifact.id, folder.name)
    about = artifact.about.versions.get(folder.name) or AboutVersion()
    files = tuple(_file(identity, folder, path) for path in _files(folder))
    newest = max((file.changed for file in files), default=0)
    return ArtifactVersion(identity, artifact, folder.name, files, about, about.added or newest)


def _file(version: str, folder: Path, path: Path) -> ArtifactFile:
    name, stat = path.relative_to(folder).as_posix(), path.stat()
    return ArtifactFile(
        derived_id("artifact-file", version, name), name, path, stat.st_size, stat.st_mtime_ns // 1_000_000
    )


def _about(path: Path) -> About:
    try:
        return msgspec.json.decode(path.read_bytes(), type=About)
    except FileNotFoundError:
        return About()
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as exc:
        LOG.warning("%s: ignored; %s", path, exc)
        return About()


def _order(folder: Path) -> list[tuple[bool, int, str]]:
    """``1.10.0`` comes after ``1.9.0``, and what is no number after both."""
    return [
        (not part.isascii() or not part.isdigit(), int(part) if part.isascii() and part.isdigit() else 0, part)
        for part in re.split(r"[.-]", folder.name)
    ]


def _folders(folder: Path) -> list[Path]:
    return [entry for entry in _entries(folder) if entry.is_dir() and not entry.name.startswith(".")]


def _files(folder: Path) -> Iterator[Path]:
    for entry in _entries(folder):
        if entry.is_dir():
            yield from _files(entry)
        elif entry.is_file():
            yield entry


def _entries(folder: Path) -> list[Path]:
    """What is in a folder, by name; nothing where there is none. Names that are no text cannot be told in JSON."""
    try:
        entries = sorted(folder.iterdir())
    except FileNotFoundError:
        return []
    except OSError as exc:
        LOG.warning("%s: left out; %s", folder, exc.strerror)
        return []
    return [entry for entry in entries if not entry.is_symlink() and _is_text(entry.name)]


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        LOG.warning("a file is left out, its name is not UTF-8: %r", name)
        return False
    return True
