"""An experiment with 100,000 assets in one directory and 50,000 metrics: listed, within memory that is stated."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from tests.support.faulty_comet import faulty_comet
from tests.support.processes import Comet, running_mount

RUN = "vision-lab/digits/mlp-baseline"
ASSETS, METRICS = 100_000, 50_000
MOST = 900
"""MiB that the daemon has at any time; 460 where this was written."""


def many_assets(answer: Any, _query: dict[str, str]) -> Any:
    first = answer["assets"][0] | {"type": "asset", "step": None, "remote": False, "fileSize": 3}
    rows = [{**first, "fileName": f"image-{at:06}.png", "assetId": f"{at:032x}"} for at in range(ASSETS)]
    return {"assets": rows}


def many_metrics(answer: Any, _query: dict[str, str]) -> Any:
    """Half of them with a folder each."""
    names = (f"layer-{at:05}/grad" if at % 2 else f"m-{at:05}" for at in range(METRICS))
    return {"values": [{**answer["values"][0], "name": name} for name in names]}


def peak(pid: int) -> int:
    """MiB of memory that a process has had at most."""
    found = re.search(r"^VmHWM:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found
    return int(found[1]) // 1024


def test_many_rows_are_many_entries(tmp_path: Path, comet: Comet) -> None:
    """The list of assets has more bytes than any other answer may have, and has no pages."""
    with faulty_comet(comet) as (before, faults):
        faults.edits |= {"experiment/asset/list": many_assets, "experiment/metrics/summary": many_metrics}
        with running_mount(tmp_path, before, "--deadline", "300") as mounted:
            with os.scandir(mounted / RUN / "assets") as entries:
                names = sorted(entry.name for entry in entries)
            assert names == [f"image-{at:06}.png" for at in range(ASSETS)]
            assert {(mounted / RUN / "assets" / name).stat().st_size for name in (names[0], names[-1])} == {3}
            with os.scandir(mounted / RUN / "metrics") as entries:
                assert sum(entry.is_dir() for entry in entries) == METRICS // 2
            assert (mounted / RUN / "metrics.json").read_bytes().count(b"\n") == METRICS + 2
            assert peak(mounted.process.pid) < MOST
        assert mounted.log.read_text() == ""
