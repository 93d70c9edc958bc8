"""The storages to which Comet redirects downloads: which of their hosts cannot be used from here.

A self-hosted Comet may keep its assets in an object store under a name that only its own network knows. Comet then
sends the bytes itself, if it is asked with ``allow301=false``. Not here: asking (`downloads`).
"""

from __future__ import annotations

import logging
from urllib.parse import urlsplit

import trio

from cometfs.errors import CometFSError

log = logging.getLogger(__name__)

HOLDS = 3600.0
"""Seconds for which a host that cannot be reached, or that forbids, is not tried again: a VPN may come up."""

PASSES = 300.0
"""The same for one that is in trouble: what answers for it may be a proxy that does not reach it."""


class StorageHosts:
    """Where the last redirect led, and the hosts that could not be used.

    Where a redirect leads is known only from Comet's answer to a call. So the next one is taken to lead where the last
    one did: a host that cannot be used costs no call for each file.
    """

    def __init__(self) -> None:
        self._last = ""
        self._shunned: dict[str, float] = {}
        """Until when (on trio's clock), by host and port."""

    @property
    def usable(self) -> bool:
        """Whether Comet may redirect."""
        return not self._is_shunned(self._last)

    def redirected(self, url: str) -> bool:
        """Takes note of where a redirect leads. Returns whether that may be tried."""
        self._last = urlsplit(url).netloc
        return self.usable

    def shun(self, url: str, error: CometFSError, seconds: float) -> None:
        """Takes note that Comet itself sent what the storage at `url` did not give."""
        host = urlsplit(url).netloc
        if not self._is_shunned(host):
            log.warning("Comet sends files itself, as their storage cannot be used from here (%s)", error)
        self._shunned[host] = trio.current_time() + seconds

    def _is_shunned(self, host: str) -> bool:
        return trio.current_time() < self._shunned.get(host, 0.0)
