"""The tree in one process while all that can happen happens: experiments change, several read, Comet goes away or fails
in part, the cache is cleared, the daemon is killed and started again. Whatever is read must be what the model allows.

An operation is a value, so a run is a list of them that hypothesis draws, and shrinks where it fails; what it shrank to
becomes a named test. Time is a value, too: it passes when everything waits for it, and no thread works.

What the model allows:

- Comet answers: what was true within `LAG`. No error, but for what is not there.
- It is away, or fails in part: what was ever true, and where that is older than `LAG`, it is marked as stale; or an
  error that fits what is wrong, and never that there is no such thing of what was there all along.
- What was read before, and not dropped since, can be read while Comet is away.
- Files that the failing endpoint has no part in are read as if nothing were wrong.
- A mount with ``--offline`` asks nothing.

Not here: what is true (account_history.py), what happens to experiments (random_lifecycle.py), the same with programs
at a real mount (reference_model.py).
"""

from __future__ import annotations

import logging
import random
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import trio
import trio.testing

from cometfs.cache.persistent.inspection import clear
from cometfs.errors import (
    Unreachable,
)
from cometfs.server.http.lifespan import opened
from cometfs.vfs.engine.vfs import Vfs
from cometfs.vfs.nodes import Node
from tests.support import random_lifecycle
from tests.support.account_history import Account
from tests.support.history import Wrong, timed_by
from tests.support.stateful_readers import listed, look, read_file, read_listing, reader, whole
from tests.support.stateful_world import ENDPOINTS, EVERYWHERE, FAULTS, LAG, OF_CONNECTIONS, Hand, Model, Wire


@dataclass(frozen=True)
class Op:
    """What happens next. `seed` is for what is at random in it."""

    kind: str
    seed: int = 0
    what: str = ""
    seconds: float = 0.0


async def _log(model: Model, op: Op) -> None:
    model.hand.chance = random.Random(op.seed * 10_007 + model.hand.count)  # no key twice
    await trio.to_thread.run_sync(random_lifecycle.step, model.hand)


async def _read(model: Model, op: Op) -> None:
    """Several at once."""
    before = model.wire.asked
    await model.together([partial(reader, model, op.seed * 10 + number) for number in range(1 + op.seed % 5)])
    if model.offline and model.wire.asked != before:
        raise Wrong("a mount with --offline asks")


async def _wait(model: Model, op: Op) -> None:
    await model.passes(op.seconds)


async def _away(model: Model, _op: Op) -> None:
    if not model.wire.away:
        model.wire.away = True
        model.begins((Unreachable,), EVERYWHERE)


async def _back(model: Model, _op: Op) -> None:
    model.wire.away = False
    if not OF_CONNECTIONS & set(model.wire.faults.values()):
        model.ends(EVERYWHERE)


async def _fault(model: Model, op: Op) -> None:
    endpoint, _, kind = op.what.partition(" ")
    if endpoint not in model.wire.faults:
        model.wire.faults[endpoint] = kind
        # Whether a name is there by now cannot be asked, where the listing is the last one.
        errors = (*FAULTS[kind], Unreachable) if endpoint == ENDPOINTS[""] else FAULTS[kind]
        model.begins(errors, EVERYWHERE if kind in OF_CONNECTIONS else endpoint)


async def _mend(model: Model, _op: Op) -> None:
    for endpoint in model.wire.faults:
        model.ends(endpoint)
    if not model.wire.away:
        model.ends(EVERYWHERE)
    model.wire.faults.clear()
    model.wire.mended.set()
    model.wire.mended = trio.Event()


async def _clear(model: Model, _op: Op) -> None:
    """`cometfs cache clear`, while it is mounted."""
    model.held.clear()
    model.in_memory = set()
    folder = model.folder / f"cache-{model.count}"
    await model.at_rest()
    await trio.to_thread.run_sync(clear, folder)


async def _refresh(model: Model, _op: Op) -> None:
    """`cometfs refresh` of the whole, which drops nothing while Comet is away."""

    async def refresh() -> None:
        try:
            await model.vfs.refresh(model.vfs.root, ())
        except Unreachable:
            if not (model.offline or model.troubled(set())):
                raise
        else:
            model.held.clear()

    await model.together([refresh])  # it may wait for a probe, and so for the clock


async def _remount(model: Model, op: Op) -> None:
    await model.unmount()
    await model.mount(offline=op.what == "offline")


async def _kill(model: Model, op: Op) -> None:
    """While some read, or while all is quiet."""
    model.held.clear()
    async with trio.open_nursery() as nursery:
        for number in range(op.seed % 4):
            nursery.start_soon(look, model, *_somewhere(model, op.seed + number))
        await model.at_rest()
        nursery.cancel_scope.cancel()
    await model.kill()
    await model.mount(offline=op.what == "offline")


def _somewhere(model: Model, seed: int) -> tuple[str, Callable[[Vfs, Node], Awaitable[Any]]]:
    chance = random.Random(seed)
    place = chance.choice(list(model.account.listings))
    names = sorted(model.account.listings[place].now.directories)
    return (f"{place.path}/{chance.choice(names)}/output.txt", whole) if names else (place.path, listed)


OPERATIONS: dict[str, Callable[[Model, Op], Awaitable[None]]] = {
    "log": _log,
    "read": _read,
    "wait": _wait,
    "away": _away,
    "back": _back,
    "fault": _fault,
    "mend": _mend,
    "clear": _clear,
    "refresh": _refresh,
    "remount": _remount,
    "kill": _kill,
}


def play(folder: Path, operations: Sequence[Op]) -> None:
    """All of them, one after the other, in an empty folder; then, when all is well again, all is read as it is. Raises
    Wrong."""
    clock = trio.testing.MockClock()
    with _errors() as errors, timed_by(clock.current_time):
        trio.run(_play, folder, clock, operations, clock=clock)
    if errors:
        raise Wrong(f"logged: {errors[0]}")


@contextmanager
def _errors() -> Iterator[list[str]]:
    """What is logged of a bug while the block runs; warnings are what faults are there for."""
    found: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(self.format(record))

    logger, handler = logging.getLogger("cometfs"), Keep(logging.ERROR)
    before = logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield found
    finally:
        logger.removeHandler(handler)
        logger.propagate = before


async def _play(folder: Path, clock: trio.testing.MockClock, operations: Sequence[Op]) -> None:
    served = folder / "served"
    served.mkdir()
    with opened(served, replicate=1, crashed_after=3600, api_key=None, latency=0.0, access_log=None) as app:
        hand = Hand("http://comet", Account(LAG), random.Random(0))
        hand.app = app
        await trio.to_thread.run_sync(random_lifecycle.set_out, hand)
        model = Model(folder, clock, Wire(app), hand)
        clock.jump(1.0)
        model.since = clock.current_time()
        await model.mount()
        try:
            for number, op in enumerate(operations):
                try:
                    await OPERATIONS[op.kind](model, op)
                except Wrong as wrong:
                    wrong.add_note(f"operation {number}, {op}, after {list(hand.moves)[-5:]} {list(hand.steps)[-5:]}")
                    raise
            await _well(model)
        finally:
            await model.unmount()


async def _well(model: Model) -> None:
    """Comet answers again: all is read as it is."""
    for kind in ("back", "mend"):
        await OPERATIONS[kind](model, Op(kind))
    if model.offline:
        await _remount(model, Op("remount"))
    await model.passes(LAG + 1)
    await model.together([partial(_look_at_all, model)])


async def _look_at_all(model: Model) -> None:
    for place, history in model.account.listings.items():
        await read_listing(model, place)
        for directory, key in history.now.directories.items():
            for file in ENDPOINTS.keys() & model.account.experiments[key].files.keys():
                await read_file(model, place, directory, file, whole)
