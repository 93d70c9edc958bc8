"""`cometfs cost` against what the server is then asked, and `cometfs warm`: interrupted, gone on with, pinned."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.support.alike_runs import ASSETS, HUGE, HUGE_PROJECT, PROJECT, write_alike_runs, write_differing_runs
from tests.support.processes import COMETFS, PATIENCE, Comet, running_comet, running_mount
from tests.support.subprocesses import await_of

RUNS = 20


@pytest.fixture(scope="module")
def alike(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Comet]:
    folder = tmp_path_factory.mktemp("alike")
    with running_comet(folder, archives=write_alike_runs(folder / "archives", RUNS)) as running:
        yield running


def surroundings(folder: Path, comet: Comet) -> dict[str, str]:
    return {
        **os.environ,
        "COMET_API_KEY": "k",
        "COMET_URL_OVERRIDE": comet.url,
        "XDG_CACHE_HOME": str(folder / "cache"),
    }


def told(folder: Path, comet: Comet, *words: str) -> dict[str, Any]:
    """What a command prints with --json."""
    done = subprocess.run(
        [*COMETFS, *words, "--json"],
        env=surroundings(folder, comet),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def asked(comet: Comet, before: int) -> tuple[int, int]:
    """Calls and bytes of the server's access log, from the line `before` on."""
    requests = comet.requests()[before:]
    return len(requests), sum(request["bytes"] for request in requests)


def agrees(guess: dict[str, Any], taken: tuple[int, int], *, sizes: float = 0.1) -> None:
    """Within a tenth, and within the range that is stated."""
    shown = f"{guess} was told, {taken} taken"
    for name, number, off in (("calls", taken[0], 0.1), ("bytes", taken[1], sizes)):
        least, most = guess[f"{name}_range"]
        assert abs(guess[name] - number) <= off * number, shown
        assert least <= number <= most, shown


def test_cost_of_a_cold_project_is_what_a_copy_takes(alike: Comet, tmp_path: Path) -> None:
    """Through a mount: a few calls to find out, then `cp -r`; and nothing is left to pay."""
    with running_mount(tmp_path, alike) as mounted:
        place = mounted.path / PROJECT
        before = len(alike.requests())
        guess = told(tmp_path, alike, "cost", str(place))
        spent = asked(alike, before)[0]
        # With the listings on the way to it, of which a path is made.
        assert guess["spent"] <= 100
        assert spent <= guess["spent"] + 2
        before = len(alike.requests())
        subprocess.run(["cp", "-r", place, tmp_path / "copy"], check=True, timeout=PATIENCE)
        agrees(guess, asked(alike, before))
        assert told(tmp_path, alike, "cost", str(place))["calls"] == 0


def test_cost_without_a_mount_is_what_warm_takes(alike: Comet, tmp_path: Path) -> None:
    """Of a few listings, and of all."""
    guess = told(tmp_path, alike, "cost", PROJECT, "--calls", "20")
    assert guess["looked_into"]
    guess = told(tmp_path, alike, "cost", PROJECT)
    assert not guess["looked_into"]
    before = len(alike.requests())
    warm = told(tmp_path, alike, "warm", PROJECT, "--calls", "0")
    agrees(guess, asked(alike, before))
    assert (warm["complete"], warm["failed"]) == (True, {})
    assert warm["calls"] <= asked(alike, before)[0]  # the check of the key comes before


def test_cost_where_a_few_assets_are_huge(tmp_path: Path) -> None:
    """To find out fetches none of them."""
    archives = write_differing_runs(tmp_path / "archives", 12)
    with running_comet(tmp_path, archives=archives) as comet:
        guess = told(tmp_path, comet, "cost", HUGE_PROJECT)
        assert asked(comet, 0)[1] < sum(HUGE) / 20
        before = len(comet.requests())
        told(tmp_path, comet, "warm", HUGE_PROJECT, "--calls", "0")
        agrees(guess, asked(comet, before))
        assert guess["bytes"] > sum(HUGE)


def test_cost_of_several_paths_is_told_together(alike: Comet, tmp_path: Path) -> None:
    """In a mount as without one: a line for what each adds, and what they share is counted once."""
    with running_mount(tmp_path, alike) as mounted:
        for root in (f"{mounted.path}/", ""):
            paths = [f"{root}{PROJECT}/{name}" for name in ("run-001", "run-002", "run-001/params.json")]
            found = told(tmp_path, alike, "cost", *paths)
            added = [found["paths"][path] for path in paths]
            assert added[0]["calls"] > 10
            assert abs(added[0]["calls"] - added[1]["calls"]) <= 2
            assert added[2]["calls"] == 0
            assert found["calls"] == sum(one["calls"] for one in added)
        shown = subprocess.run(
            [*COMETFS, "cost", *paths], env=surroundings(tmp_path, alike), capture_output=True, text=True, check=True
        ).stdout
        assert [line.split(": ")[0] for line in shown.splitlines()[:4]] == [
            *(f"  {path}" for path in paths),
            "together",
        ]


def test_cost_of_what_is_known_is_exact(alike: Comet, tmp_path: Path) -> None:
    """Of an experiment after `ls assets metrics`, by the mount's own listings."""
    with running_mount(tmp_path, alike) as mounted:
        place = mounted.path / PROJECT / "run-003"
        for name in ("assets", "metrics"):
            os.listdir(place / name)  # noqa: PTH208
        guess = told(tmp_path, alike, "cost", str(place), "--calls", "0")
        before = len(alike.requests())
        subprocess.run(["cp", "-r", place, tmp_path / "copy"], check=True, timeout=PATIENCE)
        assert guess["calls"] == asked(alike, before)[0]
        assert (guess["spent"], guess["looked_into"], guess["unknown"]) == (0, {}, [])


def test_warm_goes_on_where_it_was_interrupted(tmp_path: Path) -> None:
    """Ctrl-C is exit status 130 and a sentence; no asset is fetched a second time, and afterwards none at all."""
    folder = tmp_path / "comet"
    folder.mkdir()
    with running_comet(folder, "--latency", "20", archives=write_alike_runs(folder / "archives", RUNS)) as slow:
        process = subprocess.Popen(
            [*COMETFS, "warm", PROJECT], env=surroundings(tmp_path, slow), stderr=subprocess.PIPE, text=True
        )
        with process:
            await_of(process, lambda: len(assets(slow)) >= RUNS * ASSETS // 4)
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=PATIENCE)
        assert process.returncode == 130
        assert "the same command goes on from here" in said
        assert len(assets(slow)) < RUNS * ASSETS
        told(tmp_path, slow, "warm", PROJECT)
        fetched = assets(slow)
        assert len(set(fetched)) == RUNS * ASSETS
        # Those that were on their way when it was interrupted.
        assert len(fetched) - len(set(fetched)) <= 16
        told(tmp_path, slow, "warm", PROJECT)
        assert assets(slow) == fetched


def assets(comet: Comet) -> list[str]:
    return [request["query"] for request in comet.requests() if request["path"].endswith("get-asset")]


def test_a_dry_run_is_cost(alike: Comet, tmp_path: Path) -> None:
    """Nothing is read."""
    before = len(alike.requests())
    found = told(tmp_path, alike, "warm", "--dry-run", PROJECT)
    assert found["calls"] > 50
    assert not [one for one in alike.requests()[before:] if one["path"].endswith("get-asset")]


def test_what_is_pinned_outlives_eviction_and_a_remount(alike: Comet, tmp_path: Path) -> None:
    """A mount with little room for its cache evicts all but that; `cache info` shows it, until it is let go."""
    pinned, others = f"{PROJECT}/run-000", [f"{PROJECT}/run-{number:03}" for number in range(1, 8)]
    told(tmp_path, alike, "warm", "--pin", pinned)
    assert info(tmp_path, alike)["pinned"] == pinned
    for _ in range(2):
        with running_mount(tmp_path, alike, "--cache-size", "200K", COMET_API_KEY="k") as mounted:
            for other in others:
                subprocess.run(["cp", "-r", mounted.path / other, tmp_path / "copy"], check=True, timeout=PATIENCE)
        held = owners(tmp_path)
        assert held.count(f"{0:032x}") == ASSETS
        assert len(held) < ASSETS * len(others)
        before = len(assets(alike))
        told(tmp_path, alike, "warm", pinned)
        assert len(assets(alike)) == before
    assert told(tmp_path, alike, "warm", "--unpin", PROJECT)["unpinned"] == [pinned]
    with running_mount(tmp_path, alike, "--cache-size", "200K", COMET_API_KEY="k") as mounted:
        for other in others:
            subprocess.run(["cp", "-r", mounted.path / other, tmp_path / "copy"], check=True, timeout=PATIENCE)
    assert owners(tmp_path).count(f"{0:032x}") < ASSETS


def info(folder: Path, comet: Comet) -> dict[str, Any]:
    (account,) = told(folder, comet, "cache", "info")["accounts"]
    found: dict[str, Any] = account
    return found


def owners(folder: Path) -> list[str]:
    """The experiments whose bodies are in the cache."""
    (account,) = (folder / "cache" / "cometfs").iterdir()
    with closing(sqlite3.connect(account / "index.sqlite")) as db:
        (table,) = db.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'bodies%'").fetchone()
        return [json.loads(key)[2] for (key,) in db.execute(f"SELECT key FROM {table}")]


def test_pinned_through_a_mount_is_the_same(alike: Comet, tmp_path: Path) -> None:
    """Its mount has the key, and says what the path belongs to."""
    with running_mount(tmp_path, alike, COMET_API_KEY="k") as mounted:
        found = told(tmp_path, alike, "warm", "--pin", str(mounted.path / PROJECT))
        assert (found["complete"], found["pinned"]) == (True, True)
    (account,) = (tmp_path / "cache" / "cometfs").iterdir()
    pins = json.loads((account / "pins.json").read_text())
    assert set(pins) == {PROJECT}
    told(tmp_path, alike, "warm", "--pin", PROJECT)
    assert sorted(json.loads((account / "pins.json").read_text())[PROJECT]) == sorted(pins[PROJECT])
