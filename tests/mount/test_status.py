"""How many calls were made, by whom, and what a used up account means to programs."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.support.faulty_comet import Answer, faulty_comet
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


def test_a_list_has_every_mount_with_its_account_and_its_state(tmp_path: Path, comet: Comet) -> None:
    """One that answers, one that is stopped, one whose daemon was killed; for people and for programs."""
    folders = [tmp_path / name for name in ("fine", "stopped", "killed")]
    with ExitStack() as stack:
        for folder in folders:
            folder.mkdir()
        fine, stopped, killed = (stack.enter_context(running_mount(folder, comet)) for folder in folders)
        os.listdir(fine.path)  # noqa: PTH208
        killed.stop(signal.SIGKILL)
        stopped.process.send_signal(signal.SIGSTOP)
        try:
            printed = command("list")
            found = {one["mountpoint"]: one for one in map(json.loads, command("list", "--json").splitlines())}
        finally:
            stopped.process.send_signal(signal.SIGCONT)
    rows = {line.split()[0]: line for line in printed.splitlines()[1:]}
    assert printed.split()[:6] == ["MOUNTPOINT", "STATE", "SERVER", "WORKSPACES", "SINCE", "PID"]
    assert [rows[str(one.path)].split()[1] for one in (fine, stopped, killed)] == ["online", "silent", "dead"]
    assert "tabular, vision-lab" in rows[str(fine.path)]
    assert found[str(fine.path)]["pid"] == fine.process.pid
    assert abs(found[str(fine.path)]["since"] - time.time()) < 3600
    assert [found[str(one.path)]["state"] for one in (fine, stopped, killed)] == ["mounted", "silent", "dead"]
    assert {found[str(one.path)]["server"] for one in (fine, stopped, killed)} == {comet.url}


def command(*words: str) -> str:
    done = subprocess.run([*COMETFS, *words], check=True, capture_output=True, text=True)
    return done.stdout


def test_status_shows_what_is_on_its_way_hit_rates_and_errors(tmp_path: Path, comet: Comet) -> None:
    """A request that stalls, until it is over; what failed; where what was read came from."""
    with faulty_comet(comet) as (before, faults), running_mount(tmp_path, before) as mounted:
        path = mounted.path / BASELINE
        for _ in range(2):
            (path / "params.json").read_bytes()
        read = status(mounted)["reads"]
        assert read["asked"] >= 1
        faults.answers["experiment/graph"] = Answer(403)
        subprocess.run(["cat", str(path / "graph.txt")], check=False, capture_output=True)
        faults.stall("experiment/output")
        with subprocess.Popen(["cat", str(path / "output.txt")], stderr=subprocess.DEVNULL) as waiting:
            faults.await_arrivals("experiment/output")
            await_that(lambda: status(mounted)["fetching"] != [], "not shown")  # a status holds for a moment
            found = status(mounted)
            shown = command("status", str(mounted.path))
            watching = [*COMETFS, "status", str(mounted.path), "--watch", "--interval", "0.1", "--json"]
            with subprocess.Popen(watching, stdout=subprocess.PIPE, text=True) as watch:
                assert watch.stdout is not None
                twice = [json.loads(watch.stdout.readline()) for _ in range(2)]
                watch.send_signal(signal.SIGINT)
                assert watch.wait() == 0
            waiting.kill()
        faults.release()
        await_that(lambda: status(mounted)["fetching"] == [], "still on its way")
    assert [one["what"].split()[0] for one in found["fetching"]] == ["experiment/output"]
    assert "fetching experiment/output for experiment" in " ".join(shown.split())
    assert "last errors" in shown
    assert "graph.txt" in found["errors"][-1]
    assert [one["pid"] for one in twice] == [mounted.process.pid] * 2


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
