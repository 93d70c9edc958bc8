"""How what people call things becomes names that a directory can hold: escaping, shortening, telling equals apart.

Pure functions of whole lists, because a name depends on its siblings: of two runs called "baseline" each one bears its
key. Not here: what the directories are (vfs/layout/) and how they are walked (listings.py).

A *path* is a tuple of parts, each at most 255 bytes of UTF-8, none of them empty, "." or "..".
"""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from typing import TypeVar

from cometfs.vfs.schema import suffixes
from cometfs.vfs.schema.probe_names import is_junk

Path = tuple[str, ...]
T = TypeVar("T", str, Path)

PART_BYTES = 255
"""Longest name of one directory entry (NAME_MAX of Linux), in bytes."""

_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]|%(?=[0-9A-Fa-f]{2})")
_IDLE_SLASHES = re.compile(r"^/+|/+$|/{2,}|/(?=\.(?:csv|png|url)$)")
_DOTS = {".": "%2E", "..": "%2E%2E"}
_ESCAPE = re.compile(r"(?:%[0-9A-Fa-f]{2})+")
_NAMELESS = "%"
"""What has an empty name is called so."""


def encoded(name: str) -> bytes:
    """A name, or the target of a link, as the kernel has it: UTF-8, whatever the locale says."""
    return name.encode("utf-8", "surrogateescape")


def decoded(name: bytes) -> str:
    """The inverse; bytes that are no UTF-8 are no name here, and become one that nothing has."""
    return name.decode("utf-8", "surrogateescape")


def escape(text: str) -> str:
    """`text` with control characters, lone surrogates and what would read as an escape as %XX of their UTF-8."""
    return _UNSAFE.sub(lambda match: _percent(match.group()), text)


def unescape(part: str) -> str:
    """What `escape` was given: its inverse, for everything but names that were shortened."""

    def plain(match: re.Match[str]) -> str:
        raw = bytes.fromhex(match.group().replace("%", ""))
        return raw.decode("utf-8", "surrogatepass")

    return _ESCAPE.sub(plain, part)


def whole(text: str) -> str:
    """`text` as one part: "/" is escaped too. An empty text gives "", for which the caller has a better name."""
    part = escape(text).replace("/", "%2F")
    return shorten(_DOTS.get(part, part))


def folders(text: str, suffix: str = "") -> Path:
    """`text` as a path, cut at each "/", the last part with a `suffix`. A "/" that stands first, last or beside another
    is escaped, so that no part is empty: "/abs/x" becomes ("%2Fabs", "x"). So is one before nothing but a suffix that
    is added to names, which no listing shows. Unescaping the parts joined by "/" gives the text again."""
    joined = _IDLE_SLASHES.sub(lambda match: "%2F" * len(match.group()), escape(text))
    return tuple(shorten(_DOTS.get(part, part)) for part in (joined + suffix).split("/")) if text else ()


def shorten(part: str) -> str:
    """`part`, cut to 255 bytes where it has more: its beginning, "~", 8 hex digits of the whole's SHA-256, its suffix.

    The one escape that cannot be undone from the name alone; the digest keeps two long names apart.
    """
    if len(part.encode()) <= PART_BYTES:
        return part
    stem, suffix = suffixes.split(part)
    if not suffix:
        stem, suffix = posixpath.splitext(part)
    if len(suffix.encode()) > 32:
        stem, suffix = part, ""
    tail = "~" + sha256(part.encode()).hexdigest()[:8] + suffix
    room = PART_BYTES - len(tail.encode())
    return stem.encode()[:room].decode(errors="ignore") + tail


def insert(part: str, text: str) -> str:
    """`part` with `text` put before its suffix, if it has a known one: ("a.png", "-3") gives "a-3.png", and
    ("conv1.weight", "-3") "conv1.weight-3"."""
    return shorten(suffixes.insert(part, text))


def of_keyed(rows: Sequence[tuple[str, str]]) -> list[Path]:
    """The directory names of experiments of a project, or of projects, from (name or "", key) pairs, in their order.

    A unique name stands as it is; equal ones all bear "-" and the first 8 digits of their keys, more while ambiguous;
    what has no name bears its key.
    """
    named = [_meant(whole(name)) or whole(key) for name, key in rows]
    keys = [key for _, key in rows]
    return [(part,) for part in _tell_apart(named, keys, lambda part, tag: shorten(f"{part}-{tag}"))]


def in_contexts(rows: Sequence[tuple[str, str | None]]) -> list[str]:
    """The file names of assets, from (file name, context or None) pairs, in their order: those that were logged in
    several contexts bear "-<context>" before the suffix ("train", "validate")."""
    contexts: dict[str, set[str | None]] = {}
    for name, context in rows:
        contexts.setdefault(name, set()).add(context or None)
    return [
        suffixes.insert(name, f"-{context}") if context and len(contexts[name]) > 1 else name for name, context in rows
    ]


def of_assets(rows: Sequence[tuple[str, object, str]]) -> list[Path]:
    """The paths of an experiment's assets, from (file name, step or None, asset id) triples, in their order.

    "/" makes folders. Equal names get "-<step>" before the suffix and, while still equal, "-<first 8 of the asset id>".
    """
    plain = [folders(name) or (whole(asset_id),) for name, _, asset_id in rows]
    counts = Counter(plain)
    stepped = [
        (*path[:-1], insert(path[-1], f"-{step}")) if counts[path] > 1 and step is not None else path
        for path, (_, step, _) in zip(plain, rows, strict=True)
    ]
    ids = [asset_id for _, _, asset_id in rows]
    distinct = _tell_apart(stepped, ids, lambda path, tag: (*path[:-1], insert(path[-1], f"-{whole(tag)}")))
    return apart_from_folders(distinct)


def of_metrics(metric_names: Sequence[str], suffix: str) -> list[Path]:
    """The paths of metrics' files, whose names are unique already: "train/loss", ".csv" gives ("train", "loss.csv"),
    and "loss/" ("loss%2F.csv",)."""
    return apart_from_folders([folders(name, suffix) or (_NAMELESS + suffix,) for name in metric_names])


def of_words(words: Sequence[str]) -> list[Path]:
    """Names that are unique already (workspaces, tags, versions), one part each."""
    return [(_meant(whole(word)) or _NAMELESS,) for word in words]


def escape_first(part: str) -> str:
    """`part` with its first plain character escaped; one of nothing but escapes has them in lower case."""
    escapes = _ESCAPE.match(part)
    at = escapes.end() if escapes else 0
    if at == len(part):
        return part.lower()
    return shorten(part[:at] + _percent(part[at]) + part[at + 1 :])


def apart_from_folders(paths: Sequence[Path]) -> list[Path]:
    """`paths`, where a file named like another's folder ("a" beside "a/b") has its first character escaped."""
    prefixes = {path[:depth] for path in paths for depth in range(1, len(path))}
    return [(*path[:-1], escape_first(path[-1])) if path in prefixes else path for path in paths]


def apart_from(is_taken: Callable[[str], bool], paths: Iterable[Path]) -> list[Path]:
    """`paths`, where a first part that means something else in the directory has its first character escaped."""
    return [(escape_first(path[0]), *path[1:]) if is_taken(path[0]) else path for path in paths]


def each_once(paths: Sequence[Path]) -> list[Path]:
    """`paths`, where one that stands there already bears "-2", "-3" ...: two digests of names that were shortened may
    be equal, and a server may send whatever it likes. A row of a listing never hides another."""
    if len(set(paths)) == len(paths):
        return list(paths)
    taken, numbers = set(paths), Counter[Path]()
    found = []
    for path in paths:
        numbers[path] += 1
        other = path
        while numbers[path] > 1 and other in taken:
            other = (*path[:-1], insert(path[-1], f"-{numbers[path]}"))
            numbers[path] += other in taken
        taken.add(other)
        found.append(other)
    return found


def _tell_apart(names: Sequence[T], tags: Sequence[str], tagged: Callable[[T, str], T]) -> list[T]:
    """`names` in their order; those that occur more than once bear 8 characters of their tag, then more."""
    result = list(names)
    for length in (8, 12, 16, 24, 32, 50):
        counts = Counter(result)
        if len(counts) == len(result):
            break
        for index, name in enumerate(names):
            if counts[result[index]] > 1:
                result[index] = tagged(name, tags[index][:length])
    return result


def _meant(part: str) -> str:
    """`part`, or where programs ask for that name of themselves, another that no program asks for."""
    return escape_first(part) if is_junk(part) else part


def _percent(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode("utf-8", "surrogatepass"))
