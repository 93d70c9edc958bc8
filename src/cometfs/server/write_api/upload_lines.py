"""An upload as the line that an offline archive has for it.

Not here: receiving bodies (`multipart`); endpoints (`uploads`).
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from cometfs.server.errors import ApiError
from cometfs.server.runs.python_json import decoded, too_deep
from cometfs.server.runs.schema import step_of
from cometfs.server.storage.log_lines import Message

NOT_KEPT = frozenset({"experimentId", "experimentKey", "projectId", "apiKey", "artifactVersionId", "metadata", "runId"})
"""Words of the query about where an upload goes, not what it is."""

NUMBERS = frozenset({"step", "epoch", "figCounter", "sampleRate"})

FLAGS = frozenset({"overwrite", "isRemote"})

_ID = re.compile(r"[A-Za-z0-9_-]{1,100}")


def new_id() -> str:
    return uuid.uuid4().hex


def placement(query: Mapping[str, str], identity: str, kind_of_id: str = "assetId") -> dict[str, Any]:
    """``additional_params``: the words of a query under their own names, numbers and flags as such."""
    params: dict[str, Any] = {"context": None, "overwrite": False, "runId": None, "step": None}
    for name, value in query.items():
        if name in NOT_KEPT:
            continue
        params[name] = step_of(_json(value)) if name in NUMBERS else _flag(value) if name in FLAGS else value
    return params | {kind_of_id: identity}


def asset_id(query: Mapping[str, str], *names: str) -> str:
    """The id that the client gave, under the first of these names that is there; a new one where it gave none."""
    given = next((query[name] for name in names if query.get(name)), None)
    if given is not None and not _ID.fullmatch(given):
        raise ApiError(400, f"{given!r} is no id of an asset")
    return given or new_id()


def metadata_of(text: str | None) -> dict[str, Any]:
    """Metadata are an object, as JSON text that Python wrote (`runs.python_json`); none is an empty one."""
    body = (text or "").encode("utf-8", "surrogatepass")
    if not body:
        return {}
    if too_deep(body):
        raise ApiError(400, "the metadata have lists and objects too deep in each other")
    try:
        parsed: dict[str, Any] = decoded(body, dict[str, Any])
    except ValueError as exc:
        raise ApiError(400, f"the metadata are no JSON object: {exc}") from exc
    return parsed


def file_upload(kind: str, member: str, placed: dict[str, Any] | None, metadata: dict[str, Any], at: int) -> Message:
    """A file that is a member of the archive."""
    return "file_upload", {
        "upload_type": kind,
        "file_path": member,
        "additional_params": placed,
        "metadata": metadata,
        "clean": True,
        "local_timestamp": at,
    }


def remote_file(kind: str, link: str, placed: dict[str, Any], metadata: dict[str, Any]) -> Message:
    """A file that is somewhere else."""
    fields = {"upload_type": kind, "remote_uri": link, "additional_params": placed | {"isRemote": True}}
    return "remote_file", fields | {"metadata": metadata}


def scene(
    identity: str,
    name: str,
    *,
    step: Any = None,
    metadata: dict[str, Any] | None = None,
    items: Sequence[Mapping[str, Any]] = (),
    thumbnail: str | None = None,
) -> Message:
    """A 3-D image, or what came to one later: lines of the same ``asset_id`` add up."""
    fields = {"asset_id": identity, "name": name, "upload_type": "asset-item", "items": list(items), "step": step}
    return "3d-image", fields | {"metadata": metadata, "thumbnail_path": thumbnail or ""}


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _flag(value: str) -> bool:
    return value.lower() in ("true", "1")
