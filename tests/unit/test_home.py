"""Where things are kept for a user, and where nobody knows that."""

from __future__ import annotations

import os
import pwd
import resource
from pathlib import Path

import pytest

from cometfs.config import mount_settings
from cometfs.errors import SetupError
from cometfs.folders import log_name
from cometfs.fuse.unmounting import FILES, files_of
from cometfs.host.home import expand, home


def nobody(_uid: int) -> pwd.struct_passwd:
    raise KeyError


@pytest.mark.parametrize("written", [None, "relative", "~"])
def test_home_that_is_none_is_none(written: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not set without a passwd entry, not absolute: nothing is put into a directory called `~`."""
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    monkeypatch.delenv("HOME")
    if written is not None:
        monkeypatch.setenv("HOME", written)
    assert home() is None
    with pytest.raises(SetupError, match="set HOME, or write the path whole"):
        expand(Path("~/comet"))


def test_home_that_is_one_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a leading `~`, and nowhere else."""
    monkeypatch.setenv("HOME", "/home/me")
    assert home() == Path("/home/me")
    assert expand(Path("~/comet")) == Path("/home/me/comet")
    assert expand(Path("a/~/b")) == Path("a/~/b")


def test_user_that_does_not_exist_is_a_sentence() -> None:
    """`~name` of nobody."""
    with pytest.raises(SetupError, match="cannot tell which home directory ~no-such-user/comet means"):
        expand(Path("~no-such-user/comet"))


def test_every_mountpoint_has_a_log_of_its_own() -> None:
    """Though all that a path may hold becomes a dash in its name; and a name is never too long for a file."""
    paths = [
        "/a/b-c",
        "/a-b/c",
        "/a b-c",
        "/a/b/c",
        "/",
        "/a/b-c/..",
        "/" + "x" * 280,
        "/y" + "x" * 280,
        "/\n",
        "/\udcff",
    ]
    paths += ["/" + "\N{GRINNING FACE}" * 1000, "/" + "ü" * 1000]
    names = [log_name(Path(path)) for path in paths]
    assert len(set(names)) == len(paths)
    assert max(len(os.fsencode(name)) for name in names) <= 255
    assert all("/" not in name and name.isprintable() for name in names)
    assert log_name(Path("/home/me/comet")).startswith("home-me-comet-")


def test_cache_directory_is_meant_from_where_the_command_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon has another working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COMET_API_KEY", "k")
    assert mount_settings(tmp_path, cache_dir=Path("c")).cache_dir == tmp_path / "c"


def test_descriptors_are_taken_up_to_what_is_of_use() -> None:
    """A billion, or no limit, is not handed to programs that close them all."""
    assert [files_of(most) for most in (1024, 20_000, 10**9)] == [1024, 20_000, FILES]
    assert files_of(resource.RLIM_INFINITY) == FILES
