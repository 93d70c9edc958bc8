"""The line that `systemctl status` shows of a mount: calls left, and whether Comet answers.

Not here: the protocol (daemon.py), and what `cometfs status` prints (report.py).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import trio

from cometfs.errors import CometFSError
from cometfs.process.daemon import manager_address, notify_systemd
from cometfs.text.printable import printable

INTERVAL = 10.0
"""Seconds after which the line is renewed, where it has changed."""


async def keep(status: Callable[[], Awaitable[Mapping[str, Any]]]) -> None:
    """Renews the line until it is cancelled; does nothing where no service manager listens."""
    shown = ""
    while manager_address():
        try:
            found = line(await status())
        except CometFSError as error:  # nothing that ends a mount
            found = printable(str(error))
        if found != shown:
            notify_systemd(f"STATUS={found}", may_be_lost=True)
            shown = found
        await trio.sleep(INTERVAL)


def line(status: Mapping[str, Any]) -> str:
    """From what `.cometfs/status.json` shows."""
    network, calls = status["network"], status["calls"]
    parts = [_state(network["state"], network["error"])]
    if calls is not None:
        parts.append(f"{calls['left']:,} calls left of {calls['rate']:,.0f} an hour")
        if calls["shut_for_s"]:
            parts.append(f"Comet wants none for {calls['shut_for_s']:,} s")
    return printable(f"{status['server']}: {'; '.join(parts)}")


def _state(state: str, error: str | None) -> str:
    if state == "online":
        return "online"
    return "not asked (--offline)" if state == "offline" else f"Comet is away ({error})"
