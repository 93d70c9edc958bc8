"""Workloads on big assets in an object store: at their ends, at random, in order, from the disk, over a line far away.

nginx is the store, and what curl and `rclone mount` read from. Bytes are counted by its access log. Not here: assets
of 100 MB, sent by Comet itself (moving.py).
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from benchmark import peers, store
from benchmark.figures import Peer, Row, Runs, at_most, execute, shell, timed
from benchmark.processes import BenchError, Mount, Server, comet_mounted, serving
from benchmark.stage import LATENCY, Stage

RUN = str(Path(store.PLACE).parent)

AT_HAND = (f"ls {RUN}", f"cat {RUN}/params.json")
"""What is done while a big asset is read."""

Work = Callable[[Path], object]
"""What is done in a folder that has the assets."""

MODES = ("off", "full")
NOWHERE = Path("/dev/null")
READS = 100

FIO = (
    *("fio", "--name=random", "--readonly", "--rw=randread", "--ioengine=sync", "--randseed=14", "--fadvise_hint=0"),
    *("--invalidate=0", "--output-format=json"),
)
"""The same places each time, read by pread."""


@contextmanager
def stores(stage: Stage, runs: Path, *, far: bool = False) -> Iterator[tuple[Server, Server]]:
    """The store, and a Comet that redirects there."""
    stage.shut()
    with ExitStack() as stack:
        empty = stack.enter_context(stage.scratch())
        waits = stage.static(empty, LATENCY, stage.work / "huge-waits", stack) if far else None
        web = stack.enter_context(store.nginx(runs, stage.work / "huge-web", waits))
        command: list[str | Path] = [
            "env",
            f"STORE={web.url}",
            sys.executable,
            peers.HERE / "stored_comet.py",
            "serve",
            runs,
        ]
        options = ["--assets", "redirect", "--latency", str(LATENCY if far else 0)]
        comet = stack.enter_context(serving([*command, *options], stage.work / "huge-comet"))
        yield Server(f"{web.url}/{store.KEY}", web.log), comet


def _beside(stage: Stage, name: str, reach: str, most: float | None, work: Work) -> list[Row]:
    """A row of what is done cold, beside rclone; `most`: how long it may take, by rclone's time."""
    peers_of = {mode: Peer(f"`rclone mount --vfs-cache-mode {mode}`") for mode in MODES}
    cold: Runs = []
    with stores(stage, store.make(stage.work)) as (web, comet):
        for _ in range(stage.runs):
            with fresh(stage, comet) as mount:
                cold.append(timed(partial(work, mount.path / store.PLACE), web, mount.daemon))
            _rclone(stage, web, peers_of, work)
    met = [at_most(cold, peer, most) for peer in peers_of.values()] if most else [None]
    return [Row(name, "cold", cold, reach, None if None in met else all(met), list(peers_of.values()))]


@contextmanager
def fresh(stage: Stage, comet: Server, place: str = store.PLACE) -> Iterator[Mount]:
    """A mount that has seen nothing but the names."""
    with stage.scratch() as folder, _again(stage, comet, folder, place) as mount:
        yield mount


@contextmanager
def _again(stage: Stage, comet: Server, folder: Path, place: str = store.PLACE) -> Iterator[Mount]:
    with comet_mounted(comet, folder) as mount:
        execute(["ls", place], mount.path, stage.out)
        yield mount


def _rclone(stage: Stage, web: Server, found: dict[str, Peer], work: Work) -> None:
    for mode, peer in found.items():
        if not peers.has("rclone"):
            peer.missing = peers.NOT_INSTALLED
            continue
        with stage.scratch() as folder, peers.rclone_mounted(web, folder, mode) as mount:
            execute(["ls", mount.path], mount.path, stage.out)
            peer.runs.append(timed(partial(work, mount.path), web, mount.daemon))


def _sent(runs: Runs) -> float:
    """The median of the bytes that were sent."""
    return statistics.median(run.sent for run in runs)


def end(stage: Stage) -> list[Row]:
    """The last 4 KiB of an asset of 8 GiB."""

    def work(at: Path) -> None:
        with (at / store.EIGHT).open("rb", buffering=0) as file:
            file.seek(-4096, 2)
            if not file.read().endswith(store.END):
                raise BenchError(f"WRONG: the end of {store.EIGHT}")

    rows = _beside(stage, "the last 4 KiB of 8 GiB", "3 requests, 2 MiB", None, work)
    rows[0].met = all(run.calls <= 3 and run.sent <= 2 << 20 for run in rows[0].runs)
    return rows


def scattered(stage: Stage) -> list[Row]:
    """Random reads of 4 KiB, 64 KiB and 1 MiB in an asset of 2 GiB, by fio."""
    rows: list[Row] = []
    for size in (4096, 65536, 1 << 20):

        def work(at: Path, size: int = size) -> None:
            execute([*FIO, f"--bs={size}", f"--io_size={size * READS}", f"--filename={store.TWO}"], at, stage.out)
            if json.loads(stage.out.read_bytes())["jobs"][0]["read"]["total_ios"] != READS:
                raise BenchError(f"WRONG: fio did not read {READS} times {size} bytes")

        rows += _beside(stage, f"{READS} random reads of {size >> 10} KiB in 2 GiB", "no slower than rclone", 1, work)
        asked = [runs for runs in (rows[-1].runs, *(peer.runs for peer in rows[-1].peers)) if runs]
        bytes_for = " / ".join(f"{_sent(runs) / size / READS:.1f}" for runs in asked)
        rows[-1].workload += f": {bytes_for} bytes for each asked"
    return rows


def tools(stage: Stage) -> list[Row]:
    """`unzip -l` of a zip of 500 MB; one row of an SQLite file of 200 MB."""
    question = f"SELECT value FROM points WHERE step = {store.ROWS // 3}"
    opened = f"sqlite3.connect('file:{store.TABLE}?mode=ro', uri=True)"
    query = f"import sqlite3; print({opened}.execute('{question}').fetchone())"

    def listed(at: Path) -> None:
        with zipfile.ZipFile(at / store.ZIP) as archive:
            if len(archive.namelist()) != 5_000:
                raise BenchError(f"WRONG: names in {store.ZIP}")

    return [
        *_beside(stage, "the names in a zip of 500 MB", "no slower than rclone", 1, listed),
        *_beside(
            stage,
            "one row of an SQLite file of 200 MB",
            "no slower than rclone",
            1,
            lambda at: execute([sys.executable, "-c", query], at, stage.out),
        ),
    ]


def order(stage: Stage) -> list[Row]:
    """An asset of 1 GiB in order: from the store, the kernel's pages, the disk."""
    return _in_order(stage, far=False)


def far(stage: Stage) -> list[Row]:
    """The same over a line that brings 20 MB/s a connection, 50 ms away."""
    return _in_order(stage, far=True)[:1]


def meanwhile(stage: Stage) -> list[Row]:
    """`ls` and `cat params.json` of what is at hand, while a cold asset of 1 GiB is read."""
    found: dict[str, Runs] = {command: [] for command in AT_HAND}
    with stores(stage, store.make(stage.work)) as (_, comet):
        for _ in range(stage.runs):
            with fresh(stage, comet) as mount:
                for command in AT_HAND:
                    shell(command, mount.path, stage.out)
                _while_reading(mount.path, found, stage.out)
    return [
        Row(
            f"`{command.replace(RUN, 'EXPERIMENT')}` at hand, while 1 GiB is read",
            "warm",
            runs,
            f"50 ms, the worst of {len(runs)}",
            max(run.wall for run in runs) <= 0.05,
        )
        for command, runs in found.items()
    ]


def _while_reading(at: Path, found: dict[str, Runs], out: Path) -> None:
    """Times each command, one after the other, as long as the asset is read."""
    with subprocess.Popen(["cat", at / store.PLACE / store.ORDER], stdout=subprocess.DEVNULL) as cat:
        while cat.poll() is None:
            for command, runs in found.items():
                run = timed(partial(shell, command, at, out))
                if cat.poll() is None:
                    runs.append(run)
    if cat.returncode:
        raise BenchError(f"cat: status {cat.returncode}")


def _in_order(stage: Stage, *, far: bool) -> list[Row]:
    rclone = {mode: Peer(f"`rclone mount --vfs-cache-mode {mode}`") for mode in MODES}
    curl, local = Peer("`curl`"), Peer("`cat` of a local file")
    found: dict[str, Runs] = {"cold": [], "warm": [], "remounted": []}
    with stores(stage, store.make(stage.work), far=far) as (web, comet):
        for _ in range(stage.runs):
            with stage.scratch() as folder:
                for states in (("cold", "warm"), ("remounted",)):
                    with _again(stage, comet, folder) as mount:
                        for state in states:
                            at = mount.path / store.PLACE
                            found[state].append(timed(partial(_cat, at), web, mount.daemon))
            _rclone(stage, web, rclone, _cat)
            url = f"{web.url}/{store.ORDER}"
            curl.runs.append(timed(partial(peers.curl, url, NOWHERE), web))
            local.runs.append(timed(lambda: _cat(store.make(stage.work) / store.KEY)))
    if far:
        name, reach = "1 GiB in order, 20 MB/s a connection, 50 ms", "4 times one connection"
        return [Row(name, "cold", found["cold"], reach, at_most(found["cold"], curl, 1 / 4), [*rclone.values(), curl])]
    met = [at_most(found["cold"], peer, 1 / 2) for peer in rclone.values()] + [at_most(found["cold"], curl, 2)]
    reached = None if None in met else all(met)
    warm, disk = store.GIB / 2e9, store.GIB / 800e6
    name = "1 GiB in order"
    return [
        Row(name, "cold", found["cold"], "1/2 of rclone, 2 x curl", reached, [*rclone.values(), curl]),
        Row(name, "warm", found["warm"], "2 GB/s", max(run.wall for run in found["warm"]) <= warm, [local]),
        Row(
            name, "remounted", found["remounted"], "800 MB/s", max(r.wall for r in found["remounted"]) <= disk, [local]
        ),
    ]


def _cat(at: Path) -> None:
    subprocess.run(["cat", at / store.ORDER], stdout=subprocess.DEVNULL, check=True)
