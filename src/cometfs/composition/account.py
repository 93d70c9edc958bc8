"""An account as settings name it: its calls, its cache and its tree together, and whether its server answers.

Not here: what shows it (app.py, export/), and how the tree itself is put together (composition.py).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

import trio

from cometfs.cache.persistent.account_lock import AccountLock
from cometfs.comet.api import API
from cometfs.comet.missing import KnownGate, read_missing
from cometfs.composition.assembly import Cache, open_budget, open_vfs
from cometfs.config import MountSettings
from cometfs.connectivity import Connectivity
from cometfs.errors import (
    CometFSError,
    KeyRejected,
    NotFound,
    ServerFailed,
    SetupError,
    Throttled,
    Unreachable,
    Untrusted,
)
from cometfs.host.installing import python_command
from cometfs.lease import Lease
from cometfs.vfs.engine.vfs import Vfs

if TYPE_CHECKING:  # its library is an extra
    from cometfs.shared.opening import Shared

START = 20.0
"""Seconds that the server may take for its first answer."""


REFUSALS: Mapping[type[Exception], str] = {
    KeyRejected: "{root} does not accept the API key: check COMET_API_KEY or --api-key-file",
    NotFound: "{error}: check --workspace, and that this key may see it",
    trio.TooSlowError: f"{{root}} did not answer within {START:g} s: check the network and --url",
    Untrusted: "Comet is not asked at {root}: {error}",
    ServerFailed: "{root} is in trouble: try again in a while ({error})",
    Unreachable: "cannot reach Comet at {root}: check the network and --url ({error})",
    Throttled: "{root} wants no calls now: mount again in a minute ({error})",
    CometFSError: "{root} does not answer as Comet does: check --url ({error})",
}
"""Why nothing is shown; the first one that fits."""


@asynccontextmanager
async def open_account(
    settings: MountSettings, cache: Cache, *, singles: bool = True
) -> AsyncIterator[tuple[Vfs, API]]:
    """The tree of an account and what asks its server. Its calls are counted with those of its mounts; `singles`: see
    `open_vfs`."""
    connectivity = Connectivity(offline=settings.offline)
    missing = read_missing(cache.folder)
    async with (
        _shared(settings, cache.folder.name) as shared,
        open_budget(cache.folder, settings.rate, shared) as budget,
        API(
            api_key=settings.api_key,
            url=settings.url,
            deadline=settings.deadline,
            gate=KnownGate(budget, missing),
            network=settings.network,
            alone=AccountLock(cache.folder).held,
            connectivity=connectivity,
        ) as api,
        open_vfs(
            api,
            settings.workspaces,
            rw=settings.rw,
            allow_delete=settings.allow_delete,
            live=Lease(settings.live_interval),
            cache=cache,
            budget=budget,
            singles=singles,
            shared=shared,
        ) as vfs,
    ):
        yield vfs, api


@asynccontextmanager
async def _shared(settings: MountSettings, account: str) -> AsyncIterator[Shared | None]:
    """What the machines of a cluster share, where the settings name a place. Raises SetupError."""
    if settings.shared is None:
        yield None
        return
    if find_spec("coredis") is None:
        raise SetupError(f"to share needs the extra 'shared': run '{python_command('shared', 'coredis')}'")
    from cometfs.shared.opening import open_shared

    async with open_shared(settings.shared, account, settings.api_key, settings.rate) as shared:
        yield shared


async def check(vfs: Vfs, api: API, workspaces: Sequence[str]) -> None:
    """Asks what the root will be asked first, so that a wrong key or address fails now and not at the first `ls`.
    Without network, what the cache has will do. Raises SetupError."""
    try:
        with trio.fail_after(START):
            shown = (await vfs.listings.children(vfs.root))[0].nodes
            for node in shown.values() if workspaces else ():
                if node.at.workspace:
                    await vfs.listings.children(node)
    except tuple(REFUSALS) as error:
        if api.connectivity.offline and isinstance(error, Unreachable):
            raise SetupError(f"nothing of {api.root} is in the cache: mount it once without --offline") from error
        why = next(sentence for kind, sentence in REFUSALS.items() if isinstance(error, kind))
        raise SetupError(why.format(root=api.root, error=error)) from error
