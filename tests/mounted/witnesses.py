"""Who reads at random, in every way that programs have, in a thread of his own, until somebody saw what was never true.

Not here: the ways to look (glances.py, holding.py).
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from pathlib import Path

from tests.mounted import glances, holding
from tests.mounted.account import Account
from tests.mounted.onlooker import Findings, Onlooker

SIGHTS: dict[Callable[[Onlooker], None], float] = {
    glances.read_whole: 30,
    glances.cat: 6,
    glances.tail_lines: 6,
    glances.stat: 10,
    glances.read_by_key: 6,
    glances.metadata: 6,
    holding.hold: 12,
    holding.map: 4,
    holding.wait_for_growth: 2,
    holding.stand: 6,
    holding.shell: 3,
    glances.list_names: 6,
    glances.list_views: 5,
    glances.list_metrics: 5,
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
