"""Answers that are bytes, not JSON: assets and git patches, streamed from their archives.

Not here: lists of assets (`endpoints`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import closing

import trio
from starlette.responses import Response, StreamingResponse

from cometfs.local.asking import Ask, Refusal
from cometfs.local.content import CHUNK
from cometfs.local.record import Asset


def asset(ask: Ask) -> Response:
    """The bytes of ``assetId``. A request that allows a redirect gets them at once all the same: there is nowhere to
    send it.
    """
    identity = ask.text("assetId")
    found = ask.record().assets.get(identity)
    if found is None:
        raise Refusal(404, f"asset {identity} does not exist")
    if found.member is None:
        raise Refusal(400, f"asset {identity} is remote: only its link is known")
    return _streamed(found)


def patch(ask: Ask) -> Response | None:
    """The zip with the run's uncommitted changes; None when there were none."""
    found = ask.record().patch
    return None if found is None else _streamed(found)


def _streamed(found: Asset) -> Response:
    headers = {"Content-Length": str(found.size)}
    return StreamingResponse(_chunks(found), media_type="application/octet-stream", headers=headers)


async def _chunks(found: Asset) -> AsyncIterator[bytes]:
    """The asset's bytes as they are read; the file is closed even when whoever asked has gone."""
    assert found.member is not None
    file = await trio.to_thread.run_sync(found.part.archive.open, found.member)
    with closing(file):
        while chunk := await trio.to_thread.run_sync(file.read, CHUNK):
            yield chunk
