"""What `scripts/soak` runs."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.support import load
from tests.support.stateful_model import Op, play
from tests.support.stateful_operations import runs

LONG = 60
"""Operations of a run at most."""

AT_ONCE = 20
"""Runs between two looks at the clock."""


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/soak", description="Random operations and faults against a model, or many programs at once."
    )
    parser.add_argument("--minutes", type=float, help="how long (10; with --load 5)")
    parser.add_argument("--load", action="store_true", help="64 programs at a mount of 10,000 experiments")
    parser.add_argument("--print", action="store_true", help="print the table of --load only, do not write it")
    asked = parser.parse_args(arguments)
    if not asked.load:
        print(soaked(asked.minutes or 10.0))
        return 0
    wrong = load.run(asked.minutes or 5.0, write=not asked.print)
    for line in wrong[:20]:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


def soaked(minutes: float) -> str:
    """Runs of the model, other ones each time, until the time is over. Raises what hypothesis raises, with the shortest
    run that fails."""
    end = time.monotonic() + minutes * 60
    done: list[int] = []
    while time.monotonic() < end:
        _some_runs(random.randrange(1 << 32), done)
    return f"{len(done):,} runs of {sum(done):,} operations in {minutes:g} minutes: all that was read is allowed"


def _some_runs(number: int, done: list[int]) -> None:
    @seed(number)
    @settings(
        max_examples=AT_ONCE,
        derandomize=False,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
    )
    @given(runs(LONG))
    def all_is_allowed(operations: list[Op]) -> None:
        with tempfile.TemporaryDirectory(prefix="cometfs-soak-") as folder:
            play(Path(folder), operations)
        done.append(len(operations))

    all_is_allowed()
