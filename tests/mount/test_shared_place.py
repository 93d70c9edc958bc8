"""Processes as on a cluster, each with a cache of its own, read one account and share what they ask."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from cometfs.cache.downloads.of_others import LARGEST
from tests.support.big_assets import PLACE, content, write_big_run
from tests.support.differing_runs import write_differing_runs
from tests.support.processes import Comet, running_comet, running_mount
from tests.support.redis_server import Redis, running

PROCESSES = 8

BODY = "experiment/asset/get-asset"

RATE = 30
"""Calls an hour, where they shall not suffice."""

PATTERNS = ["ws/p/*/params.json", "ws/p/summary/experiments.csv", "ws/p/*/metrics/loss.csv", f"{PLACE}/assets/*"]

PROCESSES_OF_ONE = """
import hashlib, os, sys
import fsspec
import cometfs.composition.account, cometfs.fsspec.filesystem, cometfs.shared.opening, cometfs.shared.place as place
place.PATIENCE = 60.0  # a busy machine is not to be taken for a Redis that is away
url, folder, shared, count, patterns = sys.argv[1:]

def read(fs):
    for pattern in patterns.split():
        digest = hashlib.sha256()
        for path in sorted(fs.glob(pattern)):
            digest.update(path.encode() + fs.cat(path))
        print(digest.hexdigest())

def spend(fs):
    try:
        for path in fs.glob("ws/p/*/params.json"):
            fs.cat(path.replace("params.json", "code.py"))
    except OSError as error:
        print(error.strerror)

children = []
for number in range(int(count)):
    children.append(os.fork())
    if not children[-1]:
        sys.stdout = open(f"{folder}/out-{number}", "w", encoding="utf-8")
        options = {"cache_dir": f"{folder}/cache-{number}", "shared": shared or None}
        (read if patterns else spend)(fsspec.filesystem("comet", server=url, **options))
        sys.exit()
sys.exit(any([os.waitpid(child, 0)[1] for child in children]))
"""
"""Forked of one that has loaded all: that is half of what such a process costs."""

ASSETS = {f"small-{number}.bin": content(20_000 + number) for number in range(12)} | {"big.bin": content(LARGEST + 1)}


@pytest.fixture(scope="module")
def comet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Comet]:
    folder = tmp_path_factory.mktemp("comet")
    write_differing_runs(folder / "archives")
    write_big_run(folder / "archives", ASSETS)
    with running_comet(folder, "--replicate", "4", archives=folder / "archives") as found:
        yield found


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    with running(tmp_path) as server:
        yield server


def printed(
    comet: Comet, folder: Path, shared: str, count: int, patterns: Sequence[str], **environ: str
) -> list[list[str]]:
    """What so many processes print, by lines, that read all of it at the same time, or spend what they can."""
    folder.mkdir()
    words = [comet.url, str(folder), shared, str(count), " ".join(patterns)]
    environ |= {"COMET_API_KEY": "test-key", "HOME": str(folder), "PATH": "/usr/bin:/bin"}
    subprocess.run([sys.executable, "-c", PROCESSES_OF_ONE, *words], env=environ, check=True, timeout=300)
    return [(folder / f"out-{number}").read_text("utf-8").splitlines() for number in range(count)]


def test_many_processes_share_what_is_asked(comet: Comet, redis: Redis, tmp_path: Path) -> None:
    """The process that comes first asks, and fetches all of a run's small assets; the big one comes to each of them.
    What is not shared else is what a call about many leaves out, and how each verifies that."""
    with comet.asked() as asked:
        alone = printed(comet, tmp_path / "alone", "", 1, PATTERNS)
    one = len(asked) - asked.count(BODY)
    with comet.asked() as asked:
        together = printed(comet, tmp_path / "together", redis.url, PROCESSES, PATTERNS)
    assert together == alone * PROCESSES
    assert len(alone[0]) == len(PATTERNS)
    assert alone[0][-1] == _digest({f"{PLACE}/assets/{name}": body for name, body in ASSETS.items()})
    assert asked.count(BODY) == len(ASSETS) - 1 + PROCESSES
    assert len(asked) - asked.count(BODY) <= one + 4 * PROCESSES, (one, asked)
    assert {name: asked.count(name) for name in ("workspaces", "projects")} == {"workspaces": 1, "projects": 1}


def test_many_processes_never_make_more_calls_than_the_rate(comet: Comet, redis: Redis, tmp_path: Path) -> None:
    """Each wants more than there are, and is told that they are used up."""
    began = time.monotonic()
    with comet.asked() as asked:
        ends = printed(comet, tmp_path / "spending", redis.url, PROCESSES, [], COMETFS_RATE=str(RATE))
    gained = (time.monotonic() - began) * RATE / 3600
    assert RATE / 2 <= len(asked) <= RATE + gained
    assert any("used up" in line for lines in ends for line in lines)


def _digest(files: Mapping[str, bytes]) -> str:
    return hashlib.sha256(b"".join(path.encode() + files[path] for path in sorted(files))).hexdigest()


def test_a_mount_counts_in_the_shared_bucket(comet: Comet, redis: Redis, tmp_path: Path) -> None:
    """Its status tells of it, without the password."""
    redis.ask("CONFIG", "SET", "requirepass", "sesame")
    address = redis.url.replace("redis://", "redis://:sesame@")
    with running_mount(tmp_path, comet, COMETFS_SHARED=address) as mounted:
        assert list((mounted / "ws/p").glob("*/params.json"))
        status = (mounted / ".cometfs/status.json").read_text()
    assert json.loads(status)["shared"]["members"] == 1
    assert "sesame" not in status
