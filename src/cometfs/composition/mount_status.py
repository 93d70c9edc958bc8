"""What `.cometfs/status.json` shows of a mount: what it reached, counted and keeps.

Not here: how commands print it (status/).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import trio

from cometfs._version import __version__
from cometfs.cache.persistent.index import Index
from cometfs.comet.api import API
from cometfs.quota.limiter import Budget
from cometfs.telemetry.gauges import Gauges
from cometfs.telemetry.traffic import Waiting
from cometfs.vfs.answers.resolver import AnswerResolver
from cometfs.vfs.schema.declaration import Context
from cometfs.vfs.sources.experiment import WORKSPACES

if TYPE_CHECKING:  # its library is an extra
    from cometfs.shared.opening import Shared

SHOWN = 20
"""Requests on their way, and errors, that the status shows at most."""


@dataclass(frozen=True)
class MountStatus:
    """What `.cometfs/status.json` shows."""

    api: API
    answers: AnswerResolver
    named: Sequence[str]
    budget: Budget | None
    index: Index | None
    gauges: Gauges
    shared: Shared | None
    since: float

    async def now(self) -> dict[str, Any]:
        """As an object of JSON, with what is on its way and what went wrong last."""
        return {
            "version": __version__,
            "server": self.api.root,
            "workspaces": self._workspaces(),
            "pid": os.getpid(),
            "since": round(self.since, 3),
            "network": self.api.connectivity.as_object(),
            "calls": (await self.budget.status()).as_object() if self.budget else None,
            "shared": self.shared.as_object() if self.shared else None,
            "reads": {where: self.answers.lookups.at(where, "answer", "body") for where in ("memory", "disk", "asked")},
            "fetching": [_on_its_way(one) for one in self.api.traffic.waiting()[:SHOWN]],
            "made_calls": self.api.traffic.calls.total(),
            "received_bytes": self.api.traffic.bytes,
            "cache": await self._cache(),
            "gauges": {name: gauge() for name, gauge in sorted(self.gauges.items())},
            "errors": self.answers.error_log.lines()[-SHOWN:],
        }

    def _workspaces(self) -> list[str]:
        """Those at the root, as far as that is known."""
        held = self.answers.peek(WORKSPACES, Context(self.api.root, 0.0))
        return list(self.named or (held and held.value) or ())

    async def _cache(self) -> dict[str, Any] | None:
        if self.index is None:
            return None
        totals = await trio.to_thread.run_sync(self.index.totals)
        return totals.as_object() | {"folder": str(self.index.folder)}


def _on_its_way(request: Waiting) -> dict[str, Any]:
    return {"what": request.what, "for_s": round(request.seconds, 1), "bytes": request.bytes}
