"""The folder of an account: made for a mount, kept when something comes of it, never taken from another."""

from __future__ import annotations

import multiprocessing
import stat
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from cometfs.cache.persistent.occupancy import occupied


def test_folder_that_nothing_came_of_goes(tmp_path: Path) -> None:
    """With all that is in it."""
    folder = tmp_path / "account"
    with occupied(folder):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        (folder / "bodies").mkdir()
        (folder / "bodies/1").write_text("x")
    assert not folder.exists()


def test_folder_that_is_worth_keeping_stays(tmp_path: Path) -> None:
    """Once it is said so, and ever after, though the body fails."""
    folder = tmp_path / "account"
    with pytest.raises(ZeroDivisionError), occupied(folder) as keep:
        fail(keep)
    with occupied(folder):
        pass
    assert folder.exists()


def fail(keep: Callable[[], None]) -> None:
    keep()
    raise ZeroDivisionError


def occupy(folder: Path, mine: Connection) -> None:
    with occupied(folder) as keep:
        mine.send("in")
        mine.recv()
        keep()


def test_folder_that_another_process_uses_stays(tmp_path: Path) -> None:
    """Though this one made it and failed."""
    folder = tmp_path / "account"
    mine, theirs = multiprocessing.Pipe()
    other = multiprocessing.get_context("spawn").Process(target=occupy, args=(folder, theirs))
    with occupied(folder):
        other.start()
        assert mine.recv() == "in"
    assert folder.exists()
    mine.send("out")
    other.join()
    assert other.exitcode == 0
    assert folder.exists()
