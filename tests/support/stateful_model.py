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

import json
import logging
import math
import random
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import trio
import trio.testing

from cometfs.cache.persistent.inspection import clear
from cometfs.comet.api import API
from cometfs.comet.http.transport import Transport
from cometfs.composition import Cache, open_vfs
from cometfs.connectivity import Connectivity
from cometfs.errors import (
    CometFSError,
    NoSuchEntry,
    NotAllowed,
    NotFound,
    Stale,
    Throttled,
    Unintelligible,
    Unreachable,
)
from cometfs.mountstate.limits import RequestLimiter
from cometfs.server.http.lifespan import opened
from cometfs.vfs.engine.vfs import Vfs
from cometfs.vfs.nodes import Node
from tests.support import random_lifecycle
from tests.support.account_history import Account, Experiment, Place
from tests.support.history import Bytes, Wrong, explained, timed_by
from tests.support.log_client import Refused, Scribe
from tests.support.path_reads import FIXED

LAG = 240.0
"""Seconds that what is read may lag behind: listings of the workspace and of the project hold a minute each, an absence
30 s, an answer that was read last just before; and the rest is for calls that are tried again."""

DEADLINE = 30.0
"""Of a request."""

ABSENT = (NoSuchEntry, NotFound, Stale)

FAULTS: dict[str, type[CometFSError]] = {
    "500": Unreachable,
    "page": Unintelligible,
    "nonsense": Unintelligible,
    "429": Throttled,
    "403": NotAllowed,
    "reset": Unreachable,
    "silence": Unreachable,
}
"""What one endpoint does, and what a reader may get of it."""

OF_CONNECTIONS = frozenset({"reset", "silence"})
"""Faults that may be taken for one of the whole server."""

ENDPOINTS = {
    "output.txt": "experiment/output",
    "params.json": "experiment/parameters",
    "others.json": "experiment/log-other",
    "tags.txt": "experiment/tags",
    "": "experiments",
}
"""By file; "" is a listing."""


@dataclass(frozen=True)
class Op:
    """What happens next. `seed` is for what is at random in it."""

    kind: str
    seed: int = 0
    what: str = ""
    seconds: float = 0.0


class Wire(httpx.AsyncBaseTransport):
    """The way to the Comet: away, or one endpoint fails."""

    def __init__(self, app: Any) -> None:
        self._app = httpx.ASGITransport(app)
        self.asked = 0
        self.away = False
        self.faults: dict[str, str] = {}
        self.mended = trio.Event()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        if self.away:
            raise httpx.ConnectError("no route", request=request)
        match self.faults.get(request.url.path.removeprefix("/api/rest/v2/")):
            case "500" | "403" | "429" as status:
                return httpx.Response(int(status), json={"msg": "injected"}, headers={"Retry-After": "7"})
            case "page":
                return httpx.Response(200, html="<html>login</html>")
            case "nonsense":
                return httpx.Response(200, content=b'{"a": ')
            case "reset":
                raise httpx.ReadError("reset", request=request)
            case "silence":
                await self.mended.wait()
                raise httpx.ReadError("reset", request=request)
            case _:
                return await self._app.handle_async_request(request)


class Hand(Scribe):
    """Logs to the Comet of this process, from a thread."""

    app: Any

    def _ask(self, method: str, path: str, body: bytes | None = None) -> None:
        status, said = trio.from_thread.run(self._send, method, path, body)
        if status != 200:
            raise Refused(f"{method} {path}: {status} {said[:300]!r}")

    async def _send(self, method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
        headers = {"Authorization": "any", "Content-Type": "application/json"}
        async with httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://comet") as client:
            reply = await client.request(method, path, content=body, headers=headers)
            return reply.status_code, reply.content


@dataclass
class Seen:
    """What somebody got: bytes or names, or an error; `marked`: whether something on the way says that it is stale."""

    value: Any = None
    error: CometFSError | None = None
    marked: bool = False


class Model:
    """The Comet, the tree before it, and what is known of both."""

    def __init__(self, folder: Path, clock: trio.testing.MockClock, wire: Wire, hand: Hand) -> None:
        self.folder, self.clock, self.wire, self.hand = folder, clock, wire, hand
        self.account = hand.account
        self.vfs: Vfs
        self.offline = False
        self.limits = RequestLimiter(DEADLINE, 300)
        self.mounts = AsyncExitStack()
        self.count = 0
        self._born = time.time()
        self.troubles: list[tuple[float, type[CometFSError], str]] = []
        """Until when, with what errors, at which endpoint ("": all)."""
        self.since = 0.0
        """When all that is never moved was there."""
        self.held: set[str] = set()
        """Paths that were read, and not dropped since."""

    # -- time ------------------------------------------------------------------------------------------------------

    async def at_rest(self) -> None:
        """Returns when all tasks wait, and no thread works."""
        own = trio.CapacityLimiter(1)
        await trio.testing.wait_all_tasks_blocked()
        while trio.to_thread.current_default_thread_limiter().borrowed_tokens:
            await trio.to_thread.run_sync(time.sleep, 0.0005, limiter=own)
            await trio.testing.wait_all_tasks_blocked()

    async def until(self, done: Callable[[], bool], most: float = 1800.0) -> None:
        """Time passes until that is so."""
        end = self.clock.current_time() + most
        await self.at_rest()
        while not done():
            if self.clock.current_time() > end:
                raise Wrong(f"nothing has come of it in {most:g} s")
            left = trio.lowlevel.current_statistics().seconds_to_next_deadline
            self.clock.jump(min(max(left, 0.0), 60.0) + 1e-6)
            await self.at_rest()

    async def passes(self, seconds: float) -> None:
        end = self.clock.current_time() + seconds
        await self.until(lambda: self.clock.current_time() >= end, seconds + 61)

    def wall(self) -> float:
        return self._born + self.clock.current_time()

    async def together(self, looks: Sequence[Callable[[], Awaitable[None]]]) -> None:
        """Time passes until all have ended. Raises what the first of them raises."""
        ended: list[Exception | None] = []

        async def one(look: Callable[[], Awaitable[None]]) -> None:
            try:
                await look()
            except Exception as error:
                ended.append(error)
            else:
                ended.append(None)

        async with trio.open_nursery() as nursery:
            for look in looks:
                nursery.start_soon(one, look)
            await self.until(lambda: len(ended) == len(looks))
        for error in filter(None, ended):
            raise error

    # -- mounts ----------------------------------------------------------------------------------------------------

    async def mount(self, *, offline: bool = False) -> None:
        self.mounts, self.offline = AsyncExitStack(), offline
        self.vfs = await self.mounts.enter_async_context(self._mounted(offline=offline))

    @asynccontextmanager
    async def _mounted(self, *, offline: bool) -> AsyncIterator[Vfs]:
        transport, connectivity = Transport(self.wire), Connectivity(offline=offline, wall=self.wall)
        async with API("key", "http://comet", transport=transport, connectivity=connectivity) as api:
            cache = Cache(self.folder / f"cache-{self.count}", 1 << 30)
            async with open_vfs(api, cache=cache, wall=self.wall) as vfs:
                yield vfs

    async def unmount(self) -> None:
        await self.mounts.aclose()

    async def kill(self) -> None:
        """What is on disk at this moment is what the next mount finds."""
        before = self.folder / f"cache-{self.count}"
        self.count += 1
        if before.exists():
            shutil.copytree(before, self.folder / f"cache-{self.count}")
        await self.unmount()
        shutil.rmtree(before, ignore_errors=True)

    # -- what may be -----------------------------------------------------------------------------------------------

    def troubled(self, endpoints: set[str]) -> tuple[type[CometFSError], ...]:
        """The errors that something is wrong with that has a part in this; empty where all is well."""
        now = self.clock.current_time()
        self.troubles = [one for one in self.troubles if one[0] + LAG >= now]
        return tuple(error for _, error, where in self.troubles if not where or where in endpoints)

    def begins(self, error: type[CometFSError], where: str) -> None:
        self.troubles.append((math.inf, error, where))

    def ends(self, where: str) -> None:
        now = self.clock.current_time()
        self.troubles = [(min(end, now) if at == where else end, error, at) for end, error, at in self.troubles]


# -- readers -------------------------------------------------------------------------------------------------------------


async def look(model: Model, path: str, see: Callable[[Vfs, Node], Awaitable[Any]]) -> Seen:
    """What a program gets of a path, as it is looked up part by part."""
    chain = [model.vfs.root]
    try:
        with model.limits.limit(0):
            for part in path.split("/"):
                chain.append((await model.vfs.listings.child(chain[-1], part))[0])
            value = await see(model.vfs, chain[-1])
    except CometFSError as error:
        return Seen(error=error, marked=_marked(model.vfs, chain))
    return Seen(value, marked=_marked(model.vfs, chain))


def _marked(vfs: Vfs, chain: Sequence[Node]) -> bool:
    above = list(reversed(chain))
    return any(vfs.provenance(node, above[place + 1 :]).get("stale") == "true" for place, node in enumerate(above))


async def whole(vfs: Vfs, node: Node) -> bytes:
    file = await vfs.files.open(node)
    try:
        return bytes(await file.read(0, file.size))
    finally:
        file.close()


async def sized(vfs: Vfs, node: Node) -> int:
    size = (await vfs.attributes(node)).size
    assert size is not None
    return size


async def listed(vfs: Vfs, node: Node) -> set[str]:
    return set((await vfs.listings.children(node))[0].nodes)


async def reader(model: Model, seed: int) -> None:
    """One look at something at random."""
    chance = random.Random(seed)
    place = chance.choice(list(model.account.listings))
    if chance.random() < 0.2:
        await read_listing(model, place)
        return
    known = model.account.listings[place].within(0.0)
    names = sorted({name for one in known for name in one.directories.items()})
    if not names:
        return
    directory, key = chance.choice(names)
    files = [file for file in model.account.experiments[key].files if file in ENDPOINTS]
    see = chance.choice((whole, whole, sized))
    await read_file(model, place, directory, chance.choice(files), see)


async def read_listing(model: Model, place: Place) -> None:
    began = model.clock.current_time()
    seen = await look(model, place.path, listed)
    fixed = frozenset() if place.archived else FIXED
    ever = model.account.listings[place].within(model.since)
    lately = model.account.listings[place].within(began - LAG)
    judge = Judge(model, place.path, began, {ENDPOINTS[""]})
    if seen.error is not None:
        judge.error(seen, may_lack=place.archived)
        return
    found = seen.value - fixed
    judge.value(
        seen,
        lately=any(found == set(one.directories) for one in lately),
        ever=any(found == set(one.directories) for one in ever),
        what=f"{sorted(found)}",
    )


async def read_file(
    model: Model, place: Place, directory: str, file: str, see: Callable[[Vfs, Node], Awaitable[Any]]
) -> None:
    account, began, path = model.account, model.clock.current_time(), f"{place.path}/{directory}/{file}"
    seen = await look(model, path, see)
    judge = Judge(model, path, began, {ENDPOINTS[file], ENDPOINTS[""]})
    now = model.clock.current_time()
    # What `of_name` takes is a time before which it goes back by the lag of the account.
    lately = account.of_name(place, directory, file, began, now)
    ever = account.of_name(place, directory, file, model.since + account.lag, now)
    if seen.error is not None:
        since = model.since + account.lag if judge.causes or model.offline else began
        judge.error(seen, may_lack=account.may_lack(place, directory, file, since, now))
        return
    fits = partial(_fits, seen.value)
    said = explained(seen.value, ever) if isinstance(seen.value, bytes) else f"a size of {seen.value}"
    judge.value(seen, lately=fits(lately), ever=fits(ever), what=said)


def _fits(value: bytes | int, found: dict[str, list[Bytes]]) -> bool:
    versions = [version for each in found.values() for version in each]
    return any(one.size == value if isinstance(value, int) else one.equals(value) for one in versions)


class Judge:
    """Whether the model allows what was seen of a path."""

    def __init__(self, model: Model, path: str, began: float, endpoints: set[str]) -> None:
        self._model, self._path, self._began = model, path, began
        self.causes = model.troubled(endpoints)

    def value(self, seen: Seen, *, lately: bool, ever: bool, what: str) -> None:
        if not ever:
            raise self._wrong(f"was never so: {what}")
        if not lately and not (self.causes or self._model.offline):
            raise self._wrong(f"is not so any more, and nothing is wrong: {what}")
        if not lately and not seen.marked:
            raise self._wrong(f"is not so any more, and not marked as stale: {what}")
        self._model.held.add(self._path)

    def error(self, seen: Seen, *, may_lack: bool) -> None:
        error = seen.error
        if isinstance(error, ABSENT):
            if not may_lack:
                raise self._wrong(f"was there all along: {error!r}")
            self._model.held.discard(self._path)
            return
        if not isinstance(error, (*self.causes, *((Unreachable,) if self._model.offline else ()))):
            raise self._wrong(f"fails, and nothing like that is wrong: {error!r}")
        if self._path in self._model.held and (self._model.wire.away or self._model.offline):
            raise self._wrong(f"was read before, and cannot be read while Comet is away: {error!r}")

    def _wrong(self, what: str) -> Wrong:
        model = self._model
        state = f"away {model.wire.away}, offline {model.offline}, faults {model.wire.faults}"
        return Wrong(f"{self._path}, looked at from {self._began:.3f} to {model.clock.current_time():.3f}, {what} ({state})")


# -- operations ----------------------------------------------------------------------------------------------------------


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
        model.begins(Unreachable, "")


async def _back(model: Model, _op: Op) -> None:
    model.wire.away = False
    model.ends("")


async def _fault(model: Model, op: Op) -> None:
    endpoint, _, kind = op.what.partition(" ")
    if endpoint not in model.wire.faults:
        model.wire.faults[endpoint] = kind
        model.begins(FAULTS[kind], "everything" if kind in OF_CONNECTIONS else endpoint)


async def _mend(model: Model, _op: Op) -> None:
    for endpoint in [*model.wire.faults, "everything"]:
        model.ends(endpoint)
    model.wire.faults.clear()
    model.wire.mended.set()
    model.wire.mended = trio.Event()


async def _clear(model: Model, _op: Op) -> None:
    """`cometfs cache clear`, while it is mounted."""
    model.held.clear()
    folder = model.folder / f"cache-{model.count}"
    await model.at_rest()
    await trio.to_thread.run_sync(clear, folder)


async def _refresh(model: Model, op: Op) -> None:
    """`cometfs refresh` of the whole."""
    model.held.clear()
    await model.vfs.refresh(model.vfs.root, ())


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
