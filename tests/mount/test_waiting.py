"""A mount waits for requests in two ways: ours where pyfuse3 is known, pyfuse3's own elsewhere. Both answer."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.faulty_comet import faulty_comet
from tests.support.processes import COMETFS, PATIENCE, Comet, Mounted, running_mount

FOREST = "tabular/wine-cultivars/forest-200"

UNKNOWN = (
    sys.executable,
    "-c",
    "import pyfuse3, runpy, sys; pyfuse3.__version__ = 'unknown'; "
    f"sys.argv[1:] = sys.argv[{1 + len(COMETFS)}:]; runpy.run_module('cometfs', run_name='__main__')",
)
"""Runs the command after it with a pyfuse3 that nobody has seen yet."""


@contextmanager
def hammering(path: Path, processes: int = 3) -> Iterator[None]:
    """Processes that open and close a file without a pause, each close a request too."""
    script = "import os, sys\nprint(flush=True)\nwhile True: os.close(os.open(sys.argv[1], os.O_RDONLY))"
    command = [sys.executable, "-c", script, str(path)]
    busy = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(processes)]
    try:
        for process in busy:
            assert process.stdout is not None
            assert process.stdout.readline() == b"\n"
        yield
        assert all(process.poll() is None for process in busy)
    finally:
        for process in busy:
            process.kill()
            process.communicate(timeout=PATIENCE)


def check(mounted: Mounted) -> None:
    """Reads a tree at once by several programs."""
    paths = [path for path in (mounted / FOREST).rglob("*") if path.is_file()]
    readers = [subprocess.Popen(["md5sum", *map(str, paths)], stdout=subprocess.PIPE) for _ in range(4)]
    said = {reader.communicate(timeout=PATIENCE)[0] for reader in readers}
    assert [reader.returncode for reader in readers] == [0] * 4
    assert len(said) == 1
    assert mounted.stop() == 0


@pytest.mark.parametrize("before", [(), UNKNOWN], ids=["known", "unknown"])
def test_a_mount_answers_whichever_way_it_waits(before: tuple[str, ...], tmp_path: Path, comet: Comet) -> None:
    """A pyfuse3 whose inside nobody knows is left alone, without a word but in the log of whoever debugs."""
    with running_mount(tmp_path, comet, "--log-level", "debug", before=before) as mounted:
        assert ("waits for requests in its own way" in mounted.log.read_text()) == bool(before)
        check(mounted)


def test_deadlines_pass_while_others_keep_the_mount_busy(tmp_path: Path, comet: Comet) -> None:
    """A stalled server is given up in time, and a reader that is told to end does, though requests never pause."""
    with (
        faulty_comet(comet) as (behind, faults),
        running_mount(tmp_path, behind, "--deadline", "4") as mounted,
    ):
        (mounted / f"{FOREST}/params.json").read_bytes()
        faults.stall("experiment/output")
        with hammering(mounted / f"{FOREST}/params.json"):
            ended = subprocess.run(
                ["cat", str(mounted / f"{FOREST}/output.txt")], capture_output=True, timeout=PATIENCE, check=False
            )
            assert b"timed out" in ended.stderr
        faults.release()
        assert "no answer within 4 s" in mounted.log.read_text()
