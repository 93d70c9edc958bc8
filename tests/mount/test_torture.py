"""Processes that share a cache and die at any instant: nothing is ever wrong, and nothing is left over."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from cometfs.cache.persistent.inspection import verify
from tests.support.cache_hammer import KEYS

ROOT = Path(__file__).parents[2]

PROCESSES = 3
DEATHS = 24


def hammer(stack: ExitStack, folder: Path, budget: int, rounds: int = 1_000_000) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.support.cache_hammer", str(folder), str(budget), str(rounds)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    stack.enter_context(process)
    stack.callback(process.kill)
    return process


def test_processes_that_are_killed_leave_nothing_wrong(tmp_path: Path) -> None:
    """Three at a time, with different budgets, killed after a few rounds, 24 times."""
    chance = random.Random(4711)
    with ExitStack() as stack:
        running = [hammer(stack, tmp_path, 6_000_000 * (number + 1)) for number in range(PROCESSES)]
        for death in range(DEATHS):
            victim = running.pop(0)
            assert victim.stdout is not None
            assert victim.stderr is not None
            for _ in range(chance.randrange(1, 40)):
                assert victim.stdout.readline(), victim.stderr.read()
            victim.kill()
            said = victim.communicate()[1]
            assert victim.returncode == -signal.SIGKILL, said
            assert "damaged" not in said
            running.append(hammer(stack, tmp_path, 6_000_000 * (death % PROCESSES + 1)))
    found = verify(tmp_path)
    assert not found.damaged
    assert found.lost == found.strays == 0
    assert found.answers
    assert found.bodies
    with ExitStack() as stack:
        last = hammer(stack, tmp_path, 1 << 30, rounds=3 * KEYS)
        assert last.communicate()[1] == ""
        assert last.returncode == 0
