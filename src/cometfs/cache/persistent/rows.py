"""The rows of the index, and the checksum that shows a row to be what was written.

Not here: the file (index.py), and reading it (reader.py).
"""

from __future__ import annotations

import hashlib
import re
import struct
import uuid
from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

import msgspec

from cometfs.host.buffers import Block

DIGEST = 16
"""Bytes of a checksum (BLAKE2b)."""

AHEAD = 60.0
"""Seconds that an answer may have arrived in the future, by a clock that was corrected; beyond that it was set back,
and the age of the answer is unknown."""


class Kept(NamedTuple):
    """An answer; times in seconds since 1970."""

    value: bytes
    arrived: float
    expires: float

    def holds(self, now: float) -> bool:
        """Whether it is still good, and its age is known."""
        return self.arrived - AHEAD <= now < self.expires

    @property
    def refreshed(self) -> bool:
        """Whether another was asked for by a refresh."""
        return self.expires <= self.arrived


class KeptBody(NamedTuple):
    """Where a body is: its file below the folder of bodies, its size in bytes, the checksums of its blocks."""

    file: str
    size: int
    sums: bytes


class Answer(NamedTuple):
    """An answer to be written."""

    key: str
    value: bytes
    arrived: float
    expires: float

    @property
    def size(self) -> int:
        """Bytes that it takes in the file, about: its key stands there twice, and each row has a frame."""
        return len(self.value) + 2 * len(self.key) + 100


class Totals(NamedTuple):
    """What is kept: bytes and numbers."""

    answer_bytes: int = 0
    answers: int = 0
    body_bytes: int = 0
    bodies: int = 0

    @property
    def bytes(self) -> int:
        return self.answer_bytes + self.body_bytes

    def as_object(self) -> dict[str, int]:
        """For JSON."""
        return self._asdict() | {"bytes": self.bytes}


class Row(NamedTuple):
    """A candidate for eviction; `file` is empty for an answer."""

    used: float
    key: str
    size: int
    file: str


class Unsound(NamedTuple):
    """A row that is not what was written. The checksum that it has tells it from one that is written meanwhile."""

    key: str
    checksum: Any


class Changes(NamedTuple):
    """What is to be written in one go. Bodies are named by key and file: another may have the key meanwhile."""

    answers: Sequence[Answer] = ()
    dropped: Sequence[str] = ()
    used: Sequence[str] = ()
    unsound: Sequence[Unsound] = ()
    bodies_used: Sequence[str] = ()
    bodies_gone: Sequence[tuple[str, str]] = ()
    bodies_damaged: Sequence[str] = ()
    """Files that are to be set aside; they are among those that are gone."""


def fresh_place() -> str:
    """A place for a new body: two hex digits, a slash, the rest. No row ever means another's file."""
    name = uuid.uuid4().hex
    return f"{name[:2]}/{name[2:]}"


def is_place(file: str) -> bool:
    """Whether it is one that `fresh_place` makes: a damaged row must not lead anywhere else."""
    return _PLACE.fullmatch(file) is not None


_PLACE = re.compile("[0-9a-f]{2}/[0-9a-f]{30}")


def key_of(key: Hashable) -> str | None:
    """The key as text; None for one that is not made of texts and numbers, which is not kept.

    A key of a type of its own tells its `words`, or None where it is for memory alone.
    """
    words = getattr(key, "words", key)
    if words is None:
        return None
    try:
        return msgspec.json.encode(words).decode()
    except (TypeError, UnicodeEncodeError):
        return None


def of_name(name: str) -> Hashable:
    """The words that `key_of` wrote; None for what is no key."""
    try:
        key = msgspec.json.decode(name)
    except msgspec.DecodeError:
        return None
    return tuple(key) if isinstance(key, list) else None


def checksum(block: Block) -> bytes:
    """Of one block: by what processors have instructions for."""
    return hashlib.sha256(block).digest()[:DIGEST]


def checksum_of(key: str, *words: object) -> bytes:
    """The checksum over a row: its key and its values."""
    digest = hashlib.blake2b(key.encode(), digest_size=DIGEST)
    for word in words:
        part = word if isinstance(word, bytes) else _packed(word)
        digest.update(struct.pack("<q", len(part)))
        digest.update(part)
    return digest.digest()


def is_sound(key: str, checksum: object, *words: object) -> bool:
    """Whether the checksum is that of the row; a damaged file may bring anything, of any type."""
    try:
        return checksum == checksum_of(key, *words)
    except (TypeError, ValueError, struct.error):
        return False


def _packed(word: object) -> bytes:
    if isinstance(word, str):
        return word.encode()
    if isinstance(word, float):
        return struct.pack("<d", word)
    if isinstance(word, int):
        return struct.pack("<q", word)
    raise TypeError(f"{type(word).__name__} in the index")
