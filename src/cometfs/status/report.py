"""What `cometfs status` and `cometfs list` print, from what mounts say of themselves. Pure functions of values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich import filesize

from cometfs.status.overview import Seen
from cometfs.text.times import spoken

SHOWN = 8
"""Endpoints and programs that are named; the rest is added up."""

LAST = 5
"""Errors that are shown."""

NAMED = 3
"""Workspaces that are named in a list of mounts."""


def status_lines(mountpoint: str, status: Mapping[str, Any]) -> Iterator[str]:
    """A few lines for a terminal."""
    calls, cache = status["calls"], status["cache"]
    yield f"{mountpoint}: {status['server']}, cometfs {status['version']}"
    if "pid" in status:  # one of an older version does not say
        yield f"  process  pid {status['pid']}, since {_moment(status['since'])}, {_memory(status['gauges'])} of memory"
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
    yield from _reads(status.get("reads", {}))
    yield from _fetching(status.get("fetching", []))
    yield from _errors(status.get("errors", []))


def _network(network: Mapping[str, Any]) -> str:
    """The state of the network, since when, and how old what is shown may be."""
    if network["state"] == "online":
        return "online"
    state = "not asked (--offline)" if network["state"] == "offline" else f"Comet is away: {network['error']}"
    oldest = network["oldest_s"]
    shown = "" if oldest is None else f"; what is shown is up to {spoken(oldest)} old"
    return f"{state}, since {_moment(network['since'])} ({spoken(network['for_s'])}){shown}"


def _moment(since: float) -> str:
    return datetime.fromtimestamp(since).strftime("%Y-%m-%d %H:%M")  # for a person here


def _memory(gauges: Mapping[str, int]) -> str:
    return f"{gauges['resident_bytes'] / 1e6:,.0f} MB"


def _reads(reads: Mapping[str, int]) -> Iterator[str]:
    total = sum(reads.values())
    if total:
        parts = (f"{reads[where] / total:.0%} from {word}" for where, word in READS.items())
        yield f"  reads  {total:,}: {', '.join(parts)}"


READS = {"memory": "memory", "disk": "disk", "asked": "Comet"}
"""Where answers and bodies came from that programs wanted, as the status and as a sentence call it."""


def _fetching(requests: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for number, one in enumerate(requests[:SHOWN]):
        came = f", {one['bytes'] / 1e6:,.1f} MB so far" if one["bytes"] else ""
        yield f"  {'' if number else 'fetching':<12}{one['what']}: for {one['for_s']:g} s{came}"


def _errors(lines: Sequence[str]) -> Iterator[str]:
    for number, line in enumerate(lines[-LAST:]):
        when, errno, pid, program, path, sentence = line.split("\t")
        by = "" if pid == "0" else f"{program} ({pid}) "
        yield f"  {'' if number else 'last errors':<12}{when} {errno} {by}{path}: {sentence}"


def cost_lines(paths: Mapping[str, Mapping[str, Any]], cost: Mapping[str, Any]) -> Iterator[str]:
    """What `cometfs cost` prints. `paths`: what each adds."""
    if len(paths) > 1:
        for path, added in paths.items():
            yield f"  {path}: {_sums(added)}"
        yield f"together: {_sums(cost)}"
    else:
        yield f"{next(iter(paths))}: {_sums(cost)}"
    yield from _duration_lines(cost)
    yield from _sureness_lines(cost)
    if cost["spent"]:
        yield f"  {cost['spent']:,} calls were made to find out; what they brought is cached"


def _sums(cost: Mapping[str, Any]) -> str:
    at_hand = f", {cost['at_hand']:,} of them at hand" if cost["at_hand"] else ""
    return f"{cost['calls']:,} calls, {filesize.decimal(cost['bytes'])}, {cost['files']:,} files{at_hand}"


def _duration_lines(cost: Mapping[str, Any]) -> Iterator[str]:
    seconds = spoken(max(1.0, cost["seconds"]))
    if cost["rate"]:
        yield f"  about {seconds}, with {filesize.decimal(int(cost['rate']))} a second, as measured"
    elif cost["calls"]:
        yield f"  about {seconds} for the calls; how fast bytes come is not known yet"
    if cost["paused"]:
        yield f"  {spoken(cost['paused'])} of that wait for the budget of calls (cometfs help costs)"


def _sureness_lines(cost: Mapping[str, Any]) -> Iterator[str]:
    """How sure it is."""
    (few, many), (little, much) = cost["calls_range"], cost["bytes_range"]
    if (much > LITTLE and much - little > SURE * much) or many - few > SURE * many + 2:
        size = f"{filesize.decimal(little)} to {filesize.decimal(much)}"
        yield f"  in all likelihood {few:,} to {many:,} calls, {size}"
    for known, total in dict.fromkeys(map(tuple, cost["looked_into"].values())):
        yield f"  an estimate, made from {known:,} of {total:,} listings of the same kind (--calls N reads more)"
    for label in cost["unknown"]:
        yield f"  not counted: {label}, of which no listing is at hand (--calls N lets more calls be made)"


SURE = 0.1
"""A part that an estimate may be off without a word about it."""


LITTLE = 1_000_000
"""Bytes up to which it does not matter how many they are."""


def mount_rows(found: Iterable[Seen]) -> list[tuple[str, ...]]:
    """What `cometfs list` prints, below `MOUNT_COLUMNS`."""
    return [_mount_row(seen) for seen in found]


MOUNT_COLUMNS = ("MOUNTPOINT", "STATE", "SERVER", "WORKSPACES", "SINCE", "PID")


def _mount_row(seen: Seen) -> tuple[str, ...]:
    says = seen.says or {}
    state = seen.state if seen.state != "mounted" else str(says["network"]["state"])
    workspaces = ", ".join(says.get("workspaces", [])[:NAMED])
    since = _moment(says["since"]) if "since" in says else ""
    return (str(seen.mountpoint), state, seen.server, workspaces or "-", since or "-", str(says.get("pid", "-")))


def mount_object(seen: Seen) -> dict[str, Any]:
    """The same for JSON."""
    says = seen.says or {}
    known = {name: says.get(name) for name in ("version", "workspaces", "since", "pid", "network")}
    return {"mountpoint": str(seen.mountpoint), "state": seen.state, "server": seen.server, **known}


def _table(title: str, counts: Mapping[str, int]) -> Iterator[str]:
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    rest = sum(calls for _, calls in ordered[SHOWN:])
    for number, (name, calls) in enumerate([*ordered[:SHOWN], *([("others", rest)] if rest else [])]):
        yield f"  {title if not number else '':<12}{calls:>8,}  {name}"
