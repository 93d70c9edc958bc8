"""The key-value store of an account: one JSON object, which Comet gives and takes only as a whole.

Every change is a read, a write and a read. What is not understood is never written over. Changes that wait for one
another are made together. Not here: keeping other processes out meanwhile (`alone`, which `API` is given).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any, Generic, TypeVar

import msgspec
import trio

from cometfs.comet.answers.shapes import Mismatch, value
from cometfs.comet.calls import Calls
from cometfs.comet.question import Question
from cometfs.errors import CometFSError, Conflict, DeadlineExceeded

T = TypeVar("T")

STORE = "panel/store"
"""Where the store is read; it is written at ``write/`` the same. Comet's own place for it is not public."""

TRIES = 3
"""Writes after which it is given up to find a change in what the server has."""

Held = dict[str, msgspec.Raw]
"""What is stored: by key, the JSON of each value, which is sent back as it came."""

Alone = Callable[[], AbstractAsyncContextManager[None]]
"""Held by one at a time while the store is changed."""


class _Change(Generic[T]):
    """A change that waits for its turn, and what became of it."""

    def __init__(self, make: Callable[[Held], T]) -> None:
        self.make = make
        self.done = False
        self._result: T | CometFSError

    def end(self, result: T | CometFSError) -> None:
        self.done = True
        self._result = result

    def result(self) -> T:
        if isinstance(self._result, CometFSError):
            raise self._result
        return self._result


class KvStoreClient:
    """A change is in `_waiting` iff its task waits for it and it is not known to be stored or to have failed."""

    def __init__(self, calls: Calls, deadline: float, alone: Alone = nullcontext) -> None:
        """`deadline`: seconds that a change may take, waiting for others included."""
        self._calls = calls
        self._deadline = deadline
        self._alone = alone
        self._turn = trio.Lock()
        self._waiting: list[_Change[Any]] = []

    async def text(self) -> str:
        """The store as its server has it, which is a JSON object. Raises Unintelligible for anything else: that is not
        an account that never stored anything, which has ``{}``."""
        return await self._calls.ask(Question(STORE, lacking="a store", alone=True), _text, exact=True)

    async def read(self) -> Held:
        """What is stored now."""
        return held(await self.text())

    async def change(self, make: Callable[[Held], T]) -> T:
        """Returns what `make`, which changes what is held in place, has returned, when the server has that change.

        Raises Conflict where others keep undoing it.
        """
        change = _Change(make)
        self._waiting.append(change)
        with trio.move_on_after(self._deadline):
            try:
                async with self._turn:
                    if not change.done:
                        async with self._alone():
                            await self._make(tuple(self._waiting))
            finally:
                if change in self._waiting:
                    self._waiting.remove(change)
        if not change.done:
            raise DeadlineExceeded(f"The store was not changed within {self._deadline:g} s")
        return change.result()

    async def _make(self, changes: Sequence[_Change[Any]]) -> None:
        """Makes all `changes` with one write. One whose task is cancelled meanwhile may be made, or not."""
        results: list[Any]
        try:
            before = await self.read()
            after = dict(before)
            results = [change.make(after) for change in changes]
            await self._replace(before, after)
        except CometFSError as error:
            results = [error] * len(changes)
        for change, result in zip(changes, results, strict=True):
            change.end(result)
            if change in self._waiting:
                self._waiting.remove(change)

    async def _replace(self, before: Held, after: Held) -> None:
        changed = {key for key in before.keys() | after.keys() if before.get(key) is not after.get(key)}
        if not changed:
            return
        wanted = after
        for _ in range(TRIES):
            await self._write(wanted)
            now = await self.read()
            lost = {key: found for key, found in wanted.items() if key not in now}
            if not lost and all(_same(now.get(key), after.get(key)) for key in changed):
                return
            # Others wrote meanwhile: what they stored stays, and what they did not know comes back.
            wanted = lost | {key: found for key, found in now.items() if key not in changed}
            wanted |= {key: after[key] for key in changed & after.keys()}
        names = ", ".join(repr(key) for key in sorted(lost.keys() | changed)[:3])
        raise Conflict(f"The store does not keep what was written to it (asked for {names}): others write to it, too")

    async def _write(self, wanted: Held) -> None:
        body = {"store": msgspec.json.encode(wanted).decode()}
        await self._calls.ask(Question(f"write/{STORE}", body=body, lacking="a store"), _object)


def held(text: str) -> Held:
    """The object in the text of a store. Raises msgspec.MsgspecError for one that is no JSON object."""
    return msgspec.json.decode(text, type=Held)


def _text(body: bytes) -> str:
    text = value(body, "store", str)
    try:
        held(text)
    except msgspec.MsgspecError as exc:
        raise Mismatch(f"'store' is no text of a JSON object: {exc}") from exc
    return text


def _object(body: bytes) -> Mapping[str, Any]:
    return msgspec.json.decode(body, type=dict[str, Any])


def _same(one: msgspec.Raw | None, other: msgspec.Raw | None) -> bool:
    """Whether two values mean the same, however they are spelt."""
    if one is None or other is None or one == other:
        return one == other
    try:
        return bool(msgspec.json.decode(one) == msgspec.json.decode(other))
    except msgspec.MsgspecError:  # a number that is too big to be understood
        return False
