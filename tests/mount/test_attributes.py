"""Modes, owners and times of the mounted sample, and that nothing of it can be changed."""

from __future__ import annotations

import errno
import json
import os
import re
import stat
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.archive_contents import Archive, folders, read_archives
from tests.support.processes import Mounted


def test_modes_and_owner_are_those_that_copies_shall_have(warm: Mounted) -> None:
    """Directories 0755, files 0644, links 0777 as links are, all owned by who mounted."""
    for path in (warm.path, *warm.path.rglob("*")):
        status = path.lstat()
        kinds = {stat.S_IFDIR: 0o755, stat.S_IFREG: 0o644, stat.S_IFLNK: 0o777}
        assert stat.S_IMODE(status.st_mode) == kinds[stat.S_IFMT(status.st_mode)], path
        assert (status.st_uid, status.st_gid) == (os.getuid(), os.getgid()), path


def _write(path: Path) -> None:
    path.write_bytes(b"x")


WRITES: dict[str, Callable[[Path], object]] = {
    "open for writing": lambda path: (path / "project.json").open("r+b"),
    "truncate": lambda path: os.truncate(path / "project.json", 0),
    "create": lambda path: _write(path / "new.txt"),
    "mkdir": lambda path: (path / "new").mkdir(),
    "unlink": lambda path: (path / "project.json").unlink(),
    "rmdir": lambda path: (path / "forest-200").rmdir(),
    "rename": lambda path: (path / "project.json").rename(path / "other.json"),
    "chmod": lambda path: (path / "project.json").chmod(0o644),
    "utime": lambda path: os.utime(path / "project.json", (1, 1)),
    "utime of the past and now": lambda path: os.utime(path / "project.json", ns=(time.time_ns(), 1)),
    "utime of a directory": lambda path: os.utime(path, (1, 1)),
    "chown": lambda path: os.chown(path / "project.json", os.getuid(), os.getgid()),
    "mknod": lambda path: os.mknod(path / "new"),
    "fifo": lambda path: os.mkfifo(path / "new"),
    "open to empty": lambda path: os.open(path / "project.json", os.O_RDONLY | os.O_TRUNC),
    "open to make": lambda path: os.open(path / "new", os.O_RDONLY | os.O_CREAT),
    "symlink": lambda path: (path / "link").symlink_to("project.json"),
    "hard link": lambda path: (path / "link").hardlink_to(path / "project.json"),
    "set an attribute": lambda path: os.setxattr(path / "project.json", "user.note", b"x"),
    "remove an attribute": lambda path: os.removexattr(path / "project.json", "user.comet.url"),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_writing_anything_says_that_the_file_system_is_read_only(
    write: Callable[[Path], object], warm: Mounted
) -> None:
    """Every way to change something ends in EROFS."""
    with pytest.raises(OSError, match="Read-only") as error:
        write(warm / "tabular/wine-cultivars")
    assert error.value.errno == errno.EROFS


def test_nothing_says_that_it_may_be_written(warm: Mounted) -> None:
    """What asks before it writes (an editor) hears the same as what just tries."""
    for name in ("", "project.json", "forest-200"):
        assert os.access(warm / "tabular/wine-cultivars" / name, os.R_OK)
        assert not os.access(warm / "tabular/wine-cultivars" / name, os.W_OK)


def test_nothing_says_that_it_is_a_program(warm: Mounted) -> None:
    """As its mode says; a directory may be entered."""
    for name in ("project.json", ".cometfs/status.json"):
        path = warm / name if name.startswith(".") else warm / "tabular/wine-cultivars" / name
        assert not os.access(path, os.X_OK)
        assert os.access(path, os.R_OK)
    for name in ("", "forest-200"):
        assert os.access(warm / "tabular/wine-cultivars" / name, os.R_OK | os.X_OK)


@pytest.fixture(scope="module")
def archives(warm: Mounted) -> list[Archive]:
    return read_archives(warm.comet.archives)


def milliseconds(path: Path) -> int:
    return round(path.stat().st_mtime_ns / 1_000_000)


def test_times_are_those_of_the_experiment(archives: list[Archive], warm: Mounted) -> None:
    """A directory of an experiment was last changed when the experiment ended."""
    for archive in archives:
        assert milliseconds(warm.path / folders(archives)[archive.key]) == archive.about["stop_time"]


def test_times_of_projects_are_their_last_update(warm: Mounted) -> None:
    """A directory of a project has the time that Comet gives as its last update."""
    for project in (path for path in warm.path.glob("[!.]*/[!.]*") if path.is_dir()):
        assert milliseconds(project) == json.loads((project / "project.json").read_bytes())["lastUpdated"]


def test_times_of_assets_are_when_they_were_logged(archives: list[Archive], warm: Mounted) -> None:
    """An asset's mtime is its createdAt, also in a folder and beside its equals."""
    checked = 0
    for archive in archives:
        place = warm.path / folders(archives)[archive.key] / "assets"
        names = [asset.name for asset in archive.assets]
        for asset in archive.assets:
            plain_name = re.fullmatch(r"[\w /.]*[\w ]", asset.name) and ".." not in asset.name
            if asset.created and asset.named and plain_name and names.count(asset.name) == 1:
                path = place / asset.name
                if path.is_file():
                    assert milliseconds(path) == asset.created, path
                    checked += 1
    assert checked > 20
