"""Directories on this machine: the logs of daemons, and the caches of all accounts.

Not here: what is in the cache of an account (cache/persistent/).
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple
from urllib.parse import urlsplit

import platformdirs

from cometfs.cache.persistent.occupancy import occupied
from cometfs.comet.address import parse_address
from cometfs.errors import SetupError
from cometfs.fuse.mountinfo import network_of
from cometfs.host.database import FILE
from cometfs.host.home import expand

_REMEDY = "set HOME or XDG_CACHE_HOME to a directory that you may write to, or name one by --cache-dir"


def open_log(mountpoint: Path, cache_dir: Path | None) -> BinaryIO:
    """Where the daemon of a mount writes its log: where the platform keeps such things, else in `cache_dir`.

    Raises SetupError where neither can be.
    """
    try:
        return _opened_log(log_path(mountpoint))
    except (OSError, SetupError) as error:
        if cache_dir is None:
            reason = error.strerror if isinstance(error, OSError) else error
            raise SetupError(
                f"no place for the daemon's log ({reason}): set HOME or XDG_STATE_HOME to a directory that you may"
                " write to, or give --cache-dir or --foreground"
            ) from error
    path = cache_directory(cache_dir) / "log" / log_name(mountpoint)
    try:
        return _opened_log(path)
    except OSError as error:
        raise SetupError(f"cannot write the log {path}: {error.strerror}; name another --cache-dir") from error


def log_path(mountpoint: Path) -> Path:
    """Where the log of a daemon is, if it has found its usual place. Raises SetupError where no home is known."""
    return _platform(platformdirs.user_log_path) / log_name(mountpoint)


def _opened_log(path: Path) -> BinaryIO:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return open(path, "ab", buffering=0, opener=lambda name, flags: os.open(name, flags, 0o600))


def log_name(mountpoint: Path) -> str:
    """A name that no other mountpoint has, with the end of the path for people; no longer than a file's may be."""
    path = os.fspath(mountpoint)
    shown = re.sub(r"[^\w.-]+", "-", path)[-50:].strip("-") or "root"
    return f"{shown}-{hashlib.sha256(os.fsencode(path)).hexdigest()[:16]}.log"


def _platform(directory: Callable[[str], Path]) -> Path:
    """Where the platform keeps such things of this program. Raises SetupError where no home is known."""
    try:
        path = directory("cometfs")
    except RuntimeError:
        path = Path()
    if not path.is_absolute():  # some versions of platformdirs take a bare `~` for a home
        raise SetupError("no home directory is known")
    return path


SERVER = "server"
"""The file in the folder of an account that names its server."""


LOCAL = Path("/var/tmp")
"""Where caches are that would be on a network: on a disk of this machine, and not emptied by each boot."""


def cache_path(wanted: Path | None = None) -> Path:
    """Where the caches of all accounts are, whether it is there or not."""
    path = _wanted_path(wanted)
    return _local(path) if network_of(path) else path


def moved(wanted: Path | None = None) -> list[str]:
    """Why the caches are not where they should be: a sentence, or nothing."""
    try:
        path = _wanted_path(wanted)
    except SetupError:
        return []
    kind = network_of(path)
    if not kind:
        return []
    sentence = f"the cache is in {_local(path)}: {path} is on a network ({kind}), where SQLite cannot share its log"
    return [sentence]


def _local(path: Path) -> Path:
    """A directory of this user's own for what should be at `path`."""
    return LOCAL / f"cometfs-{os.getuid()}-{hashlib.sha256(os.fsencode(path)).hexdigest()[:8]}"


def _wanted_path(wanted: Path | None) -> Path:
    if wanted is not None:
        return _absolute(expand(wanted))
    try:
        return _platform(platformdirs.user_cache_path)
    except SetupError as error:
        raise SetupError(f"no place for the cache ({error}): {_REMEDY}") from error


def _absolute(path: Path) -> Path:
    try:
        return path.absolute()
    except OSError as error:
        raise SetupError(f"{path} leads nowhere: the current directory is gone ({error.strerror})") from error


def cache_directory(wanted: Path | None = None) -> Path:
    """The directory of the caches of all accounts; made, for its owner alone, where there is none. Raises SetupError.

    One that is there stays as it is: it may belong to another user and hold anything, like /tmp.
    """
    path = cache_path(wanted)
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SetupError(f"cannot use {path} for the cache ({error.strerror}): {_REMEDY}") from error
    if path.parent == LOCAL and not _is_ours(path):  # any user may have made it
        raise SetupError(f"{path} belongs to another user: name a local directory by --cache-dir")
    return path


def account_directory(caches: Path, url: str, api_key: str) -> Path:
    """Where answers of one server to one key are kept, for its owner alone. Raises SetupError.

    The key cannot be guessed from the name. What another user has put there is not used: it may hold false answers.
    """
    root = parse_address(url).root
    host = re.sub(r"[^A-Za-z0-9.-]", "_", urlsplit(root).netloc) or "comet"
    return caches / f"{host}-{hashlib.sha256(f'{root} {api_key}'.encode()).hexdigest()[:16]}"


@contextmanager
def account_in_use(caches: Path, url: str, api_key: str) -> Iterator[tuple[Path, Callable[[], None]]]:
    """The folder of an account and what to call when it is worth keeping (cache/persistent/occupancy.py). Raises
    SetupError."""
    path = account_directory(caches, url, api_key)
    with ExitStack() as stack:
        try:
            if os.path.lexists(path) and not _is_ours(path):
                raise SetupError(f"{path} belongs to another user: name another directory by --cache-dir")
            keep = stack.enter_context(occupied(path))
            if path.stat().st_mode & 0o077:
                path.chmod(0o700)
        except OSError as error:
            raise SetupError(f"cannot use {path} for the cache ({error.strerror}): {_REMEDY}") from error
        with suppress(OSError):  # full or read-only: its name has the host
            if not (path / SERVER).exists():
                (path / SERVER).write_text(parse_address(url).root, encoding="utf-8")
        yield path, keep


def _is_ours(folder: Path) -> bool:
    """Whether a folder, and a link to it, was made by the user of this process."""
    return {folder.lstat().st_uid, folder.stat().st_uid} == {os.geteuid()}


class CachedAccount(NamedTuple):
    """An account in the cache: its server as far as it is known, and its folder."""

    server: str
    folder: Path


def accounts(cache_dir: Path | None, url: str | None = None) -> list[CachedAccount]:
    """The accounts that something is kept of, or those of one server. Raises SetupError."""
    caches = cache_path(cache_dir)
    wanted = None if url is None else parse_address(url).root
    try:
        folders = sorted(filter(_is_account, caches.iterdir()))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise SetupError(f"cannot read {caches}: {error.strerror}") from error
    found = [CachedAccount(_server_of(folder), folder) for folder in folders]
    return [account for account in found if wanted in (None, account.server)]


_ACCOUNT = re.compile(r"[A-Za-z0-9._-]+-[0-9a-f]{16}")


def _is_account(folder: Path) -> bool:
    """By its name and what is in it: other things may be beside it, and other users' folders."""
    if not _ACCOUNT.fullmatch(folder.name):
        return False
    with suppress(OSError):  # it is gone now
        return folder.is_dir() and _is_ours(folder) and any((folder / name).exists() for name in (SERVER, FILE))
    return False


def _server_of(folder: Path) -> str:
    try:
        return (folder / SERVER).read_text(encoding="utf-8").strip() or folder.name[:-17]
    except (OSError, UnicodeDecodeError):
        return folder.name[:-17]
