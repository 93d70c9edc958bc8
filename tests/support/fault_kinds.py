"""Faults of single requests, for a FaultProxy: of connections, of bodies and their framing, of contents, of statuses.

Not here: which requests they meet, and what a mount should make of them (fault_rows.py).
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import trio

from tests.support.fault_proxy import PIECE, Answer, Exchange, Fault

PAGE = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body>Sign in</body></html>"

HTML = (("Content-Type", "text/html"),)

COMET = b'{"msg": "injected", "code": 0}'
"""A refusal in Comet's own form."""

HUGE = 10 << 30
"""Bytes of a body that must be read to no end."""

FORGED = Answer(200, b'{"values": [], "experiments": [], "msg": "forged"}')


# Connections


async def reset(exchange: Exchange) -> None:
    """Before an answer."""
    exchange.reset()


async def closed(exchange: Exchange) -> None:
    """Before an answer."""


async def silent(exchange: Exchange) -> None:
    """Before an answer."""
    await exchange.never()


def after_headers(then: Fault, share: float = 0.5) -> Fault:
    """A part of the body, then something else."""

    async def fault(exchange: Exchange) -> None:
        wire = (answer := await exchange.behind()).wire()
        await exchange.send(wire[: len(wire) - len(answer.body) + int(len(answer.body) * share)])
        await then(exchange)

    return fault


def inside_headers(then: Fault) -> Fault:
    async def fault(exchange: Exchange) -> None:
        await exchange.send((await exchange.behind()).wire()[:30])
        await then(exchange)

    return fault


def dripping(pause: float) -> Fault:
    """A byte of the body after each pause."""

    async def fault(exchange: Exchange) -> None:
        answer = await exchange.behind()
        await exchange.send(answer.head(("Content-Length", str(len(answer.body)))))
        for byte in answer.body:
            await exchange.send(bytes([byte]))
            with trio.move_on_after(pause):
                await exchange.never()
                return

    return fault


def at_first(times: int, fault: Fault) -> Fault:
    """The first requests to an endpoint meet it."""
    met: Counter[str] = Counter()

    async def faulty(exchange: Exchange) -> bool | None:
        met[exchange.request.endpoint] += 1
        if met[exchange.request.endpoint] <= times:
            return await fault(exchange)
        await exchange.pass_on()
        return True

    return faulty


# Framing


async def cut_chunked(exchange: Exchange) -> None:
    """Half of the body as a chunk, and the end of the connection."""
    answer = await exchange.behind()
    half = answer.body[: len(answer.body) // 2]
    await exchange.send(answer.head(("Transfer-Encoding", "chunked")) + b"%x\r\n%b\r\n" % (len(half), half))


async def cut_unframed(exchange: Exchange) -> None:
    """Half of the body, of which nothing but the end of the connection marks the end."""
    answer = await exchange.behind()
    await exchange.send(answer.head(("Connection", "close")) + answer.body[: len(answer.body) // 2])


def followed_by(more: bytes) -> Fault:
    """The right answer, and more on the connection, which goes on."""

    async def fault(exchange: Exchange) -> bool:
        await exchange.send((await exchange.behind()).wire() + more)
        return True

    return fault


async def chunked_followed(exchange: Exchange) -> bool:
    """The right answer in chunks, and garbage behind the last one."""
    answer = await exchange.behind()
    chunk = b"%x\r\n%b\r\n0\r\n\r\n" % (len(answer.body), answer.body)
    await exchange.send(answer.head(("Transfer-Encoding", "chunked")) + chunk + b"garbage")
    return True


async def length_too_short(exchange: Exchange) -> None:
    """All of the body, but the header has half its length."""
    answer = await exchange.behind()
    await exchange.send(answer.head(("Content-Length", str(len(answer.body) // 2))) + answer.body)


def raw(wire: bytes) -> Fault:
    """Those bytes instead of an answer."""

    async def fault(exchange: Exchange) -> None:
        await exchange.send(wire)

    return fault


def endless(start: bytes, piece: bytes, *headers: tuple[str, str]) -> Fault:
    """A body of 10 GiB, or 10 MB of gzip that stand for them, for as long as somebody reads."""
    many = piece * (PIECE // len(piece)) if len(piece) < PIECE else piece

    async def fault(exchange: Exchange) -> None:
        kind = ("Content-Type", "application/json")
        await exchange.send(Answer(200, b"", (kind, *headers)).head(("Connection", "close")) + start)
        for _ in range(HUGE // len(many)):
            await exchange.send(many)

    return fault


def bomb() -> Fault:
    """gzip of a JSON text that has 10 GiB when it is unpacked, and about 10 MB on the wire."""
    packer = zlib.compressobj(9, wbits=31)
    start = packer.compress(b'{"values": "') + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(b" " * (16 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    times = HUGE // (16 << 20)

    async def fault(exchange: Exchange) -> None:
        head = Answer(200, b"").head(("Content-Encoding", "gzip"), ("Connection", "close"))
        await exchange.send(head + start)
        for _ in range(times):
            await exchange.send(block)

    return fault


# Contents


def instead(body: bytes, status: int = 200, *headers: tuple[str, str]) -> Fault:
    """Another answer, in good HTTP."""
    answer = Answer(status, body, headers or (("Content-Type", "application/json"),))

    async def fault(exchange: Exchange) -> bool:
        await exchange.send(answer.wire())
        return True

    return fault


def edited(edit: Callable[[Answer], Answer]) -> Fault:
    """The answer, but for some edit."""

    async def fault(exchange: Exchange) -> bool:
        await exchange.send(edit(await exchange.behind()).wire())
        return True

    return fault


def edited_json(edit: Callable[[Any], Any]) -> Fault:
    return edited(lambda answer: replace(answer, body=json.dumps(edit(json.loads(answer.body))).encode()))


def encoded(encoding: str, encode: Callable[[bytes], bytes]) -> Fault:
    """The answer in a Content-Encoding, or what passes for one."""
    return edited(
        lambda answer: replace(
            answer, body=encode(answer.body), headers=(*answer.headers, ("Content-Encoding", encoding))
        )
    )


def broken_gzip(body: bytes) -> bytes:
    packed = gzip.compress(body)
    middle = len(packed) // 2
    return packed[:middle] + bytes(byte ^ 0xFF for byte in packed[middle:])


def doubled_fields(answer: Answer) -> Answer:
    """Each field stands twice; the first time it is wrong."""
    wrong = b", ".join(b"%b: 7" % json.dumps(name).encode() for name in json.loads(answer.body))
    return replace(answer, body=b"{" + wrong + b", " + answer.body.strip()[1:])


def redirecting(location: Callable[[Exchange], str]) -> Fault:
    async def fault(exchange: Exchange) -> bool:
        await exchange.send(Answer(302, b"", (("Location", location(exchange)),)).wire())
        return True

    return fault


def throttling(seconds: str) -> Fault:
    return instead(COMET, 429, ("Retry-After", seconds), ("Content-Type", "application/json"))
