"""What the commands are told: options and surroundings become settings, or a sentence that says what is missing.

Not here: where a key and an address are found when no option names them (comet/settings.py).
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple
from urllib.parse import urlsplit

import platformdirs

from cometfs.cache.persistent.occupancy import occupied
from cometfs.comet.address import parse_address
from cometfs.comet.settings import find_settings
from cometfs.database import FILE
from cometfs.errors import SetupError
from cometfs.fuse.mountinfo import resolve
from cometfs.home import expand
from cometfs.lease import RUNNING

RATE = 15_000
"""Calls an hour that Comet documents for a key."""

CACHE_SIZE = "10G"
"""What is kept on disk where nobody says otherwise."""

DEADLINE = 30.0
"""Seconds that a program waits at most for one answer of the mount."""


@dataclass(frozen=True)
class MountSettings:
    """Everything that `cometfs mount` needs to know."""

    mountpoint: Path
    api_key: str
    url: str
    workspaces: tuple[str, ...] = ()
    """Show just these; empty: all that the key can see."""
    deadline: float = DEADLINE
    rw: bool = False
    """Whether the store can be written to; everything else is only read in any case."""
    cache_dir: Path | None = None
    """Where what was fetched is kept; None: where the platform keeps such things."""
    cache_size: int = 10**10
    """Bytes of it at most; `CACHE_SIZE`."""
    rate: int = RATE
    """Calls an hour."""
    live_interval: float = RUNNING
    """Seconds for which answers about an experiment hold that may be running."""
    key_files: tuple[Path, ...] = ()
    """Files with a key in them that were read."""
    allow_non_empty: bool = False
    """Whether the mount may hide files of its mountpoint."""
    foreground: bool = False
    """Whether it runs in the foreground: its warnings are read, so that it may run without a place for a cache."""

    def __repr__(self) -> str:
        return f"MountSettings({self.mountpoint}, {self.url})"  # never the key


@dataclass(frozen=True)
class ServeSettings:
    """Everything that `cometfs serve` needs to know."""

    archives: Path | None
    """None: the sample that comes with the package."""
    bind: str
    api_key: str | None
    """None: any key that is not empty."""
    latency_ms: float
    access_log: Path | None
    replicate: int
    crashed_after: float
    """Seconds of silence."""
    hosts: tuple[str, ...] = ()
    """What others call this server: NAME or NAME:PORT."""


def mount_settings(
    mountpoint: Path,
    *,
    url: str | None = None,
    api_key_file: Path | None = None,
    workspaces: Sequence[str] = (),
    deadline: float = DEADLINE,
    rw: bool = False,
    cache_dir: Path | None = None,
    cache_size: str = CACHE_SIZE,
    rate: int = RATE,
    live_interval: float = RUNNING,
    allow_non_empty: bool = False,
    foreground: bool = False,
) -> MountSettings:
    """Settings from options, else from where Comet's own clients look. Raises SetupError where the key is missing."""
    found = find_settings(_key_in(api_key_file) if api_key_file else None, url)
    return MountSettings(
        resolve(mountpoint),
        found.api_key,
        found.url,
        tuple(workspaces),
        deadline,
        rw,
        cache_path(cache_dir) if cache_dir else None,  # a daemon has another working directory
        size_in_bytes(cache_size),
        rate,
        live_interval,
        (*([api_key_file.expanduser()] if api_key_file else []), *found.key_files),
        allow_non_empty,
        foreground,
    )


def _key_in(path: Path) -> str:
    try:
        key = expand(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise SetupError(f"cannot read the API key from {path}: {reason}") from error
    if not key:
        raise SetupError(f"{path} holds no API key: it is empty")
    return key


def open_log(mountpoint: Path, cache_dir: Path | None) -> BinaryIO:
    """Where the daemon of a mount writes its log: where the platform keeps such things, else in `cache_dir`.

    Raises SetupError where neither can be.
    """
    try:
        return _opened_log(_platform(platformdirs.user_log_path) / log_name(mountpoint))
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
"""The file in the folder of an account that tells its server."""


def cache_path(wanted: Path | None = None) -> Path:
    """Where the caches of all accounts are, whether it is there or not."""
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


_REMEDY = "set HOME or XDG_CACHE_HOME to a directory that you may write to, or name one by --cache-dir"


def cache_directory(wanted: Path | None = None) -> Path:
    """The directory of the caches of all accounts; made, for its owner alone, where there is none. Raises SetupError.

    One that is there stays as it is: it may be anybody's and hold anything, like /tmp.
    """
    path = cache_path(wanted)
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SetupError(f"cannot use {path} for the cache ({error.strerror}): {_REMEDY}") from error
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
    """The folder of an account and what to call when it is worth keeping (cache/occupancy.py). Raises SetupError."""
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
        with suppress(OSError):  # full or read-only: its name tells as much
            if not (path / SERVER).exists():
                (path / SERVER).write_text(parse_address(url).root, encoding="utf-8")
        yield path, keep


def _is_ours(folder: Path) -> bool:
    """Whether a folder, and a link to it, was made by the user of this process."""
    return {folder.lstat().st_uid, folder.stat().st_uid} == {os.geteuid()}


class CachedAccount(NamedTuple):
    """Whose answers are kept in a folder: the server as far as it is known, and the folder."""

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
    """By its name and what is in it: other things may lie beside it, and other users' folders."""
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


_UNITS = {
    "": 1,
    "K": 10**3,
    "M": 10**6,
    "G": 10**9,
    "T": 10**12,
    "KI": 1 << 10,
    "MI": 1 << 20,
    "GI": 1 << 30,
    "TI": 1 << 40,
}


def size_in_bytes(text: str) -> int:
    """Bytes from "500M", "10 GB", "2GiB", "1e9". Raises SetupError."""
    found = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?(?:e[0-9]+)?)\s*([kmgt]i?)?b?\s*", text, re.IGNORECASE)
    if found is None:
        raise SetupError(f"{text!r} is no size: write it as 500M, 10G or 2GiB")
    return int(float(found[1]) * _UNITS[(found[2] or "").upper()])
