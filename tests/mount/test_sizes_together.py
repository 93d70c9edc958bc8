"""What the sizes of a directory need is asked for together, and no more is asked for than somebody wants."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.faulty_comet import Faults, faulty_comet
from tests.support.processes import PATIENCE, Comet, Mounted, running_mount
from tests.support.spawning import inside

BASELINE = "vision-lab/digits/mlp-baseline"

SIZES = (
    "experiment/code",
    "experiment/graph",
    "experiment/html",
    "experiment/log-other",
    "experiment/metrics/summary",
    "experiment/output",
    "experiment/parameters",
    "experiment/system-details",
    "experiment/tags",
    "get/artifacts",
)
"""What must be asked for the sizes in an experiment's directory, each once."""

LISTED_AND_CLOSED = "import os; [os.stat(name) for name in os.listdir()]"


@pytest.fixture
def slow(tmp_path: Path, comet: Comet) -> Iterator[tuple[Mounted, Faults]]:
    """A mount of a Comet that can be told to keep its answers."""
    with faulty_comet(comet) as (before, faults), running_mount(tmp_path, before) as mounted:
        yield mounted, faults
        assert mounted.log.read_text() == ""


def asked(faults: Faults) -> Counter[str]:
    """What was asked of an experiment, by endpoint."""
    paths = (target.partition("?")[0].removeprefix("/api/rest/v2/") for target in faults.arrivals)
    return Counter(path for path in paths if path.startswith(("experiment/", "get/")))


def run(mounted: Mounted, *command: str) -> str:
    ended = subprocess.run(
        inside(mounted / BASELINE, *command), capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    return ended.stdout


@pytest.mark.parametrize(
    ("command", "alone"),
    [
        (("ls", "-l"), 0),
        (("find", ".", "-maxdepth", "1", "-size", "+0"), 0),
        (("sh", "-c", "stat *"), 1),
        ((sys.executable, "-c", LISTED_AND_CLOSED), 1),
    ],
)
def test_all_sizes_are_asked_for_before_one_of_them_is_answered(
    slow: tuple[Mounted, Faults], command: tuple[str, ...], alone: int
) -> None:
    """All are under way at once while Comet answers none. Where the directory was closed before, one goes ahead."""
    mounted, faults = slow
    with subprocess.Popen(inside(mounted / BASELINE, "cat", "url.txt"), stdout=subprocess.DEVNULL):
        pass  # the levels above
    if alone:
        faults.hold("experiment/metrics/")  # any one would do; the first by name is another
    else:
        for endpoint in SIZES:
            faults.hold(endpoint)
    with subprocess.Popen(inside(mounted / BASELINE, *command), stdout=subprocess.PIPE) as process:
        try:
            for endpoint in SIZES:
                faults.await_arrivals(endpoint)
        finally:
            faults.release()
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert asked(faults) == dict.fromkeys(SIZES, 1)


@pytest.mark.parametrize("command", ["stat code.py", "cat code.py", "wc code.py", "ls -l code.py"])
def test_one_file_costs_the_call_of_that_file(slow: tuple[Mounted, Faults], command: str) -> None:
    """After `ls`, too."""
    mounted, faults = slow
    run(mounted, "ls")
    run(mounted, "sh", "-c", command)
    assert asked(faults) == {"experiment/code": 1}


def test_a_shell_that_completes_a_name_costs_the_call_of_that_file(slow: tuple[Mounted, Faults]) -> None:
    """It lists the directory and looks at the one name that fits, more than once."""
    mounted, faults = slow
    completing = "import os; [os.stat(name) for name in os.listdir() * 2 if name.startswith('cod')]"
    run(mounted, sys.executable, "-c", completing)
    assert asked(faults) == {"experiment/code": 1}
