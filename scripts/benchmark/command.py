"""The command: options, the list of workloads, one after the other, and the table at the end."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from benchmark import archives, drawing, exporting, formats, huge, listing, moving, peers, places, reading, small
from benchmark.figures import Row
from benchmark.stage import LATENCY, Stage, open_stage, say
from benchmark.table import asked, machine, table, walls

WORKLOADS: dict[str, Callable[[Stage], list[Row]]] = {
    "ls": listing.ls,
    "ls-l": listing.ls_long,
    "find": listing.find_params,
    "find-code": listing.find_code,
    "start": listing.start,
    "cat": reading.cat_one,
    "grep-warm": places.grep_warm,
    "cat-params": reading.cat_params,
    "grep-metrics": reading.grep_metrics,
    "csv": reading.table,
    "copy": moving.copy,
    "copy-old-server": moving.copy_old_server,
    "export": exporting.export,
    "grep-whole": places.grep_whole,
    "big": moving.big,
    "small-assets": small.copied,
    "huge-end": huge.end,
    "huge-random": huge.scattered,
    "huge-tools": huge.tools,
    "huge-order": huge.order,
    "huge-far": huge.far,
    "huge-meanwhile": huge.meanwhile,
    "huge-formats": formats.tools,
    "svg": drawing.svg,
    "find-memory": listing.find_memory,
    "ls-memory": listing.ls_memory,
}
"""In an order in which those of one server are neighbours."""

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description="Measures cometfs against the embedded Comet, beside the tools that a user would take instead, "
        f"with {LATENCY} ms a call, and prints a table in Markdown.",
    )
    parser.add_argument(
        "--runs", type=int, default=5, metavar="N", help="of each workload, in alternation with its peer (5)"
    )
    parser.add_argument(
        "--only", action="append", choices=WORKLOADS, metavar="NAME", help="just this workload; repeatable"
    )
    parser.add_argument("--list", action="store_true", help="list the workloads")
    parser.add_argument(
        "--work", type=Path, metavar="DIR", help="keep archives and cometx there; else a temporary folder"
    )
    parser.add_argument("--install", action="store_true", help="get peers that are lacking, with apt-get and pip")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> int:
    given = options(arguments)
    if given.list:
        for name, workload in WORKLOADS.items():
            print(f"{name:14} {(workload.__doc__ or '').splitlines()[0]}")
        return 0
    for number in ENDING:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _end)
    begin = time.monotonic()
    rows: list[Row] = []
    try:
        with open_stage(given.work, given.runs) as stage:
            if given.install:
                peers.install(stage.work)
            for kind in archives.KINDS:
                archives.make(stage.work, kind)
            whole = measure(stage, given.only or list(WORKLOADS), rows)
    except KeyboardInterrupt:
        whole = False
        say("bench: ended before its time")
    load = " ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"\n{machine()}; load {load}; {time.strftime('%Y-%m-%d')}, {time.monotonic() - begin:.0f} s.")
    print(f"`{shlex.join(['scripts/bench', *arguments])}`: {LATENCY} ms a call, {given.runs} runs.\n")
    print(table(rows))
    return 0 if whole else 1


def measure(stage: Stage, names: Sequence[str], rows: list[Row]) -> bool:
    """Adds the rows of the workloads, and says whether none failed; the others go on."""
    whole = True
    for name in [name for name in WORKLOADS if name in names]:
        begin = time.monotonic()
        say(f"{name} ...")
        try:
            found = WORKLOADS[name](stage)
            rows += found
            for row in found:
                say(f"    {row.state}: {walls(row.runs)} s; {asked(row.runs)}")
        except Exception:
            say(f"{name} failed:\n{traceback.format_exc()}")
            whole = False
        say(f"{name}: {time.monotonic() - begin:.0f} s")
    return whole


def _end(*_: object) -> NoReturn:
    """Ends the run once: what is mounted and what is running is ended in peace."""
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
