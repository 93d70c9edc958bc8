"""Options and the environment become settings, or a sentence that says what is missing.

Not here: where a key and an address are found when no option names them (comet/settings.py), and which directories
there are for logs and caches (folders.py).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from cometfs.comet.network import Network
from cometfs.comet.settings import Settings, find_settings
from cometfs.errors import SetupError
from cometfs.folders import cache_path
from cometfs.fuse.mountinfo import resolve
from cometfs.home import expand
from cometfs.lease import RUNNING

RATE = 15_000
"""Calls an hour that Comet documents for a key."""

CACHE_SIZE = "10G"
"""What is kept on disk unless an option says otherwise."""

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
    network: Network = field(default_factory=Network)
    key_files: tuple[Path, ...] = ()
    """Files with a key in them that were read."""
    allow_non_empty: bool = False
    """Whether the mount may hide files of its mountpoint."""
    offline: bool = False
    """Whether it asks nothing, and shows what the cache has."""
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
    api_key: str | None = field(repr=False)
    """None: any key that is not empty."""
    latency_ms: float
    access_log: Path | None
    replicate: int
    crashed_after: float
    """Seconds of silence."""
    hosts: tuple[str, ...] = ()
    """What others call this server: NAME or NAME:PORT."""
    assets: Literal["stream", "redirect", "stream-no-range"] = "stream"


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
    offline: bool = False,
    foreground: bool = False,
) -> MountSettings:
    """Settings from options, else from where Comet's own clients look. Raises SetupError where the key is missing."""
    found = credentials(url, api_key_file)
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
        found.network,
        found.key_files,
        allow_non_empty,
        offline,
        foreground,
    )


def credentials(url: str | None, api_key_file: Path | None) -> Settings:
    """Key and address from options, else from where Comet's own clients look. Raises SetupError where there is none."""
    if api_key_file is None:
        return find_settings(None, url)
    found = find_settings(key_in(api_key_file), url)
    return replace(found, key_files=(api_key_file.expanduser(), *found.key_files))


def key_in(path: Path) -> str:
    """The key that is all of a file. Raises SetupError."""
    try:
        key = expand(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise SetupError(f"cannot read the API key from {path}: {reason}") from error
    if not key:
        raise SetupError(f"{path} holds no API key: it is empty")
    return key


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
