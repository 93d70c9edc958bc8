"""The cache: whether it can be written, its file system, the room on that, and its health."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from rich import filesize

from cometfs import folders
from cometfs.cache.persistent.eviction import FLOOR, FREE, disk_of
from cometfs.cache.persistent.inspection import look
from cometfs.doctor.local.finding import Finding, ok
from cometfs.errors import SetupError

ELSEWHERE = "free some, or name another disk by --cache-dir"


def cache(wanted: Path | None) -> Iterator[Finding]:
    """`wanted`: the directory that an option names."""
    for sentence in folders.moved(wanted):
        yield Finding("note", "cache", sentence, "name a local --cache-dir")
    try:
        folder = folders.cache_directory(wanted)
    except SetupError as error:
        sentence, _, remedy = str(error).rpartition(": ")
        yield Finding("wrong", "cache", sentence, remedy)
        return
    yield from _writable(folder)
    yield from _room(folder)
    yield from _health(wanted)


def _writable(folder: Path) -> Iterator[Finding]:
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"x" * 4096)
            file.flush()
    except OSError as error:
        yield Finding("wrong", "cache", f"{folder} cannot be written: {error.strerror}", ELSEWHERE)
    else:
        yield ok("cache", f"{folder} can be written")


def _room(folder: Path) -> Iterator[Finding]:
    disk = disk_of(folder)
    free, spare = filesize.decimal(disk.free), max(int(disk.size * FREE), FLOOR)
    if disk.free < FLOOR:
        yield Finding("wrong", "cache space", f"its disk is full: {free} are free, and nothing is cached", ELSEWHERE)
    elif disk.free < spare:
        sentence = f"only {free} of its disk are free: older entries go until {filesize.decimal(spare)} are"
        yield Finding("note", "cache space", sentence, ELSEWHERE)
    else:
        yield ok("cache space", f"{free} are free")


def _health(wanted: Path | None) -> Iterator[Finding]:
    for account in folders.accounts(wanted):
        contents = look(account.folder)
        if contents.state:
            remedy = "'cometfs cache verify' sets what is damaged aside; cometfs itself does so when it meets it"
            yield Finding("wrong", "cache health", f"{account.server}: {contents.state}", remedy)
        elif contents.damaged:
            sentence = f"{account.server}: {contents.damaged} times something damaged was set aside"
            yield Finding("note", "cache health", sentence, "look at the disk; 'cometfs cache clear' removes that")
        else:
            yield ok("cache health", f"{account.server}: {filesize.decimal(contents.totals.bytes)}, sound")
