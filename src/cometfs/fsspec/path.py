"""`UPath("comet://...")` of universal_pathlib, which asks for a class of its own to be sure that paths mean what it
takes them for. Imported by that library alone."""

from __future__ import annotations

from upath import UPath


class CometPath(UPath):
    """A path of `comet://`."""
