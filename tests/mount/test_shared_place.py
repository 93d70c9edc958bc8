"""Processes as on a cluster, each with a cache of its own, read one account and share what they ask."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.differing_runs import write_differing_runs
from tests.support.processes import Comet, running_comet, running_mount
from tests.support.redis_server import Redis, running

PROCESSES = 8

READER = """
import hashlib, json, sys
import fsspec
url, cache, shared = sys.argv[1:]
fs = fsspec.filesystem("comet", server=url, cache_dir=cache, shared=shared or None)
digest = hashlib.sha256()
for pattern in ("ws/p/*/params.json", "ws/p/summary/experiments.csv", "ws/p/*/metrics/loss.csv"):
    for path in sorted(fs.glob(pattern)):
        digest.update(path.encode() + fs.cat(path))
print(digest.hexdigest())
"""


@pytest.fixture(scope="module")
def comet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Comet]:
    folder = tmp_path_factory.mktemp("comet")
    write_differing_runs(folder / "archives")
    with running_comet(folder, "--replicate", "4", archives=folder / "archives") as found:
        yield found


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    with running(tmp_path) as server:
        yield server


def readers(comet: Comet, folder: Path, shared: str, count: int) -> list[str]:
    """What so many processes print that read all of it at the same time."""
    commands = [
        [sys.executable, "-c", READER, comet.url, str(folder / f"cache-{number}"), shared] for number in range(count)
    ]
    folder.mkdir()
    environ = {"COMET_API_KEY": "test-key", "HOME": str(folder), "PATH": "/usr/bin:/bin"}
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, env=environ, text=True) for command in commands]
    return [process.communicate(timeout=300)[0] for process in started]


def test_many_processes_share_what_is_asked(comet: Comet, redis: Redis, tmp_path: Path) -> None:
    """The process that comes first asks. What is not shared is what each verifies by itself, of a batch and a chart."""
    with comet.asked() as asked:
        alone = readers(comet, tmp_path / "alone", "", 1)
    one = len(asked)
    with comet.asked() as asked:
        together = readers(comet, tmp_path / "together", redis.url, PROCESSES)
    assert together == alone * PROCESSES
    assert len(alone[0]) == 2 * hashlib.sha256().digest_size + 1
    assert len(asked) <= PROCESSES / 2 * one, (one, asked)
    assert {name: asked.count(name) for name in ("workspaces", "projects")} == {"workspaces": 1, "projects": 1}


def test_a_mount_counts_in_the_shared_bucket(comet: Comet, redis: Redis, tmp_path: Path) -> None:
    """Its status tells of it, without the password."""
    redis.ask("CONFIG", "SET", "requirepass", "sesame")
    address = redis.url.replace("redis://", "redis://:sesame@")
    with running_mount(tmp_path, comet, COMETFS_SHARED=address) as mounted:
        assert list((mounted / "ws/p").glob("*/params.json"))
        status = (mounted / ".cometfs/status.json").read_text()
    assert json.loads(status)["shared"]["members"] == 1
    assert "sesame" not in status
