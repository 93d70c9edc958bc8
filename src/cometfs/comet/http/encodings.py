"""What ``Content-Encoding`` did to a body, undone as it arrives. No I/O.

httpx does this too, but inside generators that a damaged body leaves behind unfinished.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Protocol

ACCEPTED = "gzip, deflate"
"""For the header ``Accept-Encoding``."""


class BrokenEncoding(ValueError):
    """The body is not in the encoding that it claims."""


class Decoder(Protocol):
    """Takes a body in parts, gives what is in them."""

    def feed(self, part: bytes) -> bytes: ...

    def finish(self) -> None:
        """Raises Damaged when the body cannot have been all."""


class Plain:
    """No encoding."""

    def feed(self, part: bytes) -> bytes:
        return part

    def finish(self) -> None:
        pass


class Inflate:
    """gzip, and deflate in its zlib form."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(zlib.MAX_WBITS | 32)
        self._begun = False

    def feed(self, part: bytes) -> bytes:
        self._begun = self._begun or bool(part)
        try:
            found = self._inner.decompress(part)
        except zlib.error as exc:
            raise BrokenEncoding("it is not compressed as it says") from exc
        if self._inner.unused_data:
            raise BrokenEncoding("something follows its compressed part")
        return found

    def finish(self) -> None:
        if self._begun and not self._inner.eof:
            raise BrokenEncoding("its compressed part has no end")


def is_encoded(headers: Mapping[str, str]) -> bool:
    """Whether a body is not on the wire as it is, by its headers (names in lower case)."""
    return headers.get("content-encoding", "").strip().lower() not in ("", "identity")


def decoder(encoding: str) -> Decoder:
    """What undoes `encoding`, the value of the header. Raises Damaged for one that was not asked for."""
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return Plain()
    if name in ("gzip", "x-gzip", "deflate"):
        return Inflate()
    raise BrokenEncoding(f"it is compressed in a way that was not asked for ({name[:20]})")
