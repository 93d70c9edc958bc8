"""Where what stands at a place comes from, in words that extended attributes can hold. Makes no call.

Not here: the attributes' prefix and how they are asked for (fuse/).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cometfs.comet.address import page
from cometfs.comet.api import API
from cometfs.vfs.schema.declaration import Context, Dir, File, Link


def of_place(at: Context) -> dict[str, str]:
    """What the place belongs to: key, url, state; of an asset asset_id, asset_type, step, context too."""
    found: dict[str, Any] = {"url": page_of(at)}
    if at.experiment is not None:
        found |= {"key": at.experiment["experimentKey"], "state": state_of(at.experiment)}
    elif at.project is not None:
        found["key"] = at.project["projectId"]
    if isinstance(at.item, Mapping) and "assetId" in at.item:
        for word, field in _OF_ASSETS:
            found[word] = at.item[field]
    return {word: str(value) for word, value in found.items() if value not in (None, "")}


_OF_ASSETS = (("asset_id", "assetId"), ("asset_type", "type"), ("step", "step"), ("context", "runContext"))


def created_ms(at: Context) -> float | None:
    """When an experiment began, or an asset came, in milliseconds since 1970; None where Comet does not tell."""
    if isinstance(at.item, Mapping) and "assetId" in at.item:
        return at.modified_ms
    began: float | None = at.experiment["startTimeMillis"] if at.experiment else None
    return began


def of_file(entry: File) -> dict[str, str]:
    """Which answer it is made of, where none is at hand."""
    if entry.source is None:
        return {"source": "the listing of its directory", "cached": "true"}
    return {"source": entry.source.name, "cached": "false"}


def of_answers(entry: File | Dir | Link, age: float, *, stale: bool) -> dict[str, str]:
    """How old in seconds is what is shown, and whether it may not be so any more because Comet could not be asked."""
    found = {"age_s": f"{age:.0f}", "stale": "true" if stale else "false"}
    return found | {"cached": "true"} if isinstance(entry, File) else found


def page_of(at: Context) -> str:
    """The address of Comet's page of a workspace, a project or an experiment."""
    if (row := at.experiment) is not None:
        workspace = row["workspaceName"] or at.workspace
        project = row["projectName"] or (at.project or {}).get("projectName") or ""
        return API.page(at.web, workspace, project, row["experimentKey"], archived=bool(row["archived"]))
    names = (at.workspace, str(at.project["projectName"])) if at.project else (at.workspace,)
    return page(at.web, *names) if at.workspace else at.web


def state_of(row: Mapping[str, Any]) -> str | None:
    """ "running", "crashed" or "finished", in Comet's own order of precedence; None where a listing does not tell."""
    if row["running"] is None:
        return None
    return "running" if row["running"] else "crashed" if row["hasCrashed"] else "finished"
