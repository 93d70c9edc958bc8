"""Addresses of pages: `/WORKSPACE/PROJECT/KEY`, as comet_ml prints them, and what lies below.

A name may be anything: each is one part of a path, percent-encoded. Browsers take `.` and `..` for steps, however they
are encoded, and drop empty parts, so these three names get a `~` in front; so does what is no name.

Not here: what is shown at an address (`pages.views`, `pages.files`).
"""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import quote, unquote

from starlette.types import Scope

HOME = "/"
ARCHIVED, CHARTS = "~archived", "~charts"
"""Of a project, in the place of an experiment's key; no key has a `~`."""

_MARK = "~"


def address(*names: str) -> str:
    """The address of a workspace, a project, an experiment or something of it."""
    return "/" + "/".join(map(_part, names))


def _part(name: str) -> str:
    encoded = quote(name, safe="", errors="replace")
    return _MARK + encoded if encoded in ("", ".", "..") else encoded


def parts_of(scope: Scope) -> list[str]:
    """The parts of the address that was asked for. Of the undecoded path: a name may have a slash."""
    raw: bytes = scope.get("raw_path") or quote(scope["path"]).encode()
    path = raw.decode("latin-1").partition("?")[0]
    return [unquote(part, errors="replace") for part in path.split("/") if part]


def named(part: str, names: Collection[str]) -> str | None:
    """Which of `names` a part of an address means."""
    if part in names:
        return part
    bare = part.removeprefix(_MARK)
    return bare if part != bare and bare in names else None
