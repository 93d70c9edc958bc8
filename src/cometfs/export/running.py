"""From what a user names to a tree and a directory: an export from beginning to end.

Not here: going through the tree (copying.py).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import trio

from cometfs.errors import SetupError
from cometfs.export.cometx_tree import CometxTree
from cometfs.export.copying import Copying, Result
from cometfs.export.target import Target
from cometfs.process.lifetime import until_signal
from cometfs.walking.comet_tree import CometTree
from cometfs.walking.globs import Selection
from cometfs.walking.items import Tree
from cometfs.walking.places import Account, mounted, node_at, opened, place_in_mount

Layout = Literal["mount", "cometx"]

Watch = Callable[[Result], None]
"""Is called a few times a second while files are written."""

TICK = 0.2
"""Seconds between two calls of it."""


@dataclass(frozen=True)
class ExportSettings:
    """Everything that `cometfs export` needs to know."""

    source: str
    target: Path
    layout: Layout
    selection: Selection
    account: Account


async def run(settings: ExportSettings, result: Callable[[Result], None], watch: Watch) -> None:
    """Exports until all is done or a signal ends it; `result` is given what came of it. Raises SetupError, and what
    ends all."""
    async with until_signal(), _tree(settings) as tree:
        with Target(settings.target) as target:
            copying = Copying(tree, target, settings.selection)
            result(copying.result)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_watch, copying.result, watch)
                await copying.run()
                nursery.cancel_scope.cancel()


async def _watch(result: Result, watch: Watch) -> None:
    while True:
        watch(result)
        await trio.sleep(TICK)


@asynccontextmanager
async def _tree(settings: ExportSettings) -> AsyncIterator[Tree]:
    place = place_in_mount(settings.source)
    if place is not None and settings.layout == "mount":
        yield mounted(place.path)
        return
    if place is not None:
        raise SetupError("--layout cometx asks Comet itself: name WORKSPACE/PROJECT/EXPERIMENT, not a path of a mount")
    account = settings.account((settings.source.strip("/").split("/")[0],))
    async with opened(account) as (vfs, _api, _folder):
        node = await node_at(vfs, settings.source)
        yield CometxTree(vfs, node) if settings.layout == "cometx" else CometTree(vfs, node)
