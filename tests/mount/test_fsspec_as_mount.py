"""`comet://` and a mount of the same account: the same names, sizes, times and bytes, and no more calls."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cometfs.fsspec import CometFileSystem, portal
from tests.support.lasting_listings import prolonged
from tests.support.processes import PATIENT, Comet, Mounted, running_mount

PROJECT = "vision-lab/digits"


@pytest.fixture
def fs(comet: Comet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CometFileSystem]:
    """With a cache of its own."""
    monkeypatch.setenv("COMET_API_KEY", "test-key")
    yield CometFileSystem(server=comet.url, cache_dir=tmp_path / "own-cache", skip_instance_cache=True)
    portal.close()


def test_a_tree_is_that_of_a_mount(fs: CometFileSystem, warm: Mounted) -> None:
    """Of a project: each name and what it is; of an experiment each byte, each size and each time."""
    names = {
        entry.name: "link" if entry.is_symlink() else "directory" if entry.is_dir() else "file"
        for entry in os.scandir(warm / PROJECT)
    }
    assert {
        path.rpartition("/")[2]: info["type"] for path, info in ((one["name"], one) for one in fs.ls(PROJECT))
    } == names
    run = f"{PROJECT}/mlp-baseline"
    mounted = {str(path.relative_to(warm.path)): path for path in (warm / run).rglob("*") if path.is_file()}
    assert set(fs.find(run)) == set(mounted)
    bodies = fs.cat(sorted(mounted))
    for path, file in mounted.items():
        assert bodies[path] == file.read_bytes(), path
        info, seen = fs.info(path), file.stat()
        assert info["size"] == seen.st_size, path
        if "/assets/" in path:  # what may be edited has the time at which each cache has first seen it
            assert info["mtime"] == pytest.approx(seen.st_mtime, abs=0.001), path


def test_files_of_all_experiments_cost_no_more_calls(fs: CometFileSystem, comet: Comet, tmp_path: Path) -> None:
    for pattern in ("*/params.json", "*/metrics/*.csv"):
        with comet.asked() as asked:
            found = fs.cat(f"{PROJECT}/{pattern}")
        folder = tmp_path / pattern.replace("/", "-").replace("*", "x")
        folder.mkdir()
        with comet.asked() as by_mount, running_mount(folder, comet, program=PATIENT) as mounted:
            command = f"cat {mounted / PROJECT}/{pattern}"
            printed = subprocess.run(["bash", "-c", command], capture_output=True, check=True)
        assert b"".join(found[path] for path in sorted(found)) == printed.stdout
        assert len(asked) <= len(by_mount), (pattern, asked, by_mount)


def test_a_copy_of_a_project_costs_no_more_calls(fs: CometFileSystem, comet: Comet, tmp_path: Path) -> None:
    """Than `cp -r` of a mount, and brings the same files."""
    with comet.asked() as asked, prolonged():
        fs.get(PROJECT, str(tmp_path / "got"), recursive=True)
    (tmp_path / "mount").mkdir()
    with comet.asked() as by_mount, running_mount(tmp_path / "mount", comet, program=PATIENT) as mounted:
        subprocess.run(["cp", "-r", mounted / PROJECT, tmp_path / "copied"], check=True)
    assert len(asked) <= len(by_mount), (asked, by_mount)
    done = subprocess.run(["diff", "-r", tmp_path / "got", tmp_path / "copied"], capture_output=True, text=True)
    # What is known to be empty a mount hides.
    assert [line for line in done.stdout.splitlines() if not line.startswith(f"Only in {tmp_path}/got")] == []
