"""Writes ``projects.json``: projects and workspaces that clients make and describe.

The file is written whole beside its old text and renamed over it. What else it holds, also fields that this server does
not know, stays; a file that is broken is its owner's to mend. All of this runs on the event loop, like the `journal`.

Not here: reading it (`catalog.project_metadata`); the endpoints (`write_api.projects`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from cometfs.host.files import read_regular
from cometfs.server.catalog.catalog import Catalog
from cometfs.server.catalog.project import ServedProject
from cometfs.server.catalog.project_metadata import PROJECTS, ProjectMetadata, entry_name
from cometfs.server.storage.atomic import replace
from cometfs.server.storage.errors import Damaged, full_disk
from cometfs.server.storage.experiment_json import now


def keep_project(directory: Path, index: Catalog, workspace: str, name: str, **changes: Any) -> ServedProject:
    """Make a project, or change fields of its `ProjectMetadata`: from now on it stays without experiments.

    Raises StorageFull and Damaged.
    """
    about = _changed(index, workspace, name, changes)
    _write(directory, workspace, name, about)
    return index.describe(workspace, name, about)


def keep_workspace(directory: Path, index: Catalog, workspace: str) -> None:
    """Make a workspace that has no project yet. Raises StorageFull and Damaged."""
    about = _changed(index, workspace, "", {})
    _write(directory, workspace, "", about)
    index.about = {**index.about, (workspace, ""): about}


def drop_project(directory: Path, index: Catalog, project: ServedProject) -> None:
    """Forget what was kept of a project, if there is anything, which has no experiments. Raises StorageFull and
    Damaged.
    """
    if (project.workspace, project.name) in index.about:
        _write(directory, project.workspace, project.name, None)
    index.forget(project)


def _changed(index: Catalog, workspace: str, name: str, changes: dict[str, Any]) -> ProjectMetadata:
    before = index.about.get((workspace, name)) or ProjectMetadata()
    return msgspec.structs.replace(before, **({"created": before.created or now()} | changes))


def _write(directory: Path, workspace: str, project: str, about: ProjectMetadata | None) -> None:
    """Replace an entry, or remove it. Nothing is written where nothing changes."""
    before, name = _unbroken(directory / PROJECTS), entry_name(workspace, project)
    others = {place: one for place, one in before.items() if place != name}
    entry = {} if about is None else {name: _over(before.get(name, {}), about)}
    if others | entry != before:
        with full_disk():
            replace(directory / PROJECTS, msgspec.json.format(msgspec.json.encode(others | entry)), synced=True)


def _over(before: dict[str, Any], about: ProjectMetadata) -> dict[str, Any]:
    unknown = {name: value for name, value in before.items() if name not in about.__struct_fields__}
    known: dict[str, Any] = msgspec.to_builtins(about)
    return unknown | known


def _unbroken(path: Path) -> dict[str, Any]:
    try:
        content = read_regular(path)
        msgspec.json.decode(content, type=dict[str, ProjectMetadata])
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as exc:
        raise Damaged(f"{path} is broken, and is not written over: mend it, and start the server again") from exc
    parsed: dict[str, Any] = msgspec.json.decode(content)
    return parsed
