"""Ways to look at what bears a name: files read whole, their sizes, listings, links; by system calls and by programs.

Not here: what is held open (held_reads.py).
"""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import time
from pathlib import Path

from tests.support.account_history import Place, Told
from tests.support.history import Bytes, Wrong, explained
from tests.support.observer import GONE, Onlooker, Target
from tests.support.processes import PATIENCE

FIXED = frozenset(
    [
        ".api",
        "README.md",
        "archived",
        "charts",
        "experiments.csv",
        "experiments.jsonl",
        "notes.md",
        "overview.html",
        "project.json",
        "summary",
        "url.txt",
        "views",
    ]
)
"""What stands in a project beside its experiments."""


# -- Files by name -----------------------------------------------------------------------------------------------------


def read_whole(eye: Onlooker) -> None:
    """open, read in pieces of any size to the end, close: exactly one version."""
    target, began = eye.target(), time.monotonic()
    before = eye.outputs_shown()
    with eye.absence(target, began):
        data = read_all(eye.root / target.path, eye.chance)
        eye.hold_whole(target, data, began, before)


def cat(eye: Onlooker) -> None:
    """The same by a program."""
    target, began = eye.target(), time.monotonic()
    before = eye.outputs_shown()
    said = subprocess.run(["cat", eye.root / target.path], capture_output=True, check=False, timeout=PATIENCE)
    if said.returncode == 0:
        eye.hold_whole(target, said.stdout, began, before)
    else:
        eye.hold_complaint(target, said.stderr, began)


def tail_lines(eye: Onlooker) -> None:
    """The last lines, by `tail -n`."""
    target, began = eye.target(), time.monotonic()
    command: list[str | Path] = ["tail", "-n", "3", eye.root / target.path]
    said = subprocess.run(command, capture_output=True, check=False, timeout=PATIENCE)
    if said.returncode:
        eye.hold_complaint(target, said.stderr, began)
        return
    found = eye.versions(target, began)
    if all(last_lines(one.whole, 3) != said.stdout for versions in found.values() for one in versions):
        raise Wrong(f"tail of {target.path} said {said.stdout!r}: {explained(said.stdout, found)}")
    eye.count("tail")


def stat(eye: Onlooker) -> None:
    """A size by name is that of a version."""
    target, began = eye.target(), time.monotonic()
    with eye.absence(target, began):
        size = (eye.root / target.path).stat().st_size
        found = eye.versions(target, began)
        if all(one.size != size for versions in found.values() for one in versions):
            raise Wrong(f"stat of {target.path} said {size} bytes: {explained(b'', found)}")
        eye.count("stat")


def read_by_key(eye: Onlooker) -> None:
    """By views/by-key, which leads to where it stands: its own bytes, or those of who took over its name."""
    one, began = eye.experiment(), time.monotonic()
    place = Place(one.place.project)
    target = Target(place, f"views/by-key/{one.key}", eye.file(one))
    try:
        data = read_all(eye.root / target.path, eye.chance)
    except OSError as error:
        if error.errno not in GONE or (one.never_moved and not eye.lacks(one, target.file, began)):
            raise Wrong(f"{target.path} since {began:.3f}: {error}") from error
        return
    found: dict[str, list[Bytes]] = {}
    for directory in eye.names_of(one, place, began):
        found |= eye.account.of_name(place, directory, target.file, began, time.monotonic())
    if all(not version.equals(data) for versions in found.values() for version in versions):
        raise Wrong(f"{target.path} since {began:.3f}: {explained(data, found)}")
    eye.count("by key")


def metadata(eye: Onlooker) -> None:
    """``metadata.json``: name, state and place of an experiment, as they were together."""
    target, began = eye.target("metadata.json"), time.monotonic()
    with eye.absence(target, began):
        told = json.loads(read_all(eye.root / target.path, eye.chance))
        said = Told(**{name: told[name] for name in Told._fields})
        known = eye.told_of(target, said.experimentKey, began)
        if said not in known:
            raise Wrong(f"{target.path} said {said} at {began:.3f}; it was one of {known}")
        eye.count("metadata")


# -- Names -------------------------------------------------------------------------------------------------------------


def list_names(eye: Onlooker) -> None:
    """A listing is one that was true, whole."""
    place, began = eye.place(), time.monotonic()
    found = names_in(eye.root / place.path) - (frozenset() if place.archived else FIXED)
    listed = eye.account.listings[place].within(began - eye.account.lag, time.monotonic())
    if all(found != set(one.directories) for one in listed):
        known = [sorted(one.directories) for one in listed]
        raise Wrong(f"{place.path} listed {sorted(found)} at {began:.3f}; it was one of {known}")
    eye.count("list")


def list_views(eye: Onlooker) -> None:
    """So are the views, and their links lead to names."""
    place, began = Place(eye.place().project), time.monotonic()
    view = eye.chance.choice(("by-key", "running", "finished", "crashed"))
    folder = eye.root / place.path / "views" / view
    found = names_in(folder)
    listed = eye.account.listings[place].within(began - eye.account.lag, time.monotonic())
    expected = [
        {
            key if view == "by-key" else directory
            for directory, key in one.directories.items()
            if view in ("by-key", one.states[key])
        }
        for one in listed
    ]
    if found not in expected:
        raise Wrong(f"{folder} listed {sorted(found)} at {began:.3f}; it was one of {expected}")
    for name in found:
        _read_link(eye, folder / name, place, began)
    eye.count("views")


def _read_link(eye: Onlooker, link: Path, place: Place, began: float) -> None:
    try:
        leads_to = str(link.readlink())
    except OSError as error:
        if error.errno not in GONE:
            raise Wrong(f"{link}: {error}") from error
        return
    if link.parent.name == "by-key":
        known = {f"../../{name}" for name in eye.names_of(eye.account.experiments[link.name], place, began)}
    else:
        known = {f"../../{link.name}"}
    if leads_to not in known:
        raise Wrong(f"{link} led to {leads_to} at {began:.3f}; it was one of {known}")


def list_metrics(eye: Onlooker) -> None:
    """The files of metrics/ are those of metrics that were logged."""
    target, began = eye.target("metrics"), time.monotonic()
    with eye.absence(target, began):
        found = {
            f"{folder.removeprefix('/')}/{file}".removeprefix("/").removesuffix(".csv")
            for folder, file in walked(eye.root / target.path)
        }
        holders = eye.account.holders(target.place, target.directory, began, time.monotonic())
        known = [
            metrics
            for key in holders
            if key is not None
            for metrics in eye.account.experiments[key].metrics.within(began - eye.account.lag)
        ]
        # Its folders are listed one after the other.
        if not any(found <= metrics for metrics in known) or not any(found >= metrics for metrics in known):
            raise Wrong(f"{target.path} listed {sorted(found)} at {began:.3f}; it was one of {known}")
        eye.count("metrics")


def read_all(path: Path, chance: random.Random) -> bytes:
    """Open, read to the end, close."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return read_to_end(descriptor, chance)
    finally:
        os.close(descriptor)


def read_to_end(descriptor: int, chance: random.Random) -> bytes:
    """In pieces of some size, until there is no more."""
    size, pieces = chance.choice((777, 4096, 50_000, 1 << 20)), []
    while piece := os.read(descriptor, size):
        pieces.append(piece)
        if len(pieces) > 50:
            size = 1 << 20
    return b"".join(pieces)


def names_in(folder: Path) -> set[str]:
    """What a directory lists."""
    return {entry.name for entry in folder.iterdir()}


def last_lines(data: bytes, many: int) -> bytes:
    """What `tail -n` prints."""
    lines = re.findall(rb"[^\n]*\n|[^\n]+", data)
    return b"".join(lines[-many:])


def walked(folder: Path) -> list[tuple[str, str]]:
    """Folder below it and name of every file in it."""
    found = []
    for parent, _, files in os.walk(folder, onerror=_raised):
        found += [(str(parent).removeprefix(str(folder)), file) for file in files]
    return found


def _raised(error: OSError) -> None:
    raise error
