"""The workload of thousands of small assets of one experiment, copied with `cp -r`.

Not here: assets of whole experiments (moving.py), and big ones (huge.py).
"""

from __future__ import annotations

import random
import shutil
from functools import partial
from pathlib import Path

from benchmark import store
from benchmark.figures import Row, median, shell, timed
from benchmark.processes import COMETFS, BenchError, Command, comet_mounted, serving
from benchmark.stage import LATENCY, Stage

COUNT, SIZE = 2_000, 10 << 10

SECONDS = 10


def copied(stage: Stage) -> list[Row]:
    """`cp -r` of 2,000 assets of 10 KiB."""
    stage.shut()
    runs = store.made(stage.work, "small", _write)
    command: Command = [*COMETFS, "serve", runs, "--latency", str(LATENCY)]
    found = []
    with serving(command, stage.work / "small-comet") as server:
        for _ in range(stage.runs):
            with stage.scratch() as folder, comet_mounted(server, folder) as mount:
                target = folder / "copied"
                copy = f"cp -r bench/small/run/assets {target}"
                found.append(timed(partial(shell, copy, mount.path, stage.out), server, mount.daemon))
                _check(target, runs / store.KEY)
                shutil.rmtree(target)
    name = f"`cp -r` of {COUNT:,} assets of {SIZE >> 10} KiB"
    return [Row(name, "cold", found, f"{SECONDS} s", median(found) <= SECONDS)]


def _write(run: Path) -> None:
    store.log(run, "small", names := [f"part-{number:04}.bin" for number in range(COUNT)])
    for name in names:
        (run / name).write_bytes(random.Random(name).randbytes(SIZE))


def _check(copied: Path, logged: Path) -> None:
    found = {path.name: path.read_bytes() for path in copied.iterdir()}
    if found != {path.name: path.read_bytes() for path in logged.glob("part-*")}:
        raise BenchError(f"WRONG: what was copied of {COUNT} assets")
