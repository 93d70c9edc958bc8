"""What readers of the stateful model look at, and whether the model allows what they see.

Not here: what was true when (account_history.py), what goes wrong meanwhile (stateful_model.py).
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from cometfs.errors import (
    CometFSError,
    NoSuchEntry,
    NotFound,
    Stale,
    Unreachable,
)
from cometfs.vfs.engine.vfs import Vfs
from cometfs.vfs.nodes import Node
from tests.support.account_history import Place
from tests.support.history import Bytes, Wrong, explained
from tests.support.path_reads import FIXED
from tests.support.stateful_world import ENDPOINTS, LAG, Model

ABSENT = (NoSuchEntry, NotFound, Stale)


@dataclass
class Seen:
    """What somebody got: bytes or names, or an error; `marked`: whether something on the way says that it is stale."""

    value: Any = None
    error: CometFSError | None = None
    marked: bool = False


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
        if self._model.in_memory is not None:
            self._model.in_memory.add(self._path)

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
        return Wrong(
            f"{self._path}, looked at from {self._began:.3f} to {model.clock.current_time():.3f}, {what} ({state})"
        )
