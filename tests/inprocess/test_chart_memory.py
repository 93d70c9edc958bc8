"""What a chart of long runs takes of memory, in a process of its own: the peak of this one is that of all its tests.

1,000 runs of 15,000 points (by hand): refused after 13 calls, 167 MiB at most; `views/best` 246 MiB, 24 calls more.
300 such runs: a table of 100 MB, 354 MiB at most, of which 100 are the reader's own copy.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

RUNS, POINTS = 80, 15_000
MOST = 140
"""MiB beside what the process has anyway. The points alone would take 200 as Python's numbers in lists."""


def test_a_chart_of_long_runs_takes_a_bounded_part_of_memory(tmp_path: Path) -> None:
    """Its table is whole; another reader is served while it is made."""
    command = [sys.executable, "-m", "tests.support.chart_memory", str(RUNS), str(POINTS), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=500)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["bytes"] > RUNS * POINTS * 10
    assert said["after"] - said["before"] < MOST
    assert said["best"] == "../../../run 0000"
    assert said["calls_best"] == said["calls"]
    assert said["reads"] > 0
