"""Workloads of `cometfs export`: whole experiments as plain files, without a mount, beside `cometx download`.

Every copy is compared with what the archives hold. Not here: copies out of a mount (moving.py).
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from benchmark import archives, truth
from benchmark.figures import Figures, Peer, Row, Runs, at_most, calls, timed
from benchmark.moving import beside_cometx
from benchmark.processes import COMETFS, BenchError, Server
from benchmark.stage import PROJECT, Stage


def export(stage: Stage) -> list[Row]:
    """10 whole experiments, in both layouts; then again, where all is there."""
    server, peer = stage.comet(archives.RUNS, "whole"), Peer("`cometx download`")
    plain: Runs = []
    again: Runs = []
    cometx: Runs = []
    for _ in range(stage.runs):
        with stage.scratch() as folder:
            plain.append(_exported(server, folder, folder / "plain", "--include", "/run-*"))
            again.append(_exported(server, folder, folder / "plain", "--include", "/run-*"))
            truth.same_assets(stage, folder / "plain")
        with stage.scratch() as folder:
            cometx.append(_exported(server, folder, folder, "--layout", "cometx"))
            truth.same_assets(stage, folder / PROJECT)
        beside_cometx(stage, server, peer)
    name, reach = f"`cometfs export` of {archives.RUNS} whole experiments", "fewer calls, 1/5 of the time"
    return [
        Row(name, "cold", plain, reach, _met(plain, peer), [peer]),
        Row(name, "again", again, "", None),
        Row("the same, `--layout cometx`", "cold", cometx, reach, _met(cometx, peer), [peer]),
    ]


def _met(runs: Runs, peer: Peer) -> bool | None:
    fifth = at_most(runs, peer, 1 / 5)
    return fifth and calls(runs) < calls(peer.runs)


def _exported(server: Server, home: Path, target: Path, *options: str) -> Figures:
    settings = {"COMET_API_KEY": "bench", "COMET_URL_OVERRIDE": server.url, "XDG_CACHE_HOME": str(home / "cache")}
    command = [*COMETFS, "export", PROJECT, str(target), *options]

    def run() -> None:
        done = subprocess.run(command, env={**os.environ, **settings}, capture_output=True, text=True, check=False)
        if done.returncode:
            raise BenchError(f"{command}: status {done.returncode}, {done.stderr[-2000:]}")

    server.settle()
    return timed(run, server)
