"""From what a user names to what it costs, and to having it cached: through its mount, or without one.

Not here: options, and what is printed (cli/warm.py).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

import trio

from cometfs.errors import CometFSError
from cometfs.fuse import mountpoints
from cometfs.lease import MOMENT
from cometfs.process.lifetime import until_signal
from cometfs.vfs.layout import STATUS
from cometfs.vfs.nodes import Node
from cometfs.walking.comet_tree import CometTree
from cometfs.walking.places import Account, Opened, Place, mounted, node_at, opened, place_in_mount
from cometfs.warming.costing import ATTRIBUTE, Costs, Together, asked, cost_together
from cometfs.warming.pinned import owners_below, owners_of_mounted
from cometfs.warming.reading import Reading, Result

TICK = 0.25
"""Seconds between two looks at how far it is."""


@dataclass(frozen=True)
class WarmSettings:
    """Everything that `cost` and `warm` need to know."""

    paths: Sequence[str]
    account: Account
    calls: int
    """To find out what it costs."""


class Subject(Protocol):
    """One PATH."""

    folder: Path
    """The cache of its account."""
    name: str
    """Its path below the root of the account."""

    async def cost(self, calls: int) -> Costs: ...

    async def read(self, result: Result) -> None:
        """Has all of it cached."""

    settles: float
    """Seconds after which `counted` has all that was before."""

    async def counted(self) -> tuple[int, int]:
        """Calls and bytes so far."""

    async def owners(self) -> list[str]:
        """What its cached answers belong to."""


class InMount:
    """A path of a mount: that one has key and cache."""

    settles = 1.5 * MOMENT

    def __init__(self, place: Place) -> None:
        self._place = place
        self.name = str(place.path.relative_to(place.mountpoint)).removeprefix(".")
        self.folder = Path(mountpoints.status(place.mountpoint, STATUS)["cache"]["folder"])

    async def cost(self, calls: int) -> Costs:
        return await trio.to_thread.run_sync(asked, self._place.path, f"{ATTRIBUTE}.{calls}", abandon_on_cancel=True)

    async def read(self, result: Result) -> None:
        await Reading(mounted(self._place.path), result).run()

    async def counted(self) -> tuple[int, int]:
        found = await trio.to_thread.run_sync(mountpoints.status, self._place.mountpoint, STATUS)
        return found["made_calls"], found["received_bytes"]

    async def owners(self) -> list[str]:
        return await trio.to_thread.run_sync(owners_of_mounted, *self._place)


class InAccount:
    """Names of an account, without a mount."""

    settles = 0.0

    def __init__(self, account: Opened, node: Node, name: str) -> None:
        self._account = account
        self._node = node
        self.name = name
        self.folder = account.folder

    async def cost(self, calls: int) -> Costs:
        return asdict(await self._account.vfs.cost([self._node], calls))

    async def read(self, result: Result) -> None:
        await Reading(CometTree(self._account.vfs, self._node), result).run()

    async def counted(self) -> tuple[int, int]:
        traffic = self._account.api.traffic
        return sum(traffic.calls.values()), traffic.bytes

    async def owners(self) -> list[str]:
        return await owners_below(self._account.vfs, self._node)


Work = Callable[[str, Subject], Awaitable[None]]


async def each(settings: WarmSettings, work: Work) -> None:
    """Does something with each PATH, one after the other. Raises SetupError, and what ends all."""
    async with until_signal():
        for path in settings.paths:
            place = place_in_mount(path)
            if place is not None:
                await work(path, InMount(place))
                continue
            async with opened(settings.account((path.strip("/").split("/")[0],))) as account:
                await work(path, InAccount(account, await node_at(account.vfs, path), path.strip("/")))


async def costs(settings: WarmSettings, show: Callable[[Together], None]) -> None:
    """Shows what PATHs cost, those of a mount together. Raises SetupError, and what ends all."""
    async with until_signal():
        async for found in cost_together(settings.paths, settings.account, settings.calls):
            show(found)


async def warm(subject: Subject, result: Result, watch: Callable[[], None]) -> None:
    """Reads all of it; `watch` is called a few times a second."""
    calls, received = await subject.counted()

    async def count() -> None:
        now = await subject.counted()
        result.calls, result.received = now[0] - calls, now[1] - received
        watch()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(_again, count)
        await subject.read(result)
        nursery.cancel_scope.cancel()
    await trio.sleep(subject.settles)
    await count()
    result.complete = True


async def _again(count: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            await count()
        except CometFSError:
            return  # the mount is gone: reading it fails, and says so
        await trio.sleep(TICK)
