"""What programs that look for changes find: inode numbers, times and sizes of what did not change are the same."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.faulty_comet import faulty_comet
from tests.support.processes import Comet, Mounted, running_comet, running_mount

PROJECT = "vision-lab/digits"


@pytest.fixture
def own_comet(tmp_path: Path) -> Iterator[Comet]:
    with running_comet(tmp_path) as found:
        yield found


def numbers(mounted: Mounted, *places: str) -> dict[str, str]:
    """The inode number of everything in these places, in this order, by path: as `find` has it."""
    tops = [str(mounted / place) for place in places or (".",)]
    command = ["find", *tops, "-printf", "%p\\t%i\\n"]
    found = subprocess.run(command, check=True, capture_output=True, text=True, errors="surrogateescape")
    lines = (line.split("\t") for line in found.stdout.splitlines())
    return {os.path.relpath(path, mounted.path): number for path, number in lines}


def assert_same(before: dict[str, str], after: dict[str, str]) -> None:
    """A directory in which nothing is may be known to be empty in one of them only, and is not there then."""
    both = before.keys() & after.keys()
    assert {path: after[path] for path in both} == {path: before[path] for path in both}
    assert len(both) > 300


def drop_caches() -> None:
    """Names and inodes that nobody holds."""
    try:
        Path("/proc/sys/vm/drop_caches").write_text("2")
    except OSError as error:
        pytest.skip(f"only root of the machine drops the kernel's caches: {error}")


def test_numbers_are_the_same_after_a_remount_and_in_any_order(tmp_path: Path, own_comet: Comet) -> None:
    """Of files, directories and links: by `find` of everything, and of the last first, in two mounts at the same time.
    What `readdir` says (d_ino) is what `stat` says."""
    with running_mount(tmp_path, own_comet) as mounted:
        before = numbers(mounted)
        assert len(set(before.values())) == len(before) > 300
        assert {path for path, number in before.items() if not 1 < int(number) < 1 << 63} == {"."}
        other = tmp_path / "other"
        other.mkdir()
        with running_mount(other, own_comet, XDG_CACHE_HOME=str(tmp_path / "cache")) as second:
            tops = sorted((str(path.relative_to(second.path)) for path in second.path.glob("*/*")), reverse=True)
            backwards = numbers(second, *tops)
        assert backwards == {path: before[path] for path in backwards}
    with running_mount(tmp_path, own_comet) as mounted:
        # What is known to be empty is not there for a while.
        there = [path for path in sorted(before, reverse=True) if os.path.lexists(mounted / path)]
        assert len(there) > 300
        for path in there:
            assert str((mounted / path).lstat().st_ino) == before[path], path
        assert_same(before, numbers(mounted))
        with os.scandir(mounted / PROJECT) as entries:
            for entry in entries:
                assert entry.inode() == entry.stat(follow_symlinks=False).st_ino


def test_numbers_are_the_same_after_the_kernel_dropped_its_caches(warm: Mounted) -> None:
    """A daemon that has heard that they are forgotten finds the same ones."""
    before = numbers(warm)
    drop_caches()
    assert_same(before, numbers(warm))


def dump(mounted: Mounted, folder: Path, place: str, level: int) -> set[str]:
    """The files in the next incremental archive, by GNU tar. The device's number is the kernel's choice."""
    archive, state = folder / f"level-{level}.tar", folder / "state"
    options = ["--no-check-device", "--warning=no-file-changed", f"--listed-incremental={state}"]
    subprocess.run(["tar", "cf", str(archive), *options, "-C", str(mounted.path), place], check=True)
    listed = subprocess.run(["tar", "tf", str(archive)], check=True, capture_output=True, text=True)
    return {line for line in listed.stdout.splitlines() if not line.endswith("/")}


def test_incremental_archives_hold_what_changed(tmp_path: Path, own_comet: Comet) -> None:
    """The first after a remount holds nothing, the one after a tag of equal length was edited only that file; rsync
    transfers nothing, and then that file."""
    place, copy = f"{PROJECT}/mlp-baseline", tmp_path / "copy"

    def tags(answer: Any, _query: dict[str, str]) -> Any:
        return {**answer, "tags": ["one"]}

    def others(answer: Any, _query: dict[str, str]) -> Any:
        return {**answer, "tags": ["two"]}

    def rsync(mounted: Mounted) -> set[str]:
        command = ["rsync", "-a", "--out-format=%n", f"{mounted / place}/", str(copy)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return {line for line in done.stdout.splitlines() if not line.endswith("/")}

    with faulty_comet(own_comet) as (comet, faults):
        faults.edits["experiment/tags"] = tags
        with running_mount(tmp_path, comet) as mounted:
            assert len(dump(mounted, tmp_path, place, 0)) > 20
            assert len(rsync(mounted)) > 20
            assert rsync(mounted) == set()
        with running_mount(tmp_path, comet) as mounted:
            assert dump(mounted, tmp_path, place, 1) == set()
            assert rsync(mounted) == set()
            faults.edits["experiment/tags"] = others
            os.utime(mounted / place / "tags.txt")
            assert dump(mounted, tmp_path, place, 2) == {f"{place}/tags.txt"}
            assert rsync(mounted) == {"tags.txt"}
            assert (copy / "tags.txt").read_text() == "two\n"
