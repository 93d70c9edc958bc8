"""Receives the bodies of requests that log something, which may be compressed.

Not here: bodies of several parts (`multipart`); what they say (`payloads`).
"""

from __future__ import annotations

import zlib

import trio
from starlette.requests import Request

from cometfs.server.errors import ApiError

LIMIT = 32 << 20
"""Bytes of a body, unpacked. comet_ml sends at most some thousand values, or lines of 5,000,000 characters, at once."""


async def read_body(request: Request) -> bytes:
    """The body, unpacked. Raises Refusal when it is too large, or not what its header says."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        _check(len(body))
    encoding = request.headers.get("content-encoding", "identity").lower()
    if encoding == "identity":
        return bytes(body)
    if encoding != "gzip":
        raise ApiError(415, f"no content encoding but gzip is understood, not {encoding[:60]!r}")
    return await trio.to_thread.run_sync(_unpacked, bytes(body))


def _unpacked(body: bytes) -> bytes:
    unpacker = zlib.decompressobj(wbits=31)
    try:
        made = unpacker.decompress(body, LIMIT + 1)
    except zlib.error as exc:
        raise ApiError(400, f"the body is no gzip: {exc}") from exc
    _check(len(made))
    if not unpacker.eof:
        raise ApiError(400, "the body is no gzip: it is cut short")
    if unpacker.unused_data:
        raise ApiError(400, "the body is no gzip: there is more behind its end")
    return made


def _check(size: int) -> None:
    if size > LIMIT:
        raise ApiError(413, f"a body may have {LIMIT} bytes, and this one has more")
