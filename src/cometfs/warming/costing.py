"""What reading several PATHs whole would cost together: what they share is counted once, as far as they lie in one
mount, or in none.

Not here: what is counted (vfs/engine/cost/), and what is printed (cli/warm.py, report.py).
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import trio

from cometfs.errors import SetupError
from cometfs.vfs.engine.vfs import Vfs
from cometfs.vfs.nodes import Node
from cometfs.walking.places import Account, Place, node_at, opened, place_in_mount

ATTRIBUTE = "user.comet.cost"
"""By which a mount is asked what a file or directory costs: behind it a number, which bounds the calls for that, and a
word, which is the same for all PATHs that are counted together."""

Costs = dict[str, Any]
"""As `vfs/engine/cost/estimate.Cost` has it."""

ADDED = ("calls", "bytes", "files", "at_hand")
"""What each of several PATHs adds to."""


class Together(NamedTuple):
    """PATHs of one mount, or of no mount."""

    paths: Sequence[str]
    found: Costs
    """Of all of them."""
    each: Sequence[Costs]
    """What each adds to those before it."""


UpTo = Callable[[int, int], Awaitable[Costs]]
"""What the first so many PATHs cost together, with so many calls at most to find out."""


async def cost_together(paths: Sequence[str], account: Account, calls: int) -> AsyncIterator[Together]:
    """Raises SetupError, and what ends all."""
    places = {path: place_in_mount(path) for path in paths}
    without = [path for path, place in places.items() if place is None]
    for mountpoint in dict.fromkeys(place.mountpoint for place in places.values() if place is not None):
        mounted = {path: place for path, place in places.items() if place and place.mountpoint == mountpoint}
        yield await _counted(list(mounted), _in_mount(list(mounted.values())), calls)
    if without:
        workspaces = dict.fromkeys(path.strip("/").split("/")[0] for path in without)
        async with opened(account(tuple(workspaces))) as account_:
            nodes = [await node_at(account_.vfs, path) for path in without]
            yield await _counted(without, _in_account(account_.vfs, nodes), calls)


async def _counted(paths: Sequence[str], up_to: Callable[[], UpTo], calls: int) -> Together:
    """First asks what may be asked, then counts again: by then all is known that will be."""
    spent, asking, counting = 0, up_to(), up_to()
    found: list[Costs] = []
    for count in range(1, len(paths) + 1):
        found.append(await asking(count, calls - spent))
        spent += found[-1]["spent"]
    if len(paths) > 1:
        found = [await counting(count, 0) for count in range(1, len(paths) + 1)]
    nothing = dict.fromkeys(ADDED, 0)
    each = [{name: now[name] - before[name] for name in ADDED} for before, now in pairwise([nothing, *found])]
    return Together(paths, found[-1] | {"spent": spent}, each)


def _in_account(vfs: Vfs, nodes: Sequence[Node]) -> Callable[[], UpTo]:
    async def up_to(count: int, calls: int) -> Costs:
        return asdict(await vfs.cost(nodes[:count], max(0, calls)))

    return lambda: up_to


def _in_mount(places: Sequence[Place]) -> Callable[[], UpTo]:
    def begun() -> UpTo:
        word = secrets.token_hex(8)

        async def up_to(count: int, calls: int) -> Costs:
            name = f"{ATTRIBUTE}.{max(0, calls)}.{word}"
            return await trio.to_thread.run_sync(asked, places[count - 1].path, name, abandon_on_cancel=True)

        return up_to

    return begun


def asked(path: Path, name: str) -> Costs:
    """Has a mount tell it, by an extended attribute of that name. Raises SetupError."""
    try:
        found: Costs = json.loads(os.getxattr(path, name))
    except OSError as error:
        raise SetupError(f"cannot tell what {path} costs: {error.strerror}") from error
    return found
