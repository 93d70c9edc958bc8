"""trio in a thread of its own, one for the process, for callers in any other thread.

The thread ends before the process forks, so that a child inherits no thread, no connection and no database: SQLite's
would corrupt each other. Both go on in a new thread when they next ask for something. Work that a fork interrupts is
begun anew behind it, for it only reads; the next fork waits for it, so that a program which forks all the time reads.

Not here: what is asked (tree.py).
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, InvalidStateError
from concurrent.futures import wait as wait_for
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import trio

from cometfs.errors import Interrupted

T = TypeVar("T")

LAST = 15.0
"""Seconds that a thread may take to end, its last writes included."""

LOOK_EVERY = 0.001
"""Seconds between two looks at whether it is gone."""

AGAIN = 3
"""Times that work is begun anew whose thread has ended."""

PATIENCE = 5.0
"""Seconds that a fork waits for work which one before it has interrupted."""


@dataclass(eq=False)
class _Work(Generic[T]):
    """What is to be done in the thread. `future` outlives the thread; `interrupted` counts those that ended."""

    do: Callable[[Portal], Awaitable[T]]
    future: Future[T] = field(default_factory=Future)
    interrupted: int = 0

    def settle(self, error: BaseException) -> None:
        with suppress(InvalidStateError):
            self.future.set_exception(error)


class Portal:
    """The thread. `accounts` lives in it: what was opened there, under keys of its users, until it ends. `under_way` is
    what was begun and is not done, also when it has ended."""

    def __init__(self) -> None:
        self.accounts: dict[Any, Any] = {}
        self.under_way: set[_Work[Any]] = set()
        self.broken: BaseException | None = None
        """What ended the thread without being asked for."""
        self._began: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, name="cometfs", daemon=True)
        self._thread.start()
        self._began.result()

    def _run(self) -> None:
        try:
            trio.run(self._main)
        except BaseException as error:
            self.broken = error
            for work in list(self.under_way):
                work.settle(error)
            raise

    async def _main(self) -> None:
        async with trio.open_nursery() as nursery:
            self.nursery = nursery
            self._token = trio.lowlevel.current_trio_token()
            self._began.set_result(None)
            await trio.sleep_forever()

    def begin(self, work: _Work[Any]) -> None:
        """Begins it in the thread. To cancel its future ends it."""
        self.under_way.add(work)

        def begin() -> None:
            if not self.nursery.cancel_scope.cancel_called:
                self.nursery.start_soon(self._do, work)

        self.soon(begin)
        if self.broken is not None:
            work.settle(self.broken)

    def soon(self, what: Callable[[], object]) -> None:
        """Has it done in the thread, if that goes on."""
        with suppress(trio.RunFinishedError):
            self._token.run_sync_soon(what)

    async def _do(self, work: _Work[T]) -> None:
        with trio.CancelScope() as scope:
            work.future.add_done_callback(lambda _future: self.soon(scope.cancel))
            try:
                found = await work.do(self)
            except Exception as error:
                work.settle(error)
            else:
                with suppress(InvalidStateError):  # it was cancelled meanwhile
                    work.future.set_result(found)
        self.under_way.discard(work)

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


class _Process:
    """The portal of this process. `turn` is held while one begins or ends; what could not be ended in time stays in
    `left`: nothing that it has open may be closed by a child."""

    def __init__(self) -> None:
        self.turn = threading.Lock()
        self.portal: Portal | None = None
        self.left: list[Portal] = []
        self._interrupted: list[_Work[Any]] = []
        self._watched = 0
        """The process whose end is waited for."""

    def submit(self, do: Callable[[Portal], Awaitable[T]]) -> Future[T]:
        """Begins work in the thread, from any other. To cancel its future ends it."""
        work = _Work(do)
        with self.turn:
            self._begin([work])
        return work.future

    def _begin(self, several: list[_Work[Any]]) -> None:
        if self.portal is None or self.portal.broken is not None:
            self.portal = Portal()
        if self._watched != os.getpid():
            self._watched = os.getpid()
            threading.Thread(
                target=self._end_with, args=(threading.main_thread(),), name="cometfs-end", daemon=False
            ).start()
        for work in several:
            self.portal.begin(work)

    def _end_with(self, program: threading.Thread) -> None:
        """Ends it when the main thread has ended, while other threads can still be started."""
        program.join()
        self.close()

    def close(self) -> None:
        with self.turn:
            self._end()
            self._go_on()

    def before_fork(self) -> None:
        self.turn.acquire()
        if self.portal is not None:
            wait_for([work.future for work in list(self.portal.under_way) if work.interrupted], PATIENCE)
        self._end()

    def after_in_parent(self) -> None:
        try:
            self._go_on()
        finally:
            self.turn.release()

    def after_in_child(self) -> None:
        self._interrupted = []  # its readers are threads of the parent
        self.turn.release()

    def _end(self) -> None:
        portal, self.portal = self.portal, None
        if portal is None:
            return
        if not portal.end():
            self.left.append(portal)
            return
        for work in portal.under_way:
            work.interrupted += 1
            if work.interrupted > AGAIN:
                work.settle(Interrupted("the process forked, or ended, before this was read: read it again"))
            elif not work.future.done():
                self._interrupted.append(work)

    def _go_on(self) -> None:
        works, self._interrupted = self._interrupted, []
        try:
            if works:
                self._begin(works)
        except RuntimeError as error:  # no thread can be started any more
            for work in works:
                work.settle(error)


_process = _Process()

os.register_at_fork(
    before=_process.before_fork, after_in_parent=_process.after_in_parent, after_in_child=_process.after_in_child
)


def current() -> Portal | None:
    """The portal of this process, None where there is none."""
    return _process.portal


def submit(work: Callable[[Portal], Awaitable[T]]) -> Future[T]:
    """Begins work in the thread. To cancel the future ends it."""
    return _process.submit(work)


def close() -> None:
    """Ends the thread and all that is open in it; what is asked next begins another."""
    _process.close()


async def ask(work: Callable[[Portal], Awaitable[T]]) -> T:
    """What `work` returns, done in the thread, for an asyncio task. Raises what it raises, and Interrupted."""
    return await asyncio.wrap_future(submit(work))


def wait(work: Callable[[Portal], Awaitable[T]]) -> T:
    """The same for a plain thread."""
    future = submit(work)
    try:
        return future.result()
    finally:
        future.cancel()  # where a signal ended the wait
