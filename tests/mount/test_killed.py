"""A mount that is killed under its readers, or has less than it needs: the next one cleans up and goes on.

Not here: disks that are full or only read (test_big_assets.py, test_cache_commands.py), few descriptors
(test_crowds.py), kills at any moment (test_cache.py, test_torture.py).
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import COMETFS, PATIENCE, Comet, running_comet, running_mount
from tests.support.subprocesses import await_that

PROJECT = "tabular/wine-cultivars"
FOREST = f"{PROJECT}/forest-200"
FILES = ("params.json", "metadata.json", "output.txt", "code.py", "assets/folds.zip")

READERS = 32


@pytest.fixture
def comet(tmp_path: Path) -> Iterator[Comet]:
    with running_comet(tmp_path) as found:
        yield found


def contents(mountpoint: Path) -> dict[str, bytes]:
    return {name: (mountpoint / FOREST / name).read_bytes() for name in FILES}


def test_a_mount_that_is_killed_under_32_readers_is_mounted_again(tmp_path: Path, comet: Comet) -> None:
    """All readers end, with an error; the same command mounts at the same place, once, and what was read is right."""
    with running_mount(tmp_path, comet) as mounted:
        before = contents(mounted.path)
    with running_mount(tmp_path, comet) as mounted:
        begun = len(comet.requests())
        loop = f"while ls '{mounted.path}'; do cat '{mounted.path}'/{PROJECT}/*/*.*; done >/dev/null 2>&1"
        readers = [subprocess.Popen(["sh", "-c", loop]) for _ in range(READERS)]
        try:
            await_that(lambda: len(comet.requests()) > begun + 20, "nothing is read")
            mounted.process.kill()
            mounted.process.wait()
            # As the daemon's death leaves it: nothing has unmounted it.
            with pytest.raises(OSError, match=r"not connected"):
                os.listdir(mounted.path)  # noqa: PTH208
            for reader in readers:
                reader.wait(PATIENCE)
        finally:
            for reader in readers:
                reader.kill()
                reader.wait()
        with running_mount(tmp_path, comet) as again:
            assert Path("/proc/self/mountinfo").read_text().count(f" {again.path} ") == 1
            assert contents(again.path) == before
            assert again.stop() == 0
    command = [*COMETFS, "cache", "verify", "--cache-dir", str(tmp_path / "cache" / "cometfs")]
    verified = subprocess.run(command, check=False, capture_output=True, text=True)
    assert verified.returncode == 0, verified


def test_a_limit_of_memory_costs_what_is_too_large(tmp_path: Path, comet: Comet) -> None:
    """Address space for little more than a start: what is read is right or an error, and the next mount goes on."""
    limits = "resource.setrlimit(resource.RLIMIT_AS, (800 << 20, 800 << 20))"
    limited = (COMETFS[0], "-c", f"import resource, os, sys; {limits}; os.execv(sys.argv[1], sys.argv[1:])")
    with running_mount(tmp_path, comet, before=limited) as mounted:
        before = contents(mounted.path)
        commands = [["grep", "-r", "-c", "-a", "e", str(mounted / PROJECT)] for _ in range(8)]
        readers = [
            subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for command in commands
        ]
        for reader in readers:
            reader.wait(PATIENCE)
        assert json.loads((mounted / ".cometfs/status.json").read_bytes())["gauges"]["open_files"] == 0
        assert contents(mounted.path) == before
    with running_mount(tmp_path, comet) as mounted:
        assert contents(mounted.path) == before
