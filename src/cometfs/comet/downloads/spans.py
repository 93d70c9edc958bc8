"""What is wanted of a body, all of it or a span of its bytes, as headers of a request and of its answer (RFC 9110, 14).

Not here: asking (`downloads`), and the bytes (`stream`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import trio

from cometfs.comet.http.transport import Reply
from cometfs.comet.question import Question
from cometfs.errors import Stale, Unintelligible
from cometfs.text.numbers import whole_of

PLAIN: Mapping[str, str] = {"Accept-Encoding": "identity"}
"""Asks for the bytes themselves, so that Content-Length is their number."""

CHANGED = frozenset({412, 416})
"""What is answered for a version that is not there any more, and for bytes behind the end of a shorter one."""


class Wanted(NamedTuple):
    """Headers that ask for it, and the statuses of what has it."""

    of_comet: Mapping[str, str]
    of_storage: Mapping[str, str]
    accepted: frozenset[int]


WHOLE = Wanted(PLAIN, PLAIN, frozenset({200}))


@dataclass
class Link:
    """Where Comet has redirected to: asked again until it is refused, because each redirect costs a call."""

    url: str = ""
    renewing: trio.Lock = field(default_factory=trio.Lock)
    """Held while Comet is asked for another one: parts arrive abreast, and their link expires for all of them."""


COMETS = "comet "
"""Before an ETag of Comet itself, which says nothing to its storage, nor that one's to Comet."""


class Span(NamedTuple):
    """Bytes from `start` up to before `stop`, of the version `etag` (of an `AssetPart`) if there is one."""

    start: int
    stop: int
    etag: str

    def wanted(self) -> Wanted:
        """Comet itself is asked for all that follows: another request would be another call."""
        of_comet = {**PLAIN, **self._same(COMETS), "Range": f"bytes={self.start}-"}
        of_storage = {**PLAIN, **self._same(""), "Range": f"bytes={self.start}-{self.stop - 1}"}
        return Wanted(of_comet, of_storage, frozenset({200, 206}))

    def _same(self, origin: str) -> Mapping[str, str]:
        etag = self.of(origin)
        # A weak ETag names no bytes: no server takes it for a condition on them.
        return {"If-Match": etag} if etag and not etag.startswith("W/") else {}

    def of(self, origin: str) -> str:
        """The ETag if it is of that origin, else ""."""
        if origin:
            return self.etag.removeprefix(origin) if self.etag.startswith(origin) else ""
        return "" if self.etag.startswith(COMETS) else self.etag


def version_of(question: Question, span: Span, reply: Reply, *, stored: bool) -> str:
    """The version in an answer, of a storage or of Comet itself; "" where it says none.

    Raises Stale for another one than was asked for, and Unintelligible for an answer without one where there was one
    before: it may be anything, such as a page of a proxy.
    """
    origin = "" if stored else COMETS
    etag, asked = reply.headers.get("etag", ""), span.of(origin)
    if asked and not etag:
        raise Unintelligible(f"An answer without the version that was asked for came from {question}")
    if asked and etag != asked:
        raise changed(question)
    return etag and origin + etag


class Placed(NamedTuple):
    """Which bytes an answer has, and of how many."""

    start: int
    size: int | None
    total: int | None


def placed(question: Question, span: Span, reply: Reply) -> Placed:
    """Where the bytes of an answer belong. Raises Unintelligible where they are no part of what was asked for."""
    if reply.status == 200:
        length = whole_of(reply.headers.get("content-length", ""))
        return Placed(0, length, length)
    found = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", reply.headers.get("content-range", "").strip())
    if found is None or int(found[1]) != span.start:
        raise Unintelligible(f"Other bytes than those asked for came from {question}")
    stop, total = int(found[2]) + 1, whole_of(found[3])
    if stop <= span.start or (total is not None and stop > total):
        raise Unintelligible(f"A part that no file can have came from {question}")
    return Placed(span.start, stop - span.start, total)


def changed(question: Question) -> Stale:
    """What it means when the version asked for is not there any more."""
    return Stale(f"The file has changed at Comet while it was read: open it again (asked {question})")
