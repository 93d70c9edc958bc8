"""A line to a Comet that can go dead: bytes are passed on, or swallowed, or connections are refused.

Not here: faults that know HTTP (faulty_comet.py).
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from tests.support.processes import PATIENCE, Comet
from tests.support.spawning import ANSWERING


class Line:
    """Changes are in force when the call returns."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._loop = asyncio.new_event_loop()
        self._through = asyncio.Event()
        self._through.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._frozen: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.port = 0
        self.connections = 0
        self.swallowed = b""
        """What came while nothing was passed on, or on connections that are dead."""

    def silence(self) -> None:
        """All connections are accepted and held; nothing is passed on."""
        self._loop.call_soon_threadsafe(self._through.clear)
        self._wait(asyncio.sleep(0))

    def heal(self) -> None:
        """New connections work; those of the silence are dead for ever."""
        self._wait(self._renew())

    def forget(self) -> None:
        """What is connected now is dead from now on, though it is held; new connections work."""
        self._wait(self._forget())

    def refuse(self) -> None:
        """Connections are reset, and new ones refused."""
        self._wait(self._close())

    def accept(self) -> None:
        """The end of `refuse`."""
        self._wait(self._listen())

    # -- in the thread of the loop ---------------------------------------------------------------------------------

    def _wait(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)

    async def _renew(self) -> None:
        await self._forget()
        self._through.set()

    async def _forget(self) -> None:
        self._frozen |= self._tasks

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port, backlog=500)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._passed(task, reader, writer)
        except (OSError, asyncio.CancelledError):
            writer.transport.abort()
        finally:
            self._tasks.discard(task)

    async def _passed(
        self, task: asyncio.Task[None], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        there, back = await asyncio.open_connection(*self._target)
        pumps = [
            asyncio.create_task(self._pump(task, reader, back)),
            asyncio.create_task(self._pump(task, there, writer)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            back.transport.abort()
            writer.transport.abort()

    async def _pump(self, task: asyncio.Task[None], source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while part := await source.read(1 << 16):
            if task in self._frozen or not self._through.is_set():
                self._frozen.add(task)
                self.swallowed += part
                continue
            sink.write(part)
            with suppress(ConnectionError):
                await sink.drain()


@contextmanager
def line_to(comet: Comet) -> Iterator[tuple[Comet, Line]]:
    """The same Comet at another address, over a line, until the block ends."""
    parts = urlsplit(comet.url)
    line = Line(parts.hostname or "", parts.port or 0)
    thread = threading.Thread(name=ANSWERING, target=line._loop.run_forever)
    thread.start()
    try:
        line.accept()
        yield replace(comet, url=f"http://127.0.0.1:{line.port}"), line
    finally:
        line.refuse()
        line._loop.call_soon_threadsafe(line._loop.stop)
        thread.join(PATIENCE)
        line._loop.close()
