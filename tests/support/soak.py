"""What `scripts/soak` runs."""

from __future__ import annotations

import argparse
import random
import signal
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.support import load
from tests.support.stateful_model import Op, play
from tests.support.stateful_operations import runs

LONG = 60
"""Operations of a run at most."""

AT_ONCE = 20
"""Runs that hypothesis draws together."""

EVERY = 10.0
"""Seconds between two lines about how far it is."""


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/soak", description="Random operations and faults against a model, or many programs at once."
    )
    parser.add_argument("--minutes", type=float, help="how long (10; with --load 5)")
    parser.add_argument("--load", action="store_true", help="64 programs at a mount of 10,000 experiments")
    parser.add_argument("--print", action="store_true", help="print the table of --load only, do not write it")
    asked = parser.parse_args(arguments)
    if not asked.load:
        return soak(asked.minutes or 10.0)
    wrong = load.run(asked.minutes or 5.0, write=not asked.print)
    for line in wrong[:20]:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


class Over(BaseException):
    """The time is over, or enough was seen. No Exception: hypothesis would take it for what it looks for."""


@dataclass
class Soak:
    """Runs of the model, other ones each time, until the time is over or a signal asks for the result."""

    minutes: float
    operations: int = 0
    done: int = 0
    """Runs."""
    failing: list[Op] = field(default_factory=list)
    """The shortest run that failed."""
    error: Exception | None = None
    stopped: bool = False
    _began: float = field(default_factory=lambda: monotonic())
    _shown: float = field(default_factory=lambda: monotonic())
    _longest: float = 0.0
    """Seconds of a run."""

    def play(self, operations: list[Op]) -> None:
        """One run. Raises what is not allowed, and Over where there is no time for it."""
        began = monotonic()
        if self.stopped or self.seconds + self._longest > self.minutes * 60:
            raise Over
        try:
            with tempfile.TemporaryDirectory(prefix="cometfs-soak-") as folder:
                play(Path(folder), operations)
        except Exception as error:
            self._fails(operations, error)
            raise
        self.done += 1
        self.operations += len(operations)
        self._longest = max(self._longest, monotonic() - began)
        if monotonic() >= self._shown + EVERY:
            self.show(f"{self.seconds:.0f} s of {self.minutes * 60:.0f}: {self._counted()}")

    def _fails(self, operations: list[Op], error: Exception) -> None:
        if self.error is None:
            self.show(f"after {self._counted()} this one fails, and shorter ones are looked for: {operations}")
        if self.error is None or len(operations) < len(self.failing):
            self.failing, self.error = operations, error

    @property
    def seconds(self) -> float:
        return monotonic() - self._began

    def _counted(self) -> str:
        return f"{self.done:,} runs of {self.operations:,} operations"

    def show(self, line: str) -> None:
        self._shown = monotonic()
        print(line, flush=True)

    def result(self) -> str:
        what = f"{self._counted()} in {self.seconds:.0f} s"
        if self.error is None:
            return f"{what}: all that was read is allowed"
        return f"{''.join(traceback.format_exception(self.error))}{what}, and one that fails: {self.failing}"


def soak(minutes: float) -> int:
    """Prints how far it is, and the result by the end of that time; also after Ctrl-C. Returns the exit status."""
    one = Soak(minutes)
    with _ended_by_signals(one):
        try:
            while one.error is None:
                _some_runs(random.randrange(1 << 32), one)
        except Over:
            pass
        except Exception:
            if one.error is None:  # of hypothesis itself
                raise
    print(one.result(), flush=True)
    return 0 if one.error is None else 1


@contextmanager
def _ended_by_signals(one: Soak) -> Iterator[None]:
    """The first one lets the run that is under way end, a second one ends all."""

    def stop(number: int, _frame: object) -> None:
        one.stopped = True
        one.show("it ends with this run; a second Ctrl-C ends it at once")
        signal.signal(number, signal.default_int_handler)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _some_runs(number: int, one: Soak) -> None:
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
        one.play(operations)

    all_is_allowed()
