"""A cache on a network: SQLite's log cannot be shared there, so it is kept on this machine, and a sentence says so."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cometfs import folders
from cometfs.fuse.mountinfo import Mount, network_of


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "ceph", "lustre"])
def test_types_of_network_file_systems_are_known(kind: str) -> None:
    """By the mount that a path lies on, the innermost."""
    among = [Mount(Path("/"), "ext4"), Mount(Path("/home"), kind), Mount(Path("/home/local"), "xfs")]
    assert network_of(Path("/home/ada/.cache"), among) == kind
    assert network_of(Path("/home/local/x"), among) == ""
    assert network_of(Path("/homely"), among) == ""


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "tmpfs", "overlay", "fuseblk", "zfs"])
def test_others_are_not(kind: str) -> None:
    assert network_of(Path("/x"), [Mount(Path("/"), kind)]) == ""


@pytest.fixture
def on_nfs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory that the kernel would call one on NFS."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setattr("cometfs.fuse.mountinfo.mounts", lambda: [Mount(Path("/"), "ext4"), Mount(home, "nfs4")])
    monkeypatch.setattr(folders, "LOCAL", tmp_path / "var-tmp")
    (tmp_path / "var-tmp").mkdir()
    return home


def test_a_cache_on_a_network_is_moved(on_nfs: Path, tmp_path: Path) -> None:
    """To one place for each directory, this user's alone; all commands find it there."""
    wanted = on_nfs / "cache"
    found = folders.cache_directory(wanted)
    assert found.parent == tmp_path / "var-tmp"
    assert found.name.startswith(f"cometfs-{os.getuid()}-")
    assert found.stat().st_mode & 0o777 == 0o700
    assert folders.cache_path(wanted) == folders.cache_path(found) == found
    assert not wanted.exists()
    (sentence,) = folders.moved(wanted)
    assert sentence.startswith(f"the cache is in {found}: {wanted} is on a network (nfs4)")


def test_a_local_one_stays(on_nfs: Path, tmp_path: Path) -> None:
    assert on_nfs
    assert folders.cache_directory(tmp_path / "cache") == tmp_path / "cache"
    assert folders.moved(tmp_path / "cache") == []
