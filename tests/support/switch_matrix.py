"""What the mount makes of Comets that differ: switches x commands, each cold, as a table of Markdown.

    python -m tests.support.switch_matrix [SWITCH ...]

A cell says whether the bytes are those of a Comet that does not differ, else the error, and how many calls it took;
"-" stands for a command that never asks what is switched.
Not here: the switches (comet_switches.py).
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

from tests.support.comet_switches import CHART, GET_ALL, QUERY, SEARCH, SWITCHES, switched_comet
from tests.support.differing_runs import PROJECT, write_differing_runs
from tests.support.processes import Comet, Mounted, running_comet, running_mount

COMMANDS: dict[str, str] = {
    "ls": "ls",
    "cat params.json": "cat run-*/params.json",
    "cat metrics/*": "cat run-10/metrics/*.csv",
    "cat */metrics/loss.csv": "cat run-*/metrics/loss.csv",
    "cp -r": 'cp -r run-11 "$OUT" && cd "$OUT" && find . -type f ! -name url.txt | LC_ALL=C sort | xargs -d "\\n" cat',
    "experiments.csv": "cat summary/experiments.csv",
    "charts/x.csv": "cat charts/loss.csv",
    "views/best": "readlink views/best/loss/min views/best/loss/max",
    "views/by-tag": "ls views/by-tag/odd",
}

SUBJECTS = {
    "charts": CHART,
    "experiments": "/experiments?",
    "get-all": GET_ALL,
    "query": QUERY,
    "search": SEARCH,
}
"""What switches that begin so are about: a part of the targets that they answer otherwise."""

ABREAST = 5
"""Mounts at a time."""

LIMIT = 60
"""Seconds after which a command counts as one that does not end."""


def run(mounted: Mounted, command: str, out: Path) -> tuple[str, str]:
    """A hash of what it prints, and its complaint if any."""
    script = f'cd "$PLACE" && {command}'
    environ = os.environ | {"PLACE": str(mounted / PROJECT), "OUT": str(out)}
    try:
        done = subprocess.run(["sh", "-c", script], env=environ, capture_output=True, timeout=LIMIT, check=False)
    except subprocess.TimeoutExpired:
        return "", "does not end"
    complaint = done.stderr.decode().strip().rpartition(": ")[2]
    return hashlib.sha256(done.stdout).hexdigest(), "" if done.returncode == 0 else complaint or "fails"


class Cell(NamedTuple):
    """What a command came to."""

    complaint: str
    found: str
    asked: Sequence[str]

    def against(self, plain: Cell) -> str:
        words = self.complaint or ("ok" if self.found == plain.found else "OTHER BYTES")
        return f"{words} ({len(self.asked)})"


def cell(comet: Comet, names: Sequence[str], command: str) -> Cell:
    """What a command comes to before a Comet with those switches."""
    with (
        tempfile.TemporaryDirectory() as folder,
        switched_comet(comet, *names) as (before, faults),
        running_mount(Path(folder), before, "--deadline", "30") as mounted,
    ):
        found, complaint = run(mounted, command, Path(folder) / "out")
        asked = list(faults.arrivals)
        faults.release()
    return Cell(complaint, found, asked)


def rows(comet: Comet, switches: Sequence[str], show: Callable[[str], object]) -> None:
    show("| switch | " + " | ".join(COMMANDS) + " |")
    show("|---" * (len(COMMANDS) + 1) + "|")
    with ThreadPoolExecutor(ABREAST) as abreast:
        plain = list(abreast.map(partial(cell, comet, ()), COMMANDS.values()))
        show("| (none) | " + " | ".join(one.against(one) for one in plain) + " |")
        for switch in switches:

            def text(command: str, expected: Cell, switch: str = switch) -> str:
                word = next(part for subject, part in SUBJECTS.items() if switch.startswith(subject))
                if not any(word in target for target in expected.asked):
                    return "-"
                return cell(comet, switch.split("+"), command).against(expected)

            show(f"| {switch} | " + " | ".join(abreast.map(text, COMMANDS.values(), plain)) + " |")


def main(*switches: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write_differing_runs(Path(folder) / "runs")
        with running_comet(Path(folder), archives=Path(folder) / "runs") as comet:
            rows(comet, switches or sorted(SWITCHES), lambda line: print(line, flush=True))


if __name__ == "__main__":
    main(*sys.argv[1:])
