"""Names that programs look for everywhere: what scans a directory asks for them, and means nothing by them here.

Where a look at a name would cost a call they are answered at once. What a user gave such a name is shown under another,
so that the answer is never false. Not here: escaping in general (names.py).
"""

from __future__ import annotations

import re

_NAMES = frozenset(
    [
        # version control, and what searches look for in each directory
        ".bzr",
        ".git",
        ".gitattributes",
        ".gitignore",
        ".hg",
        ".hgignore",
        ".ignore",
        ".rgignore",
        ".svn",
        "CVS",
        # desktops
        ".DS_Store",
        ".Spotlight-V100",
        ".apdisk",
        ".directory",
        ".fseventsd",
        ".hidden",
        ".localized",
        ".metadata_never_index",
        ".xdg-volume-info",
        "Thumbs.db",
        "autorun.inf",
        "desktop.ini",
        # Python, JavaScript, editors
        ".editorconfig",
        ".envrc",
        ".idea",
        ".nvmrc",
        ".python-version",
        ".venv",
        ".vscode",
        "__pycache__",
        "node_modules",
        "package.json",
        "pyproject.toml",
        "pyvenv.cfg",
        "setup.cfg",
        "setup.py",
    ]
)

_LIKE = re.compile(r"\._.*|\.Trash.*|\.fuse_hidden.*|\.nfs[0-9a-f]+|\..*\.sw[a-z]", re.DOTALL)
"""Shadows of macOS, wastebaskets of desktops, leftovers of network file systems, swap files of editors."""


_SEARCHED = frozenset([".bzr", ".git", ".gitignore", ".hg", ".hgignore", ".ignore", ".rgignore", ".svn"])


def is_searched(name: str) -> bool:
    """Whether searches ask for it in every directory, also in those that they do not search. These few are refused
    even among files that users named, which may well be called setup.py."""
    return name in _SEARCHED


def is_junk(name: str) -> bool:
    """Whether programs ask for it of themselves."""
    return name in _NAMES or _LIKE.fullmatch(name) is not None
