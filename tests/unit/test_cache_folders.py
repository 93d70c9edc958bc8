"""Where caches are kept: what was there stays as it is, and what another user has put there is not used."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from cometfs.errors import SetupError
from cometfs.folders import account_in_use, accounts, cache_directory

URL = "http://127.0.0.1:1"
SOMEBODY = 65534


def account_directory(caches: Path, url: str, api_key: str) -> Path:
    """The folder of an account that a mount has used."""
    with account_in_use(caches, url, api_key) as (folder, keep):
        keep()
    return folder


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def _root() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can make a file of another user's")


@pytest.mark.parametrize("former", [0o755, 0o1777, 0o2770, 0o700])
def test_a_directory_that_was_there_keeps_its_mode(former: int, tmp_path: Path) -> None:
    """Be it /tmp; the account's folder in it is for its owner alone."""
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(former)
    folder = account_directory(cache_directory(shared), URL, "k")
    assert mode(shared) == former
    assert (folder.parent, mode(folder) & 0o777) == (shared, 0o700)  # a set-group-id bit is passed on


def test_a_directory_that_is_made_is_for_its_owner(tmp_path: Path) -> None:
    """Whatever the umask; those above it are as others are."""
    before = os.umask(0)
    try:
        made = cache_directory(tmp_path / "a" / "b")
    finally:
        os.umask(before)
    assert mode(made) == 0o700


def test_an_account_s_folder_that_is_open_is_closed(tmp_path: Path) -> None:
    """As one is that was copied."""
    folder = account_directory(tmp_path, URL, "k")
    folder.chmod(0o755)
    assert account_directory(tmp_path, URL, "k") == folder
    assert mode(folder) == 0o700


@pytest.mark.usefixtures("_root")
@pytest.mark.parametrize("planted", ["folder", "link to a folder of theirs", "link to a folder of ours"])
def test_a_folder_of_another_user_is_not_used(planted: str, tmp_path: Path) -> None:
    """It may hold answers that Comet never gave. It is left as it is."""
    folder = account_directory(tmp_path, URL, "k")
    (folder / "server").unlink()
    folder.rmdir()
    place = folder if planted == "folder" else tmp_path / "elsewhere"
    place.mkdir(mode=0o755)
    if planted != "link to a folder of ours":
        os.chown(place, SOMEBODY, SOMEBODY)
    if planted != "folder":
        folder.symlink_to(place)
        os.lchown(folder, SOMEBODY, SOMEBODY)
    with pytest.raises(SetupError, match=r"another user.*--cache-dir"):
        account_directory(tmp_path, URL, "k")
    assert (mode(place), list(place.iterdir())) == (0o755, [])


@pytest.mark.usefixtures("_root")
def test_commands_see_no_folder_of_another_user(tmp_path: Path) -> None:
    """They would read it, and remove what is in it."""
    own = account_directory(tmp_path, URL, "k")
    other = account_directory(tmp_path, URL, "other")
    os.chown(other, SOMEBODY, SOMEBODY)
    assert [account.folder for account in accounts(tmp_path)] == [own]


def test_commands_see_no_folder_that_only_has_such_a_name(tmp_path: Path) -> None:
    """Other things may lie beside the accounts."""
    own = account_directory(tmp_path, URL, "k")
    (tmp_path / "build-0123456789abcdef" / "damaged").mkdir(parents=True)
    (tmp_path / "gone-0123456789abcdef").symlink_to("nowhere")
    assert [account.folder for account in accounts(tmp_path)] == [own]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """With the option that names another."""
    (tmp_path / "file").write_text("mine")
    with pytest.raises(SetupError, match=r"cannot use .*file.*--cache-dir"):
        cache_directory(tmp_path / "file" / "cache")
    with pytest.raises(SetupError, match=r"cannot use .*file.*--cache-dir"):
        account_directory(tmp_path / "file", URL, "k")
