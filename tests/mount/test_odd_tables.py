"""Copies of a run whose curves, matrices and histograms hold anything: whole, status 0 but for what is gone."""

from __future__ import annotations

import filecmp
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.archive_contents import write_logged_run
from tests.support.faulty_comet import Answer, Faults, faulty_comet
from tests.support.processes import PATIENCE, Comet, running_comet, running_mount

KEY = "c" * 32
RUN = "ws/p/run"

BINS = {"values": [0, 1, 2], "index_values": [[0, 5], [7, 1], [-1, 2]]}
BODIES: list[tuple[str, str, Any, bytes]] = [
    ("curve", "good", 1, b'{"x": [0, 1], "y": [1e999, NaN]}'),
    ("curve", "list.json", 1, b"[1, 2]"),
    ("curve", "null", 1, b"null"),
    ("curve", "empty", 1, b""),
    ("curve", "binary", 1, bytes(range(256))),
    ("confusion-matrix", "short.json", 1, b'{"labels": ["cat"], "matrix": [[1, 2, 3], [4, 5, 6]]}'),
    ("confusion-matrix", "ragged", 1, b'{"matrix": [[1], null, [1, 2]]}'),
    ("confusion-matrix", "number", 1, b"5"),
    ("histogram3d", "h", 2, json.dumps(BINS).encode()),
    ("histogram3d", "h", 1, json.dumps(BINS).encode()),
    ("histogram3d", "h", 3, b"no json"),
    ("histogram_combined_3d", "odd", None, b'{"histograms": 5}'),
    ("histogram_combined_3d", "endless", None, b'{"index_values": [[0, 1]], "start": 1, "stop": 2, "step": 1}'),
]


@pytest.fixture
def odd(tmp_path: Path) -> Iterator[Comet]:
    write_logged_run(tmp_path / "runs", KEY, BODIES)
    with running_comet(tmp_path, archives=tmp_path / "runs") as comet:
        yield comet


def copy(source: Path, target: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["cp", "-r", source, target], capture_output=True, text=True, timeout=PATIENCE, check=False)


def same(left: Path, right: Path) -> bool:
    found = filecmp.dircmp(left, right)
    equal = not (found.left_only or found.right_only or found.funny_files)
    _, *wrong = filecmp.cmpfiles(left, right, found.common_files, shallow=False)
    return equal and not any(wrong) and all(same(left / name, right / name) for name in found.common_dirs)


def test_a_run_of_odd_tables_is_copied_whole(tmp_path: Path, odd: Comet) -> None:
    """`cp -r` ends with 0, and what it copied is what is there afterwards, by name and by byte; after a remount too."""
    with running_mount(tmp_path, odd) as mounted:
        done = copy(mounted / RUN, tmp_path / "copy")
        assert (done.returncode, done.stderr) == (0, "")
        assert same(mounted / RUN, tmp_path / "copy")
        assert (mounted / RUN / "curves/list.csv").read_bytes() == b"[1, 2]"
        assert (mounted / RUN / "confusion-matrix/short.csv").read_text().splitlines()[1:] == ["cat,1,2,3", "1,4,5,6"]
        steps = [line.split(",") for line in (mounted / RUN / "histograms/h.csv").read_text().splitlines()[1:]]
        assert [(step, count) for step, _, _, count in steps] == [
            (step, count) for step in ("1", "2") for count in ("5", "1", "2")
        ]
    with running_mount(tmp_path, odd) as mounted:
        done = copy(mounted / RUN, tmp_path / "again")
        assert (done.returncode, done.stderr) == (0, "")
        assert same(mounted / RUN, tmp_path / "again")
        assert sorted(path.name for path in (tmp_path / "again/curves").iterdir()) == sorted(
            ["good.csv", "list.json", "null", "empty", "binary"]
        )
        assert (tmp_path / "again/curves/binary").read_bytes() == bytes(range(256))


def test_what_cannot_be_fetched_costs_only_itself(tmp_path: Path, odd: Comet) -> None:
    """One complaint and status 1 for each asset that is gone; all else is copied."""
    with faulty_comet(odd) as (behind, faults), running_mount(tmp_path, behind) as mounted:
        lose(faults, "a0")
        listed = subprocess.run(["ls", "-l", mounted / RUN / "curves"], capture_output=True, text=True, check=False)
        assert all(name in listed.stdout for name in ("list.csv", "null.csv", "binary.csv"))
        done = copy(mounted / RUN, tmp_path / "copy")
        assert done.returncode == 1
        assert {line.partition(": ")[0] for line in done.stderr.splitlines()} == {"cp"}
        assert all("good" in line for line in done.stderr.splitlines()), done.stderr
        assert (tmp_path / "copy/confusion-matrix/short.csv").is_file()
        assert len(list((tmp_path / "copy/curves").iterdir())) >= 4


def lose(faults: Faults, asset: str) -> None:
    faults.answers[f"assetId={asset}"] = Answer(404, b'{"msg": "no such asset", "code": 404}')
