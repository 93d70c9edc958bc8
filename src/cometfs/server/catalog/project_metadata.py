"""``projects.json`` beside the archives: what no archive has of projects.

An object, ``{"<workspace>/<project>": {"notes": "...", "description": "...", "public": true}}``, every field optional.
A project with the field `created` is there without an experiment, too, and so is a workspace, whose entry is called
``<workspace>``.

Not here: writing it (`storage.project_file`); artifacts, which are beside the archives too (`artifacts`).
"""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec

from cometfs.host.files import read_regular

LOG = logging.getLogger("cometfs.server")

PROJECTS = "projects.json"


class ProjectMetadata(msgspec.Struct, omit_defaults=True):
    """The metadata of one project: `notes` in Markdown; `created` by a client, in epoch milliseconds."""

    notes: str | None = None
    description: str | None = None
    public: bool = False
    created: int | None = None


def read_projects(directory: Path) -> dict[tuple[str, str], ProjectMetadata]:
    """By workspace and project, nothing where there is no such file; one that is broken is ignored with a warning."""
    path = directory / PROJECTS
    try:
        found = msgspec.json.decode(read_regular(path), type=dict[str, ProjectMetadata])
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as exc:
        LOG.warning("%s: ignored; %s", path, exc)
        return {}
    return {_names(place): about for place, about in found.items()}


def entry_name(workspace: str, project: str) -> str:
    """The name of an entry. That of a workspace has no `project`."""
    return f"{workspace}/{project}" if project else workspace


def _names(place: str) -> tuple[str, str]:
    workspace, _, project = place.partition("/")
    return workspace, project
