"""Who reads at random, in every way that programs have, in a thread of his own, until somebody saw what was never true.

Not here: the ways to look (path_reads.py, held_reads.py).
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from pathlib import Path

from tests.support import held_reads, path_reads
from tests.support.account_history import Account
from tests.support.observer import Findings, Onlooker

SIGHTS: dict[Callable[[Onlooker], None], float] = {
    path_reads.read_whole: 30,
    path_reads.cat: 6,
    path_reads.tail_lines: 6,
    path_reads.stat: 10,
    path_reads.read_by_key: 6,
    path_reads.metadata: 6,
    held_reads.hold: 12,
    held_reads.map: 4,
    held_reads.wait_for_growth: 2,
    held_reads.stand: 6,
    held_reads.shell: 3,
    path_reads.list_names: 6,
    path_reads.list_views: 5,
    path_reads.list_metrics: 5,
}
"""Ways to look, and how often."""


def witness(root: Path, account: Account, findings: Findings, seed: int) -> threading.Thread:
    """Looks below `root` until all is over."""
    chance = random.Random(seed)
    return threading.Thread(
        target=_look, args=(Onlooker(root, account, findings, chance), chance), name=f"witness {seed}"
    )


def _look(eye: Onlooker, chance: random.Random) -> None:
    try:
        while not eye.findings.over.is_set():
            (sight,) = chance.choices(list(SIGHTS), list(SIGHTS.values()))
            sight(eye)
    except BaseException as error:
        error.add_note(f"seen in {sight.__name__}, which ended at {time.monotonic():.3f}")
        eye.findings.wrong.append(error)
        eye.findings.over.set()
