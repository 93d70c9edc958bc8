"""How many calls were made, by whom, and what a used up account means to programs."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.faulty_comet import faulty_comet
from tests.support.processes import COMETFS, Comet, Mounted, running_comet, running_mount
from tests.support.subprocesses import await_that

BASELINE = "vision-lab/digits/mlp-baseline"


@pytest.fixture
def comet(tmp_path: Path) -> Iterator[Comet]:
    with running_comet(tmp_path) as found:
        yield found


def status(mounted: Mounted) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((mounted.path / ".cometfs/status.json").read_bytes())
    return found


def test_status_tells_what_the_server_was_asked(tmp_path: Path, comet: Comet) -> None:
    """Every call of the access log, by endpoint, and by the program that caused it."""
    with running_mount(tmp_path, comet) as mounted:
        subprocess.run(["cat", str(mounted.path / BASELINE / "params.json")], check=True, stdout=subprocess.DEVNULL)
        calls = status(mounted)["calls"]
    asked = Counter(request["path"].removeprefix("/api/rest/v2/") for request in comet.requests())
    assert calls["by_endpoint"] == dict(asked)
    assert calls["used"] == sum(asked.values())
    # It gains four a second.
    assert 15_000 - calls["used"] <= calls["left"] <= 15_000
    # The start asks for workspaces, before there is anybody else.
    assert calls["by_command"] == {"cat": 3, "cometfs": 1}


def test_gauges_count_what_is_held_and_fall_back(tmp_path: Path, comet: Comet) -> None:
    """Files and directories that are open, a load that stalls with the request that waits for it."""

    def gauges() -> dict[str, int]:
        return status(mounted)["gauges"]  # type: ignore[no-any-return]

    with faulty_comet(comet) as (before, faults), running_mount(tmp_path, before) as mounted:
        path = mounted.path / BASELINE
        names = os.listdir(path)  # noqa: PTH208
        (path / "params.json").read_bytes()
        idle = gauges()  # the look itself is a request and two loads
        assert [idle[name] for name in ("open_files", "open_directories", "requests", "loads")] == [0, 0, 1, 2]
        assert 10 << 20 < idle["resident_bytes"] < 1 << 30
        with (path / "params.json").open("rb"), os.scandir(path) as listing:
            assert next(listing).name in names
            await_that(lambda: (gauges()["open_files"], gauges()["open_directories"]) == (1, 1), "not counted")
        faults.stall("experiment/output")
        with subprocess.Popen(["cat", str(path / "output.txt")], stderr=subprocess.DEVNULL) as waiting:
            faults.await_arrivals("experiment/output")
            await_that(
                lambda: all(gauges()[name] > idle[name] for name in ("loads", "requests", "tasks")), "not counted"
            )
            waiting.kill()
        faults.release()
        names = ["loads", "open_directories", "open_files", "requests", "tasks"]
        await_that(lambda: all(gauges()[name] <= idle[name] for name in names), "something is held")


def test_the_command_tells_of_a_mount_and_of_all(tmp_path: Path, comet: Comet) -> None:
    """For people, and one object a line for programs."""
    with running_mount(tmp_path, comet) as mounted:
        said = subprocess.run([*COMETFS, "status", str(mounted.path)], check=True, capture_output=True, text=True)
        assert "calls  1 in the last hour" in said.stdout
        assert "left of 15,000" in said.stdout
        told = subprocess.run([*COMETFS, "status", "--json"], check=True, capture_output=True, text=True)
        found = {row["mountpoint"]: row for row in map(json.loads, told.stdout.splitlines())}
        assert found[str(mounted.path)]["server"] == comet.url
    gone = subprocess.run([*COMETFS, "status", str(mounted.path)], check=False, capture_output=True, text=True)
    assert gone.returncode == 1
    assert gone.stderr.startswith("cometfs: ")


def test_a_used_up_account_is_an_error_and_what_is_known_is_not(tmp_path: Path, comet: Comet) -> None:
    """EAGAIN for what would have to be asked for; what was read before is read again."""
    with running_mount(tmp_path, comet, "--rate", "20") as mounted:
        before = (mounted.path / BASELINE / "params.json").read_bytes()
        (account,) = (tmp_path / "cache" / "cometfs").iterdir()
        status(mounted)
        with sqlite3.connect(account / "index.sqlite") as db:
            db.execute("UPDATE bucket SET tokens = 0, at = ?", (time.time(),))
        db.close()
        environment = {**os.environ, "LC_ALL": "C"}
        asked: list[subprocess.CompletedProcess[str]] = []
        # What the mount has taken already it may use.
        for name in ("code.py", "output.txt", "tags.txt", "others.json", "system.json", "graph.txt", "report.html"):
            command = ["cat", str(mounted.path / BASELINE / name)]
            asked.append(subprocess.run(command, check=False, capture_output=True, text=True, env=environment))
        refused = [one for one in asked if one.returncode]
        assert refused
        assert all("Resource temporarily unavailable" in one.stderr for one in refused)
        assert (mounted.path / BASELINE / "params.json").read_bytes() == before
        assert "calls are used up" in mounted.log.read_text()
