"""Bodies of requests that log something, as values.

They may be compressed, and they are what Python's ``json`` writes: NaN, infinities and halves of surrogate pairs are in
there, which no JSON has. Those become text: ``NaN``, ``Infinity``, ``-Infinity``, and the replacement character.

Not here: what the values mean (`logged_bodies`).
"""

from __future__ import annotations

import json
import math
import zlib
from typing import Any

import msgspec
from starlette.requests import Request

from cometfs.local.asking import Refusal

LIMIT = 256 << 20
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
        raise Refusal(415, f"no content encoding but gzip is understood, not {encoding[:60]!r}")
    return _unpacked(bytes(body))


def value_of(body: bytes, shape: type[Any]) -> Any:
    """The body as a value of `shape`. Raises Refusal."""
    try:
        try:
            return msgspec.json.decode(body, type=shape)
        except msgspec.ValidationError:
            raise
        except (msgspec.DecodeError, UnicodeDecodeError):
            return msgspec.convert(_clean(json.loads(body)), shape)
    except (ValueError, RecursionError, msgspec.MsgspecError) as exc:
        raise Refusal(400, f"the body is not what this endpoint takes: {exc}") from exc


def _unpacked(body: bytes) -> bytes:
    unpacker = zlib.decompressobj(wbits=31)
    try:
        made = unpacker.decompress(body, LIMIT + 1)
    except zlib.error as exc:
        raise Refusal(400, f"the body is no gzip: {exc}") from exc
    _check(len(made))
    if not unpacker.eof:
        raise Refusal(400, "the body is no gzip: it is cut short")
    return made


def _check(size: int) -> None:
    if size > LIMIT:
        raise Refusal(413, f"a body may have {LIMIT} bytes, and this one has more")


def _clean(value: Any) -> Any:
    """What Python's reader let through, as what JSON can say."""
    match value:
        case float() if not math.isfinite(value):
            return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        case str():
            return value.encode("utf-8", "replace").decode() if not value.isascii() else value
        case list():
            return [_clean(one) for one in value]
        case dict():
            return {_clean(name): _clean(one) for name, one in value.items()}
    return value
