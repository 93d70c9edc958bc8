"""``projects.json`` beside the archives: descriptions and notes of projects, which no archive has.

An object, ``{"<workspace>/<project>": {"notes": "...", "description": "...", "public": true}}``, every field optional.

Not here: artifacts, which are beside the archives too (`artifacts`).
"""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec

LOG = logging.getLogger("cometfs.server")

PROJECTS = "projects.json"


class ProjectMetadata(msgspec.Struct):
    """The metadata of one project: `notes` in Markdown."""

    notes: str | None = None
    description: str | None = None
    public: bool = False


def read_projects(directory: Path) -> dict[tuple[str, str], ProjectMetadata]:
    """By workspace and project, nothing where there is no such file; one that is broken is ignored with a warning."""
    path = directory / PROJECTS
    try:
        found = msgspec.json.decode(path.read_bytes(), type=dict[str, ProjectMetadata])
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as exc:
        LOG.warning("%s: ignored; %s", path, exc)
        return {}
    return {_names(place): about for place, about in found.items()}


def _names(place: str) -> tuple[str, str]:
    workspace, _, project = place.partition("/")
    return workspace, project
