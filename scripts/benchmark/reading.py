"""Workloads that read small files: one, one of each experiment, all of a metric's, a table of all.

What was read is checked against the archives, or against other files of the mount. Not here: the same files in other
places (places.py), and big ones (moving.py).
"""

from __future__ import annotations

import random
from collections.abc import Callable

from benchmark import archives, peers, truth
from benchmark.figures import Peer, Row, execute, no_more, shell, timed
from benchmark.processes import Mount
from benchmark.stage import LATENCY, PROJECT, Stage

SOME, MANY = 1_000, 5_000

ONE = 1.2 * LATENCY / 1000 + 0.010
"""Seconds that one cold file may take."""


def cat_one(stage: Stage) -> list[Row]:
    """`cat` of one cold params.json, its directory listed; beside it curl of the same answer and `cat` on tmpfs."""
    server, chance = stage.comet(MANY), random.Random("cat")
    alone, floor = Peer("`curl` of the same answer"), Peer("`cat` of a local file")
    local = stage.work / "params.json"
    local.write_text("{}\n")
    place = {"folder": "", "key": ""}

    def prepare(mount: Mount) -> None:
        execute(["ls", f"{PROJECT}/{place['folder']}"], mount.path, stage.out)
        place["key"] = (mount.path / PROJECT / place["folder"] / "url.txt").read_text().strip().rpartition("/")[2]

    def action(mount: Mount) -> None:
        execute(["cat", f"{PROJECT}/{place['folder']}/params.json"], mount.path, stage.out)

    def beside() -> None:
        url = f"{server.url}/api/rest/v2/experiment/parameters?experimentKey={place['key']}"
        _beside(alone, peers.has("curl"), lambda: peers.curl(url, stage.out, key=True))
        _beside(floor, True, lambda: execute(["cat", local], stage.work, stage.out))
        turn()

    def turn() -> None:
        place["folder"] = f"run-{chance.randint(1, archives.RUNS):02}-r{chance.randint(2, MANY // archives.RUNS):04}"

    turn()
    found = stage.states(
        server, action, prepare=prepare, check=lambda _: truth.params(stage, place["folder"]), beside=beside
    )
    name, reach = "`cat` of one `params.json`, its directory listed", f"1 call, {ONE * 1000:.0f} ms"
    return [
        Row(name, "cold", found["cold"], reach, no_more(found["cold"], 1, ONE), [alone, floor]),
        Row(name, "warm", found["warm"], "0 calls", no_more(found["warm"], 0)),
        Row(name, "remounted", found["remounted"], "0 calls", no_more(found["remounted"], 0)),
    ]


def _beside(peer: Peer, there: bool, action: Callable[[], None]) -> None:
    if there:
        peer.runs.append(timed(action))
    else:
        peer.missing = peers.NOT_INSTALLED


def cat_params(stage: Stage) -> list[Row]:
    """`cat PROJECT/*/params.json`, 1,000 experiments."""
    found = stage.states(
        stage.comet(SOME),
        lambda mount: shell(f"cat {PROJECT}/*/params.json", mount.path, stage.out),
        check=lambda mount: truth.all_params(stage, mount.path / PROJECT, SOME),
    )
    name = f"`cat PROJECT/*/params.json`, {SOME:,} experiments"
    return [
        Row(name, "cold", found["cold"], "20 calls, 4 s", no_more(found["cold"], 20, 4)),
        Row(name, "warm", found["warm"], "0 calls", no_more(found["warm"], 0)),
        Row(name, "remounted", found["remounted"], "", None),
    ]


def grep_metrics(stage: Stage) -> list[Row]:
    """`grep -r lr PROJECT/*/metrics/`, 1,000 experiments of 5 metrics."""
    found = stage.states(
        stage.comet(SOME),
        lambda mount: shell(f"grep -r lr {PROJECT}/*/metrics/", mount.path, stage.out),
        last=lambda mount: truth.all_metrics(stage, mount.path / PROJECT, SOME),
    )
    name = f"`grep -r lr PROJECT/*/metrics/`, {SOME:,} experiments x 5 metrics"
    return [
        Row(name, "cold", found["cold"], "60 calls, 20 s", no_more(found["cold"], 60, 20)),
        Row(name, "warm", found["warm"], "0 calls, 2 s", no_more(found["warm"], 0, 2)),
        Row(name, "remounted", found["remounted"], "", None),
    ]


def table(stage: Stage) -> list[Row]:
    """`cat PROJECT/experiments.csv`, 1,000 experiments, every value held against metrics.json and params.json."""
    found = stage.states(
        stage.comet(SOME),
        lambda mount: execute(["cat", f"{PROJECT}/experiments.csv"], mount.path, stage.out),
        check=lambda _: truth.whole_table(stage, SOME),
        last=lambda mount: truth.same_values(stage, mount.path / PROJECT),
    )
    name = f"`cat PROJECT/experiments.csv`, {SOME:,} experiments"
    return [
        Row(name, "cold", found["cold"], "60 calls, 10 s", no_more(found["cold"], 60, 10)),
        Row(name, "warm", found["warm"], "", None),
        Row(name, "remounted", found["remounted"], "", None),
    ]
