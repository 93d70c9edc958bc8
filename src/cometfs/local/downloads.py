"""Answers that are bytes, not JSON: assets and git patches, streamed from their archives.

Not here: lists of assets (`endpoints`).
"""

from __future__ import annotations

from contextlib import closing
from typing import BinaryIO

import trio
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from cometfs.local.asking import Ask, Refusal
from cometfs.local.content import CHUNK
from cometfs.local.record import Asset


def asset(ask: Ask) -> Response:
    """The bytes of ``assetId``, at once: a request that allows a redirect gets none, there is nowhere to send it."""
    identity = ask.text("assetId")
    found = ask.record().assets.get(identity)
    if found is None:
        raise Refusal(404, f"asset {identity} does not exist")
    if found.member is None:
        raise Refusal(400, f"asset {identity} is remote: only its link is known")
    return Download(found, found.member)


def patch(ask: Ask) -> Response | None:
    """The zip with the run's uncommitted changes; None when there were none."""
    found = ask.record().patch
    return Download(found, found.member) if found is not None and found.member is not None else None


class Download(Response):
    """A member of an archive as a body of known length, `CHUNK` bytes at a time.

    It stops when the client goes away. An archive that has become shorter meanwhile breaks the connection, so that
    nobody takes a part for the whole.
    """

    media_type = "application/octet-stream"

    def __init__(self, found: Asset, member: str) -> None:
        super().__init__(headers={"Content-Length": str(found.size)})
        self._asset, self._member = found, member

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        file = await trio.to_thread.run_sync(self._asset.part.archive.open, self._member)
        with closing(file):
            async with trio.open_nursery() as until_gone:
                until_gone.start_soon(_wait_until_gone, receive, until_gone.cancel_scope)
                await self._send(file, send)
                until_gone.cancel_scope.cancel()

    async def _send(self, file: BinaryIO, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        left = self._asset.size
        while True:
            chunk = await trio.to_thread.run_sync(file.read, min(CHUNK, left))
            left -= len(chunk)
            if left and not chunk:
                raise OSError(f"{self._asset.part.archive.path}: {left} bytes of {self._member} are missing")
            await send({"type": "http.response.body", "body": chunk, "more_body": left > 0})
            if not left:
                return


async def _wait_until_gone(receive: Receive, scope: trio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()
