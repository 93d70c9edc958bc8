"""Makes artifacts: versions, their files, and the descriptions of both, in the folder that `catalog.artifacts` reads.

A file is found under its own name where a path may have that name, and under a made-up one elsewhere; the line about it
says which. A description is written whole beside its old text and renamed over it, and a line about a file is written
before the file is renamed into its place: a server that is killed in between leaves a line about no file, which is not
read, or the old bytes of a file that was to be replaced under the description of the new ones.

Like those of the `journal` all methods run on the event loop. What threads may read meanwhile is replaced, not changed.

Not here: the endpoints (`write_api.artifacts`).
"""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import Any

import msgspec

from cometfs.host.files import open_regular, read_regular
from cometfs.server.catalog.artifacts import (
    ABOUT,
    FOLDER,
    LATEST,
    LINES,
    ArtifactCatalog,
    ArtifactJson,
    FileJson,
    StoredArtifact,
    StoredArtifactVersion,
    VersionJson,
    artifact_id,
    kept,
    linked,
    order,
)
from cometfs.server.catalog.disk_names import from_disk, on_disk
from cometfs.server.runs.apply import derived_id
from cometfs.server.storage.atomic import append, replace
from cometfs.server.storage.errors import Damaged, InvalidVersion, VersionExists

MAKING = "PREPARING"

FIRST = "1.0.0"

_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+-]{0,99}")

_LONGEST = 255
"""Bytes of a name, as file systems have it."""


class ArtifactStore:
    """Writes below `directory`, and adds to `artifacts` at once what it wrote."""

    def __init__(self, directory: Path, artifacts: ArtifactCatalog) -> None:
        self._directory, self._artifacts = directory, artifacts

    def make(
        self, workspace: str, name: str, kind: str | None, number: str | None, about: VersionJson
    ) -> StoredArtifactVersion:
        """A new version, not whole yet; the artifact is made if need be.

        Without a number it gets the next one. Raises InvalidVersion, VersionExists, Damaged, and OSError.
        """
        artifact = self._artifacts.named(workspace, name) or self._artifact(workspace, name)
        unbroken(artifact)
        number = number or _next(artifact)
        if not _VERSION.fullmatch(number) or number.lower().endswith((LINES, ABOUT)):
            raise InvalidVersion(f"{number!r} is no version of an artifact")
        if artifact.version(number) or os.path.lexists(artifact.folder / number):
            raise VersionExists(f"version {number} of the artifact {name} exists already")
        artifact.about.type = kind or artifact.about.type
        about.state, about.added = MAKING, time.time_ns() // 1_000_000
        artifact.about.versions[number] = about
        self.save(artifact)
        (artifact.folder / number).mkdir()
        identity = derived_id("artifact-version", artifact.id, number)
        made = StoredArtifactVersion(identity, artifact, number, {}, about, about.added)
        artifact.add(made)
        self._artifacts.add(artifact, made)
        return made

    def save(self, artifact: StoredArtifact) -> None:
        """Write the descriptions of an artifact and its versions, with the fields that others wrote there."""
        replace(artifact.folder / ABOUT, msgspec.json.encode(_together(unbroken(artifact), artifact.about)))

    def keep(self, version: StoredArtifactVersion, about: FileJson, received: Path) -> None:
        """Take a received file into a version; one of the same name is replaced."""
        folder = version.artifact.folder / version.name
        about.path = self._path(version, folder, about.file_name)
        _append(folder.with_name(folder.name + LINES), about)
        target = folder / on_disk(about.path)
        received.replace(target)
        stat = target.stat()
        made = kept(about, target, stat.st_size, stat.st_mtime_ns // 1_000_000)
        version.files = {**version.files, made.name: made}

    def link(self, version: StoredArtifactVersion, about: FileJson) -> None:
        """Take a link into a version."""
        _append((version.artifact.folder / (version.name + LINES)), about)
        version.files = {**version.files, about.file_name: linked(about, version.added)}

    def close(self, version: StoredArtifactVersion, state: str) -> None:
        """A version is whole, and its aliases are its own from now on; or it was given up. Raises Damaged."""
        unbroken(version.artifact)
        version.about.state = state.upper()
        if version.whole:
            self.name(version, version.about.aliases)
        self.save(version.artifact)

    @staticmethod
    def name(version: StoredArtifactVersion, aliases: list[str]) -> None:
        """Give a version these aliases, and take them from all others; `LATEST` is always of the newest one."""
        aliases = [alias for alias in aliases if alias != LATEST]
        for other in version.artifact.versions:
            other.about.aliases = [alias for alias in other.about.aliases if alias not in aliases]
        version.about.aliases = aliases

    def _artifact(self, workspace: str, name: str) -> StoredArtifact:
        identity = artifact_id(workspace, name)
        folder = self._directory / FOLDER / on_disk(_folder_name(workspace)) / on_disk(_folder_name(name))
        for place in (folder.parent.parent, folder.parent, folder):
            if place.is_symlink():
                raise OSError(f"{place} is a link")
        folder.mkdir(parents=True, exist_ok=True)
        about = ArtifactJson(name=_unless(folder.name, name), workspace=_unless(folder.parent.name, workspace))
        return StoredArtifact(identity, workspace, name, about, folder)

    @staticmethod
    def _path(version: StoredArtifactVersion, folder: Path, name: str) -> str:
        """Where a file goes, below its version: the same place each time it comes, and no other file's."""
        before = version.files.get(name)
        if before is not None and before.path is not None:
            return from_disk(before.path.relative_to(folder))
        if all(_plain(part) for part in name.split("/")) and len(name.encode()) < 2000:
            target = folder / on_disk(name)
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
            except (FileExistsError, NotADirectoryError):
                pass
            else:
                if not os.path.lexists(target):
                    return name
        return derived_id("artifact-file", version.id, name)


def _folder_name(name: str) -> str:
    """`name` where it may be a folder's, and a name made of it elsewhere."""
    return name if _plain(name) and not name.startswith(".") else derived_id("folder", name)


def _unless(folder: str, name: str) -> str | None:
    return None if from_disk(folder) == name else name


def _plain(part: str) -> bool:
    usable = part not in ("", ".", "..") and part.isprintable() and "/" not in part
    return usable and len(part.encode("utf-8", "surrogatepass")) <= _LONGEST


def _next(artifact: StoredArtifact) -> str:
    """The major number after the greatest, as Comet counts."""
    numbers = [first for one in artifact.versions for wordy, first, _ in order(one.name)[:1] if not wordy]
    return f"{max(numbers) + 1}.0.0" if numbers else FIRST


def unbroken(artifact: StoredArtifact) -> dict[str, Any]:
    """``artifact.json`` as it stands. Raises Damaged where it cannot be read: it is its owner's to mend."""
    path = artifact.folder / ABOUT
    try:
        content = read_regular(path)
        msgspec.json.decode(content, type=ArtifactJson)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as exc:
        raise Damaged(f"{path} is broken, and is not written over: mend it, and start the server again") from exc
    if artifact.misread:
        raise Damaged(f"{path} was broken, and is read when the server starts again")
    parsed: dict[str, Any] = msgspec.json.decode(content)
    return parsed


def _together(before: dict[str, Any], about: ArtifactJson) -> dict[str, Any]:
    """`about`, with what stood there that we know nothing of."""
    whole, versions = _over(before, about), before.get("versions", {})
    mine = {name: _over(versions.get(name, {}), one) for name, one in about.versions.items()}
    return whole | {"versions": versions | mine}


def _over(before: dict[str, Any], about: ArtifactJson | VersionJson) -> dict[str, Any]:
    unknown = {name: value for name, value in before.items() if name not in about.__struct_encode_fields__}
    known: dict[str, Any] = msgspec.to_builtins(about)
    return unknown | known


def _append(path: Path, about: FileJson) -> None:
    """A line of its own, also behind one that a killed server or an editor left without its end."""
    line = msgspec.json.encode(about) + b"\n"
    with open_regular(path, "a+b", 0) as file:
        size = file.seek(0, os.SEEK_END)
        ended = not size or os.pread(file.fileno(), 1, size - 1) == b"\n"
        append(file, line if ended else b"\n" + line)
