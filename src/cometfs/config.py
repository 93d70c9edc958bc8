"""What the commands are told: options and surroundings become settings, or a sentence that says what is missing.

Not here: where a key and an address are found when no option names them (comet/settings.py).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from cometfs.comet.settings import find_settings
from cometfs.errors import SetupError

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


def mount_settings(
    mountpoint: Path,
    *,
    url: str | None = None,
    api_key_file: Path | None = None,
    workspaces: Sequence[str] = (),
    deadline: float = DEADLINE,
    rw: bool = False,
) -> MountSettings:
    """Settings from options, else from where Comet's own clients look. Raises SetupError where the key is missing."""
    found = find_settings(_key_in(api_key_file) if api_key_file else None, url)
    return MountSettings(absolute(mountpoint), found.api_key, found.url, tuple(workspaces), deadline, rw)


def absolute(mountpoint: Path) -> Path:
    """The mountpoint as the kernel will show it, without asking a mount that may be dead there."""
    return mountpoint.expanduser().parent.resolve() / mountpoint.name if mountpoint.name else mountpoint.resolve()


def _key_in(path: Path) -> str:
    try:
        key = path.expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise SetupError(f"cannot read the API key from {path}: {reason}") from error
    if not key:
        raise SetupError(f"{path} holds no API key: it is empty")
    return key


def log_file(mountpoint: Path) -> Path:
    """Where the daemon of a mount writes its log."""
    name = os.fspath(mountpoint).strip("/").replace("/", "-") or "root"
    return platformdirs.user_log_path("cometfs", ensure_exists=True) / f"{name}.log"


def lock_file(mountpoint: Path) -> Path:
    """What a process holds locked while it mounts there."""
    return log_file(mountpoint).with_suffix(".lock")


def spool_directory() -> Path:
    """Where downloads lie while they are wanted; only unnamed files, so it always looks empty."""
    path = platformdirs.user_cache_path("cometfs") / "spool"
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path
