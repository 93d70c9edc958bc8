"""Comets that differ from the embedded one as a real one may: each difference is a switch with a name.

A switch is a function of the faults that `faulty_comet` declares. By hand, before a Comet that runs already:

    python -m tests.support.comet_switches http://127.0.0.1:5000 get-all-fails

Not here: what the mount makes of a difference (tests of the mount), faults that no Comet is expected to have.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.faulty_comet import Answer, Faults, faulty_comet
from tests.support.processes import Comet

Switch = Callable[[Faults], None]


def _answering(part: str, answer: Answer) -> Switch:
    """Every request whose target has `part` gets that answer."""

    def switch(faults: Faults) -> None:
        faults.answers[part] = answer

    return switch


SWITCHES: dict[str, Switch] = {
    "get-all-fails": _answering("experiment/metrics/get-all", Answer(504)),
}


@contextmanager
def switched_comet(comet: Comet, *names: str) -> Iterator[tuple[Comet, Faults]]:
    """The same Comet at another address, different in the ways that are named, until the block ends."""
    with faulty_comet(comet) as (before, faults):
        for name in names:
            SWITCHES[name](faults)
        yield before, faults


def _main(url: str, *names: str) -> None:
    nothing = subprocess.Popen(["true"], text=True)
    with nothing, switched_comet(Comet(url, nothing, Path(), Path()), *names) as (before, _):
        print(before.url, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    _main(*sys.argv[1:])
