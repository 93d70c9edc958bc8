"""What `cometfs status` prints, from a mount's `.cometfs/status.json`. A pure function of values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from cometfs.times import spoken

SHOWN = 8
"""Endpoints and programs that are named; the rest is added up."""


def status_lines(mountpoint: str, status: Mapping[str, Any]) -> Iterator[str]:
    """A few lines for a terminal."""
    calls, cache = status["calls"], status["cache"]
    yield f"{mountpoint}: {status['server']}, cometfs {status['version']}"
    yield f"  network  {_network(status['network'])}"
    yield (
        f"  calls  {calls['used']:,} in the last hour, {calls['left']:,} left of {calls['rate']:,.0f}; "
        f"all again in {calls['full_in_s']:,} s"
    )
    if calls["shut_for_s"]:
        yield f"         the server wants no calls for {calls['shut_for_s']:,} s"
    yield from _table("by command", calls["by_command"])
    yield from _table("by endpoint", calls["by_endpoint"])
    yield (
        f"  cache  {cache['bytes'] / 1e6:,.1f} MB: {cache['answers']:,} answers "
        f"({cache['answer_bytes'] / 1e6:,.1f} MB), {cache['bodies']:,} bodies ({cache['body_bytes'] / 1e6:,.1f} MB)"
    )


def _network(network: Mapping[str, Any]) -> str:
    """The state of the network, since when, and how old what is shown may be."""
    if network["state"] == "online":
        return "online"
    state = "not asked (--offline)" if network["state"] == "offline" else f"Comet is away: {network['error']}"
    oldest = network["oldest_s"]
    shown = "" if oldest is None else f"; what is shown is up to {spoken(oldest)} old"
    since = datetime.fromtimestamp(network["since"]).strftime("%Y-%m-%d %H:%M")  # for a person here
    return f"{state}, since {since} ({spoken(network['for_s'])}){shown}"


def _table(title: str, counts: Mapping[str, int]) -> Iterator[str]:
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    rest = sum(calls for _, calls in ordered[SHOWN:])
    for number, (name, calls) in enumerate([*ordered[:SHOWN], *([("others", rest)] if rest else [])]):
        yield f"  {title if not number else '':<12}{calls:>8,}  {name}"
