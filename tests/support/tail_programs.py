"""Programs that follow a file from its beginning and as it grows, and what they have printed.

Not here: witnesses that look here and there (path_reads.py, held_reads.py).
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.account_history import Experiment
from tests.support.history import Wrong, explained
from tests.support.observer import OUTPUT

TAIL = ("tail", "-f", "-s", "0.1", "-c", "+1")

EAGER_TAIL = (
    sys.executable,
    "-S",
    "-c",
    """
import os, sys, time
file = os.open(sys.argv[1], os.O_RDONLY)
while True:
    data = os.read(file, 1 << 16)
    os.write(1, data) if data else time.sleep(0.003)
""",
)
"""The same without rest, so that it reads in the very moment in which the file grows. Several at once see most."""


@dataclass
class Tail:
    """A program that prints the output of an experiment, which stays where it is, from its beginning and as it grows.

    It ends with the run: what is logged when that goes on is for who opens the file then.
    """

    path: Path
    one: Experiment
    printed: Path

    def has_all(self) -> bool:
        """Whether all has come that was logged until the run ended first. Raises Wrong where something else has."""
        said, truth = self.printed.read_bytes(), self.one.files[OUTPUT].now
        if truth.part(0, len(said)) != said:
            raise Wrong(f"following {self.path} printed {explained(said, {self.one.key: [truth]})}")
        return len(said) >= (truth.size if self.one.ended_at is None else self.one.ended_at)


@contextmanager
def tail_of(root: Path, one: Experiment, command: Sequence[str]) -> Iterator[Tail]:
    """Follows the output of an experiment until the block ends."""
    path = root / one.place.path / str(one.name) / OUTPUT
    with (
        tempfile.NamedTemporaryFile() as printed,
        subprocess.Popen([*command, str(path)], stdout=printed, env={**os.environ, "LC_ALL": "C"}) as running,
    ):
        try:
            yield Tail(path, one, Path(printed.name))
        finally:
            running.terminate()
