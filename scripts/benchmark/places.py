"""The workload of 10,000 small files that lie in five places: cometfs, rclone, bare pyfuse3, tmpfs and the disk.

Not here: what is read for the first time (reading.py).
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from pathlib import Path

from benchmark import peers
from benchmark.figures import Peer, Row, Runs, at_most, shell, timed
from benchmark.processes import BenchError, Mount, Server, comet_mounted
from benchmark.stage import PROJECT, Stage, say

MANY = 5_000
FILES = 10_000
FOLDERS = f"{PROJECT}/run-0[1-4]*/metrics/"
"""The metrics of 4 archives in 500 copies each: 2,000 folders of 5 files."""

GREP = f"grep -r '^99,' {FOLDERS}"
"""A line of each file matches, so that what each place answers can be compared."""

WHOLE = 100
GREP_ALL = f"grep -r --binary-files=without-match lr {PROJECT}"

OURS, RCLONE, FLOOR = "cometfs", "`rclone mount`", "bare pyfuse3"


def grep_warm(stage: Stage) -> list[Row]:
    """`grep -r` over 10,000 small files when everything is warm; the same files in rclone, pyfuse3, tmpfs, on disk."""
    server = stage.comet(MANY)
    with ExitStack() as stack:
        folder = stack.enter_context(stage.scratch())
        mount = stack.enter_context(comet_mounted(server, folder))
        places = _others(stage, _copied(stage, mount, stack), folder, stack) | {OURS: mount.path}
        _check_same({name: _answer(stage, path) for name, path in places.items()})
        runs = _alternated(stage, places, server, mount)
    rclone, floor = (Peer(name, runs.get(name, []), peers.NOT_INSTALLED) for name in (RCLONE, FLOOR))
    rest = [Peer(name, runs[name]) for name in places if name not in (OURS, RCLONE, FLOOR)]
    met = _both(at_most(runs[OURS], rclone, 1 / 5), at_most(runs[OURS], floor, 1.5))
    name, reach = f"`grep -r` over {FILES:,} small files", "at most 0.2 of rclone, 1.5 of pyfuse3"
    return [Row(name, "warm", runs[OURS], reach, met, [rclone, floor, *rest])]


def grep_whole(stage: Stage) -> list[Row]:
    """`grep -r lr PROJECT`, 100 whole experiments cold, and warm beside the same files in pyfuse3."""
    server = stage.comet(WHOLE, "whole")
    runs: dict[str, Runs] = {"cold": [], OURS: [], FLOOR: []}
    for _ in range(stage.runs):
        with ExitStack() as stack:
            folder = stack.enter_context(stage.scratch())
            mount = stack.enter_context(comet_mounted(server, folder))
            runs["cold"].append(timed(partial(shell, GREP_ALL, mount.path, stage.out), server, mount.daemon))
            files = stack.enter_context(stage.scratch(fast=True))
            # Without links, which grep does not follow, and the bare file system does not have.
            shell(f"cp --recursive --parents {PROJECT} {files} && find {files} -type l -delete", mount.path, stage.out)
            places = {OURS: mount.path}
            places[FLOOR] = stack.enter_context(peers.floor_mounted(files, folder / "floor")).path
            _check_alike({name: _answer(stage, path, GREP_ALL) for name, path in places.items()})
            for name, path in places.items():
                asked = (server, mount.daemon) if name == OURS else ()
                runs[name].append(timed(partial(shell, GREP_ALL, path, stage.out), *asked))
    floor, name = Peer(FLOOR, runs[FLOOR]), f"`grep -r lr PROJECT` whole, {WHOLE} experiments"
    return [
        Row(name, "cold", runs["cold"], "", None),
        Row(name, "warm", runs[OURS], "at most 1.2 of pyfuse3", at_most(runs[OURS], floor, 1.2), [floor]),
    ]


def _both(one: bool | None, other: bool | None) -> bool | None:
    if one is None or other is None:
        return False if False in (one, other) else None
    return one and other


def _copied(stage: Stage, mount: Mount, stack: ExitStack) -> Path:
    """The files on tmpfs (or the disk), as the mount has them; copying them is what warms the mount."""
    target = stack.enter_context(stage.scratch(fast=True))
    say(f"    copying {FILES:,} files")
    shell(f"cp --recursive --parents {FOLDERS} {target}", mount.path, stage.out)
    found = sum(1 for _ in target.rglob("*.csv"))
    if found != FILES:
        raise BenchError(f"{found} files were copied, not {FILES}")
    return target


def _others(stage: Stage, files: Path, folder: Path, stack: ExitStack) -> dict[str, Path]:
    """The other places of the files, by name."""
    say("    filling rclone's cache")
    places = {peers.filesystem(files): files}
    if peers.filesystem(folder) not in places:
        disk = folder / "disk"
        shell(f"cp --recursive {files} {disk}", folder, stage.out)
        places[peers.filesystem(folder)] = disk
    if peers.has("rclone"):
        web = stage.static(files, 0, folder / "web", stack)
        places[RCLONE] = stack.enter_context(peers.rclone_mounted(web, folder / "rclone", "full")).path
        shell(f"ls -d {FOLDERS} | xargs -P 8 -n 50 grep -rc , ", places[RCLONE], stage.out)
    places[FLOOR] = stack.enter_context(peers.floor_mounted(files, folder / "floor")).path
    return places


def _answer(stage: Stage, path: Path, command: str = GREP) -> list[bytes]:
    """What grep finds in a place, sorted; the first time is what warms the place."""
    shell(command, path, stage.out)
    return sorted(stage.out.read_bytes().splitlines())


def _check_alike(answers: dict[str, list[bytes]]) -> None:
    if not answers[OURS] or answers[OURS] != answers[FLOOR]:
        found = {name: len(lines) for name, lines in answers.items()}
        raise BenchError(f"grep finds other lines in the two places: {found}")


def _check_same(answers: dict[str, list[bytes]]) -> None:
    for name, found in answers.items():
        if len(found) != FILES or found != answers[OURS]:
            raise BenchError(f"grep finds {len(found)} lines in {name}, and not those of {OURS}")


def _alternated(stage: Stage, places: dict[str, Path], server: Server, mount: Mount) -> dict[str, Runs]:
    runs: dict[str, Runs] = {name: [] for name in places}
    for _ in range(stage.runs):
        for name, path in places.items():
            asked = (server, mount.daemon) if name == OURS else ()
            runs[name].append(timed(partial(shell, GREP, path, stage.out), *asked))
    return runs
