"""How many bytes files have and when they changed, as far as that is known without asking anybody.

What was learned of a file outlives its bytes. Not here: making and opening files (vfs.py).
"""

from __future__ import annotations

import time
from typing import NamedTuple

import trio

from cometfs.cache.memory import Held
from cometfs.lease import LISTING, Lease
from cometfs.tree.answers import Answers
from cometfs.tree.node import At, File, Stream

REMEMBERED = Lease(24 * 3600.0)
"""For how long it is remembered what was shown of a file or a directory."""

_DATED_BYTES = 400
"""What one `_Dated` costs to keep, its keys included."""


class Known(NamedTuple):
    """Of a file: its size in bytes, None for one that must be fetched first; when it changed, in milliseconds since
    1970; and the seconds for which that holds."""

    size: int | None
    modified_ms: float
    lease: float


class _Dated(NamedTuple):
    """The bytes that a file had last: how many, of which version, until when that holds (`trio.current_time`), and when
    they changed: in ms since 1970, 0 for never."""

    digest: int
    changed_ms: float
    size: int
    version: str
    expires: float


class Sizes:
    """Sizes and dates of files, from the answers at hand and from what was once opened."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._store = answers.store

    def known(self, entry: File, at: At) -> Known:
        """What is known of a file; some microseconds, for it is asked for every entry of every listing."""
        source = entry.source
        if source is None:
            return Known(len(entry.render(at)), at.modified_ms, LISTING)
        if isinstance(source, Stream):
            return Known(self._of_body(source, at), at.modified_ms, LISTING)
        held = self._store.peek(("dated", entry, at.key))
        dated: _Dated | None = None if held is None else held.value
        modified_ms = at.modified_ms if dated is None else max(at.modified_ms, dated.changed_ms)
        if entry.render is bytes and (answer := self._answers.peek(source, at)) is not None:
            if answer.error is not None:
                return Known(None, modified_ms, 0.0)
            return Known(len(answer.value), modified_ms, self._store.remaining(answer))
        if dated is None or dated.version != at.version or dated.expires <= trio.current_time():
            return Known(None, modified_ms, 0.0)
        return Known(dated.size, modified_ms, dated.expires - trio.current_time())

    def dated(self, entry: File, at: At, data: bytes, answer: Held) -> bytes:
        """`data`, made of `answer`, whose size is remembered from now on, and when these bytes were first seen to
        differ: Comet dates experiments, not edits of them."""
        key = ("dated", entry, at.key)
        before = self._store.peek(key)
        digest, changed_ms = hash(data), 0.0
        if before is not None:
            changed_ms = before.value.changed_ms if before.value.digest == digest else time.time() * 1000
        dated = _Dated(digest, changed_ms, len(data), at.version, answer.expires)
        if before is None or before.value != dated:
            self._store.keep(key, dated, REMEMBERED, _DATED_BYTES)
        return data

    def _of_body(self, stream: Stream, at: At) -> int | None:
        key, told = stream.key(at), stream.size(at)
        body = self._answers.bodies.peek(key)
        if body is not None and body.size is not None:
            return body.size
        return self._answers.bodies.size(key) if told is None else told
