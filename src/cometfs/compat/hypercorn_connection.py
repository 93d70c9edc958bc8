"""A connection of hypercorn's that can be cancelled at any moment, also while its client does not read.

hypercorn's `TCPServer` for trio sends and closes without a way out; its methods `protocol_send` and `_close` are
private. No upstream issue is known. Can go when hypercorn closes its streams forcefully."""

from __future__ import annotations

import trio
from hypercorn.events import Closed, Event, RawData
from hypercorn.trio.tcp_server import TCPServer


class Connection(TCPServer):
    """A connection that can be cancelled at any moment, also while its client does not read."""

    async def protocol_send(self, event: Event) -> None:
        if not isinstance(event, RawData):
            await super().protocol_send(event)
            return
        try:
            async with self.send_lock:
                await self.stream.send_all(event.data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            await self.protocol.handle(Closed())

    async def _close(self) -> None:
        try:
            await super()._close()
        finally:
            with trio.CancelScope(shield=True):
                await trio.aclose_forcefully(self.stream)
