"""Which paths are exported: patterns of --include and --exclude. Pure functions.

A pattern without "/" is that of a name at any depth, one with "/" that of a path from the exported directory on. "*"
and "?" stop at "/", "**" does not. What matches a directory means all in it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from cometfs.vfs.schema.names import Path

_WORDS = re.compile(r"\*\*/|\*\*|\*|\?|\[!?\]?[^\]]*\]|.", re.DOTALL)
_MEANING = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}


def _expression(pattern: str) -> str:
    return "".join(map(_meaning, _WORDS.findall(pattern)))


def _meaning(word: str) -> str:
    if word in _MEANING:
        return _MEANING[word]
    if len(word) == 1:
        return re.escape(word)
    inner = word[1:-1].replace("\\", "\\\\").replace("[", "\\[")
    return f"(?!/)[^{inner[1:]}]" if inner.startswith("!") else f"(?!/)[{inner}]"


class Globs:
    """Patterns of one kind."""

    def __init__(self, patterns: Sequence[str]) -> None:
        """Raises ValueError for a pattern that means nothing."""
        plain = [pattern.strip("/") for pattern in patterns]
        anchored = [
            one if "/" in pattern.rstrip("/") else f"**/{one}" for one, pattern in zip(plain, patterns, strict=True)
        ]
        try:
            self._whole = [re.compile(_expression(one), re.DOTALL) for one in anchored]
            self._parts = [[re.compile(_expression(part), re.DOTALL) for part in one.split("/")] for one in anchored]
        except re.error as error:
            raise ValueError(f"a pattern means nothing: {error}") from error
        self._deep = [[part == "**" or "**" in part for part in one.split("/")] for one in anchored]

    def __bool__(self) -> bool:
        return bool(self._whole)

    def match(self, path: Path) -> bool:
        """Whether a pattern means the path, or a directory that it lies in."""
        above = ["/".join(path[:depth]) for depth in range(1, len(path) + 1)]
        return any(whole.fullmatch(one) for whole in self._whole for one in above)

    def may_hold(self, directory: Path) -> bool:
        """Whether a pattern may mean something below a directory."""
        return any(map(self._leads_to, self._parts, self._deep, [directory] * len(self._parts)))

    @staticmethod
    def _leads_to(parts: Sequence[re.Pattern[str]], deep: Sequence[bool], directory: Path) -> bool:
        for part, crosses, name in zip(parts, deep, directory, strict=False):
            if crosses:
                return True
            if not part.fullmatch(name):
                return False
        return True


class Selection:
    """What of a tree is exported."""

    def __init__(self, include: Sequence[str] = (), exclude: Sequence[str] = ()) -> None:
        self._include, self._exclude = Globs(include), Globs(exclude)

    @property
    def is_whole(self) -> bool:
        return not self._include and not self._exclude

    def takes(self, path: Path) -> bool:
        """Whether a file or a link is exported."""
        return not self._exclude.match(path) and (not self._include or self._include.match(path))

    def enters(self, directory: Path) -> bool:
        """Whether a directory is looked into."""
        if self._exclude.match(directory):
            return False
        return not self._include or self._include.match(directory) or self._include.may_hold(directory)
