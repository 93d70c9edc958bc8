"""The table in Markdown, and what stands above it. Pure."""

from __future__ import annotations

import os
import platform
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from benchmark.figures import Peer, Row, Runs, calls, median

HEAD = (
    "| workload | state | wall: min / median / max s | calls | MB | peak memory MB | peer: wall, calls "
    "| ratio | reach | reached |\n|---|---|---|---|---|---|---|---|---|---|"
)


def machine() -> str:
    """This machine in one line."""
    processor = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return (
        f"{os.cpu_count()} cores ({processor}), {memory:.0f} GiB of memory, Linux {platform.release()}, "
        f"Python {platform.python_version()}"
    )


def table(rows: Iterable[Row]) -> str:
    return "\n".join([HEAD, *map(line, rows)])


def line(row: Row) -> str:
    """One line of the table."""
    peaks = [run.peak for run in row.runs]
    sent = sorted(run.sent for run in row.runs)
    cells = [
        row.workload,
        row.state,
        walls(row.runs),
        _calls(row.runs),
        f"{sent[len(sent) // 2] / 1e6:.1f}",
        f"{max(peaks) / 1e6:.0f}" if any(peaks) else "",
        "<br>".join(map(_peer, row.peers)),
        "<br>".join(_ratio(row.runs, peer) for peer in row.peers),
        row.reach,
        {True: "yes", False: "**no**", None: ""}[row.met],
    ]
    return f"| {' | '.join(cells)} |"


def walls(runs: Runs) -> str:
    found = [run.wall for run in runs]
    return f"{_seconds(min(found))} / {_seconds(median(runs))} / {_seconds(max(found))}"


def asked(runs: Runs) -> str:
    """What the run with the most calls asked for, by endpoint."""
    counted = Counter(max(runs, key=lambda run: run.calls).paths)
    return ", ".join(f"{count} x {path}" for path, count in counted.most_common()) or "no calls"


def _calls(runs: Runs) -> str:
    least = min(run.calls for run in runs)
    return str(least) if least == calls(runs) else f"{least}-{calls(runs)}"


def _seconds(value: float) -> str:
    return (
        f"{value:.4f}"
        if value < 0.01
        else f"{value:.3f}"
        if value < 1
        else f"{value:.2f}"
        if value < 10
        else f"{value:.1f}"
    )


def _peer(peer: Peer) -> str:
    if not peer.runs:
        return f"{peer.name}: {peer.missing}"
    asked = f", {_calls(peer.runs)} calls" if calls(peer.runs) else ""
    return f"{peer.name}: {walls(peer.runs)}{asked}"


def _ratio(runs: Runs, peer: Peer) -> str:
    return "-" if peer.wall is None else f"{median(runs) / peer.wall:.2f}"
