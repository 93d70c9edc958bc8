"""cometfs cache: told, emptied and checked, while mounts use it; and what a mount does whose cache fails it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.mount.test_cache import BASELINE, PROJECT, cache_of, everything
from tests.support.processes import COMETFS, PATIENCE, Comet, Mounted, running_comet, running_mount
from tests.support.small_disks import small_disk


@pytest.fixture
def comet(tmp_path: Path) -> Iterator[Comet]:
    with running_comet(tmp_path) as found:
        yield found


def cache(tmp_path: Path, *arguments: str, status: int = 0) -> str:
    """What `cometfs cache` says."""
    command = [*COMETFS, "cache", *arguments, "--cache-dir", str(tmp_path / "cache" / "cometfs")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


def told(tmp_path: Path) -> dict[str, Any]:
    (account,) = json.loads(cache(tmp_path, "info", "--json"))["accounts"]
    assert isinstance(account, dict)
    return account


def bodies(tmp_path: Path) -> list[Path]:
    return [path for path in (cache_of(tmp_path) / "bodies").rglob("*") if path.is_file()]


def test_info_tells_what_is_kept(tmp_path: Path, comet: Comet) -> None:
    """Of each account: its server, numbers, bytes; in words and as JSON, with nothing kept too."""
    assert "0 accounts" in cache(tmp_path, "info")
    assert "nothing is kept" in cache(tmp_path, "verify")
    assert "nothing is kept" in cache(tmp_path, "clear")
    with running_mount(tmp_path, comet) as mounted:
        everything(mounted, BASELINE)
    found = told(tmp_path)
    assert found["server"] == comet.url.removesuffix("/clientlib/").rstrip("/")
    assert found["bodies"] == len(bodies(tmp_path)) > 0
    assert found["body_bytes"] == sum(path.stat().st_size for path in bodies(tmp_path))
    assert found["answers"] > 10
    assert found["disk_bytes"] > found["body_bytes"]
    assert found["damaged"] == 0
    assert found["state"] == ""
    said = cache(tmp_path, "info")
    assert found["server"] in said
    assert str(cache_of(tmp_path)) in said


def test_clear_empties_the_cache_under_a_mount(tmp_path: Path, comet: Comet) -> None:
    """Who reads reads on, the mount goes on, the next one asks again."""
    with running_mount(tmp_path, comet) as mounted:
        before = everything(mounted, BASELINE)
        big = max((path for path in before if path.startswith("assets/")), key=lambda path: len(before[path]))
        with (mounted / BASELINE / big).open("rb") as file:
            assert "freed" in cache(tmp_path, "clear")
            assert file.read() == before[big]
        assert bodies(tmp_path) == []
        # What the mount had still to write when that was emptied may have come since.
        deadline = time.monotonic() + PATIENCE
        while told(tmp_path)["answers"]:
            cache(tmp_path, "clear")
            assert time.monotonic() < deadline
        assert everything(mounted, BASELINE) == before  # small files from memory
    with running_mount(tmp_path, comet) as mounted:
        assert everything(mounted, BASELINE) == before
    assert told(tmp_path)["bodies"] > 0
    assert "nothing is kept" in cache(tmp_path, "clear", "--url", "https://comet.example")
    assert told(tmp_path)["bodies"] > 0
    cache(tmp_path, "clear", "--url", comet.url)
    with comet.asked() as asked, running_mount(tmp_path, comet) as mounted:
        assert everything(mounted, BASELINE) == before
    assert asked
    assert mounted.log.read_text() == ""


def test_verify_finds_what_is_damaged(tmp_path: Path, comet: Comet) -> None:
    """Exit status 1, once; a body without a row and a row without a body are no damage."""
    with running_mount(tmp_path, comet) as mounted:
        before = everything(mounted, BASELINE)
        assert "all is well" in cache(tmp_path, "verify")
    one, other, *_ = bodies(tmp_path)
    other.rename(other.with_name("0" * 30))
    assert "1 entry without a body dropped, 1 body without an entry removed" in cache(tmp_path, "verify")
    one.write_bytes(bytes(one.stat().st_size + 1))
    assert "1 damaged body set aside" in cache(tmp_path, "verify", status=1)
    assert json.loads(cache(tmp_path, "verify", "--json"))["damaged_bodies"] == 0
    assert "all is well" in cache(tmp_path, "verify")
    assert told(tmp_path)["damaged"] == 1
    file = cache_of(tmp_path) / "index.sqlite"
    file.write_bytes(os.urandom(file.stat().st_size))
    assert "not a database" in told(tmp_path)["state"]
    assert "database was damaged" in cache(tmp_path, "verify", status=1)
    assert "all is well" in cache(tmp_path, "verify")
    assert bodies(tmp_path) == []
    with running_mount(tmp_path, comet) as mounted:
        assert everything(mounted, BASELINE) == before


def test_a_cache_that_is_deleted_under_a_mount_is_begun_anew(tmp_path: Path, comet: Comet) -> None:
    """Every byte is right, nothing is said, and what is read afterwards is kept."""
    with running_mount(tmp_path, comet) as mounted:
        before = everything(mounted, BASELINE)
        shutil.rmtree(tmp_path / "cache")
        assert everything(mounted, BASELINE) == before
        everything(mounted, f"{PROJECT}/mlp-wide-76e61c8b")
        assert mounted.log.read_text() == ""
    assert told(tmp_path)["answers"] > 0


def test_a_disk_that_is_full_costs_only_what_would_be_kept(tmp_path: Path, comet: Comet) -> None:
    """2 MB for an account of more: every byte is right, and it is said once at most."""
    with running_mount(tmp_path, comet) as mounted:
        before = everything(mounted, "vision-lab")
    with small_disk(tmp_path, "2m") as disk, running_mount(tmp_path, comet, "--cache-dir", str(disk)) as mounted:
        for _ in range(2):
            assert everything(mounted, "vision-lab") == before
        # One line of what is kept, one of the calls.
        assert len(mounted.log.read_text().splitlines()) <= 2
        # Others fill what is left.
        with (disk / "others").open("wb") as file:
            fill(file.fileno())
        assert everything(mounted, f"{BASELINE}/metrics") == below(before, "digits/mlp-baseline/metrics")
        assert mounted.stop() == 0
        log = mounted.log.read_text()
        assert log.count("cannot be used, so nothing is kept") <= 1
        assert "Traceback" not in log


def test_a_cache_that_cannot_be_written_is_said(tmp_path: Path, comet: Comet) -> None:
    """A file system that is only read keeps a mount from starting, with a remedy."""
    with small_disk(tmp_path, "2m") as disk:
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        with (
            pytest.raises(AssertionError, match="--cache-dir"),
            running_mount(tmp_path, comet, "--cache-dir", str(disk)),
        ):
            pass


def test_a_database_that_cannot_be_opened_costs_only_what_would_be_kept(tmp_path: Path, comet: Comet) -> None:
    """It is said once, and every byte is right."""
    with running_mount(tmp_path, comet) as mounted:
        before = everything(mounted, BASELINE)
    file = cache_of(tmp_path) / "index.sqlite"
    file.unlink()
    file.mkdir()
    with running_mount(tmp_path, comet) as mounted:
        for _ in range(2):
            assert everything(mounted, BASELINE) == before
        said = mounted.log.read_text()
        assert said.count("cannot be used, so nothing is kept") == 1
        assert said.count("calls are counted for this mount alone") == len(said.splitlines()) - 1 == 1


def fill(descriptor: int) -> None:
    """Writes until nothing fits any more."""
    with suppress(OSError):
        while True:
            os.write(descriptor, bytes(4096))


def below(files: dict[str, bytes], place: str) -> dict[str, bytes]:
    return {path.removeprefix(f"{place}/"): found for path, found in files.items() if path.startswith(f"{place}/")}


def test_two_mounts_with_different_budgets_are_both_right(tmp_path: Path, comet: Comet) -> None:
    """What the smaller one drops the bigger one fetches again."""
    (tmp_path / "other").mkdir()
    shared = str(tmp_path / "cache")
    with (
        running_mount(tmp_path, comet, "--cache-size", "300k") as one,
        running_mount(tmp_path / "other", comet, "--cache-size", "1G", XDG_CACHE_HOME=shared) as other,
    ):
        before = everything(other, BASELINE)
        for mounted in (one, other, one):
            assert everything(mounted, BASELINE) == before
        assert mounts_are_silent(one, other)
    assert "all is well" in cache(tmp_path, "verify")


def mounts_are_silent(*mounts: Mounted) -> bool:
    return all(mounted.log.read_text() == "" for mounted in mounts)
