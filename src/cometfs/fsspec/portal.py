"""trio in a thread of its own, one for the process, for callers in any other thread.

The thread ends before the process forks, so that a child inherits no thread, no connection and no database: SQLite's
would corrupt each other. Both go on in a new thread when they next ask for something.

Not here: what is asked (tree.py).
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import trio

T = TypeVar("T")

LAST = 15.0
"""Seconds that a thread may take to end, its last writes included."""

LOOK_EVERY = 0.001
"""Seconds between two looks at whether it is gone."""

AGAIN = 3
"""Times that work is begun anew whose thread has ended: it only reads."""


class Ended(Exception):
    """The thread has ended before the work was done."""


class Portal:
    """The thread. `accounts` lives in it: what was opened there, under keys of its users, until it ends."""

    def __init__(self) -> None:
        self.accounts: dict[Any, Any] = {}
        self._began: Future[None] = Future()
        self._thread = threading.Thread(target=trio.run, args=(self._main,), name="cometfs", daemon=True)
        self._thread.start()
        self._began.result()

    async def _main(self) -> None:
        async with trio.open_nursery() as nursery:
            self.nursery = nursery
            self._token = trio.lowlevel.current_trio_token()
            self._began.set_result(None)
            await trio.sleep_forever()

    def submit(self, work: Callable[[Portal], Awaitable[T]]) -> Future[T]:
        """Begins work in the thread. To cancel its future ends it; Ended is its exception where the thread ends."""
        future: Future[T] = Future()

        def begin() -> None:
            if self.nursery.cancel_scope.cancel_called:
                _settle(future, Ended())
            else:
                self.nursery.start_soon(self._do, future, work)

        self._soon(begin, lambda: _settle(future, Ended()))
        return future

    def soon(self, what: Callable[[], object]) -> None:
        """Has it done in the thread, if that goes on."""
        self._soon(what, lambda: None)

    def _soon(self, what: Callable[[], object], ended: Callable[[], object]) -> None:
        try:
            self._token.run_sync_soon(what)
        except trio.RunFinishedError:
            ended()

    async def _do(self, future: Future[T], work: Callable[[Portal], Awaitable[T]]) -> None:
        with trio.CancelScope() as scope:
            future.add_done_callback(lambda _future: self.soon(scope.cancel))
            try:
                found = await work(self)
            except Exception as error:
                _settle(future, error)
            else:
                with suppress(InvalidStateError):  # it was cancelled meanwhile
                    future.set_result(found)
            finally:
                _settle(future, Ended())  # unless it is done

    def end(self) -> bool:
        """Ends the thread, and all that is open in it; whether that came in time."""
        self.soon(lambda: self.nursery.cancel_scope.cancel())
        self._thread.join(LAST)
        return not self._thread.is_alive() and _is_gone(self._thread)


def _is_gone(thread: threading.Thread) -> bool:
    """Waits until the system has no such thread any more: one that has ended for Python still holds locks of OpenSSL
    for a moment, and a child that is forked then would wait for them for ever."""
    task = Path(f"/proc/self/task/{thread.native_id}")
    until = time.monotonic() + LAST
    while task.exists() and time.monotonic() < until:
        time.sleep(LOOK_EVERY)
    return not task.exists()


def _settle(future: Future[Any], error: Exception) -> None:
    with suppress(InvalidStateError):
        future.set_exception(error)


class _Process:
    """The portal of this process. `turn` is held while one begins or ends; what could not be ended in time stays in
    `left`: nothing that it has open may be closed by a child."""

    def __init__(self) -> None:
        self.turn = threading.Lock()
        self.portal: Portal | None = None
        self.left: list[Portal] = []
        self.watched = 0
        """The process whose end is waited for."""

    def begun(self) -> Portal:
        """The portal, for any thread but its own."""
        with self.turn:
            if self.portal is None:
                self.portal = Portal()
            if self.watched != os.getpid():
                self.watched = os.getpid()
                threading.Thread(
                    target=self._end_with, args=(threading.main_thread(),), name="cometfs-end", daemon=False
                ).start()
            return self.portal

    def _end_with(self, program: threading.Thread) -> None:
        """Ends it when the main thread has ended, while other threads can still be started."""
        program.join()
        close()

    def end(self) -> None:
        """For the one that has its turn."""
        portal, self.portal = self.portal, None
        if portal is not None and not portal.end():
            self.left.append(portal)

    def before_fork(self) -> None:
        self.turn.acquire()
        self.end()


_process = _Process()

os.register_at_fork(
    before=_process.before_fork, after_in_parent=_process.turn.release, after_in_child=_process.turn.release
)


def portal() -> Portal:
    """That of the process, begun where there is none."""
    return _process.begun()


def current() -> Portal | None:
    """The same, None where there is none."""
    return _process.portal


def close() -> None:
    """Ends the thread and all that is open in it; what is asked next begins another."""
    with _process.turn:
        _process.end()


async def ask(work: Callable[[Portal], Awaitable[T]]) -> T:
    """What `work` returns, done in the thread, for an asyncio task. Raises what it raises."""
    for _ in range(AGAIN):
        with suppress(Ended):
            return await asyncio.wrap_future(portal().submit(work))
    raise Ended


def wait(work: Callable[[Portal], Awaitable[T]]) -> T:
    """The same for a plain thread."""
    for _ in range(AGAIN):
        future = portal().submit(work)
        try:
            return future.result()
        except Ended:
            continue
        finally:
            future.cancel()  # where a signal ended the wait
    raise Ended
