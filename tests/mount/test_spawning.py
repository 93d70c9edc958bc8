"""Processes inside a mount: a user's program may spawn them as it likes, the suite's own process may not."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.faulty_comet import faulty_comet
from tests.support.processes import PATIENCE, Comet, Mounted
from tests.support.spawning import inside

FOREST = "tabular/wine-cultivars/forest-200"

USERS = "import subprocess, sys; subprocess.run(['cat', 'params.json'], cwd=sys.argv[1], check=True)"


def test_a_program_may_spawn_in_a_directory_that_nobody_has_looked_at(cold: Mounted) -> None:
    """Neither the daemon nor Comet is in it, so that both answer while all its threads stand still."""
    command = [sys.executable, "-c", USERS, str(cold / FOREST)]
    done = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=True)
    assert done.stdout == (cold / FOREST / "params.json").read_bytes()


def test_this_process_spawns_nothing_in_a_mount(warm: Mounted) -> None:
    """It waits until the child has entered, and before 3.11.6 none of its threads answers meanwhile."""
    with pytest.raises(AssertionError, match="use `inside`"):
        subprocess.run(["true"], cwd=warm / FOREST)
    with pytest.raises(AssertionError, match="start it by `env`"):
        subprocess.run([warm / FOREST / "code.py"])
    with pytest.raises(AssertionError, match="start it by `env`"):
        os.posix_spawn(warm / FOREST / "code.py", ["code.py"], {})
    there = subprocess.run(inside(warm / FOREST, "pwd", "-P"), capture_output=True, text=True, check=True)
    assert there.stdout == f"{warm / FOREST}\n"


def test_this_process_maps_nothing_that_it_may_have_to_answer_for(warm: Mounted, comet: Comet) -> None:
    """A page that is not there is waited for with the interpreter's lock held, on every version."""

    def mapped(path: Path) -> bytes:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as view:
            return view[:]

    assert mapped(warm / FOREST / "params.json") == (warm / FOREST / "params.json").read_bytes()
    with faulty_comet(comet), pytest.raises(AssertionError, match="this very process"):
        mapped(warm / FOREST / "params.json")
