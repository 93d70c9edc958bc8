"""A Comet whose lists have rows that are none, and fields of wrong types: each costs itself, and a line in the log."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

from tests.mount.test_odd_tables import copy, same
from tests.support.comet_switches import switched_comet
from tests.support.processes import PATIENCE, Comet, Mounted, running_mount

KEY = "50d3a93fdfbc7f162d0165d3174ee601"
RUN = "vision-lab/digits/mlp-baseline"
TABLES = ("experiments.csv", "charts/loss.csv")
LISTED = (
    ".",
    "vision-lab",
    "vision-lab/digits",
    "vision-lab/.artifacts/digits-split/1.1.0",
    "vision-lab/.models/digits-mlp",
)


def listed(mounted: Mounted, *folders: str) -> str:
    command = ["ls", *(str(mounted / folder) for folder in folders)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True)
    return done.stdout.replace(str(mounted.path), "")


def test_rows_that_are_none_are_left_out(tmp_path: Path, comet: Comet, warm: Mounted) -> None:
    """Everything else is there, byte for byte; the log says of each list once what it lacks."""
    with switched_comet(comet, "rows-of-nothing") as (before, _), running_mount(tmp_path, before) as mounted:
        assert listed(mounted, *LISTED) == listed(warm, *LISTED)
        assert copy(mounted / RUN, tmp_path / "copy").returncode == 0
        shutil.copy(warm / RUN / "url.txt", tmp_path / "copy")  # it has the address of the server
        assert same(warm / RUN, tmp_path / "copy")
        for table in TABLES:
            found = (mounted / "vision-lab/digits" / table).read_bytes()
            assert found == (warm / "vision-lab/digits" / table).read_bytes()
        noted = (mounted / ".cometfs/errors.log").read_text().splitlines()
    lines = mounted.log.read_text().splitlines()
    questions = [line.split(": ")[1] for line in lines if "rows that cannot be read are left out" in line]
    assert len(questions) == len(lines) == len(set(questions))
    columns = [line.split("\t") for line in noted]
    assert {(errno, program, path) for _, errno, _, program, path, _ in columns} == {("-", "cometfs", "")}
    assert [sentence.split(": ")[0] for *_, sentence in columns] == questions
    (of_assets,) = (line for line in lines if f"experiment/asset/list for experiment {KEY!r}" in line)
    assert "4 rows" in of_assets
    assert "'assetId' is null or missing" in of_assets


def test_fields_of_wrong_types_are_not_known(tmp_path: Path, comet: Comet, warm: Mounted) -> None:
    """A text as size, a word as state, a time that no file system has, a lone surrogate: no listing fails for one."""
    with switched_comet(comet, "rows-of-wrong-types") as (before, _), running_mount(tmp_path, before) as mounted:
        assert listed(mounted, *LISTED) == listed(warm, *LISTED)
        assert copy(mounted / RUN, tmp_path / "copy").returncode == 0
        (tmp_path / "copy/requirements.txt").unlink(missing_ok=True)
        for name in ("assets", "images", "metrics", "params.json", "output.txt"):
            found, wanted = tmp_path / "copy" / name, warm / RUN / name
            assert same(wanted, found) if found.is_dir() else found.read_bytes() == wanted.read_bytes()
        details = json.loads((mounted / RUN / "system.json").read_text())
        assert details["totalRam"] == "\ufffd"
        for table in TABLES:
            assert (mounted / "vision-lab/digits" / table).stat().st_size
        page = f"/vision-lab/digits/{KEY}\n"
        assert (mounted / RUN / "url.txt").read_text().endswith(page)
    assert mounted.log.read_text() == ""
