"""Options and the environment become settings, or a sentence that says what is missing.

Not here: where a key and an address are found when no option names them (comet/settings.py), and which directories
there are for logs and caches (folders.py).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

from cometfs.comet.address import parse_address
from cometfs.comet.network import Network
from cometfs.comet.settings import Settings, find_settings
from cometfs.errors import SetupError
from cometfs.folders import cache_path
from cometfs.fuse.mountinfo import resolve
from cometfs.host.home import expand
from cometfs.lease import RUNNING
from cometfs.mountstate.access import Access, Others, Owner
from cometfs.options.listing import InForce
from cometfs.options.sources import HeldKey
from cometfs.options.table import CACHE_SIZE, DEADLINE, RATE

CREDENTIAL = "comet-api-key"
"""The name of the key that systemd hands to a service."""

HIDDEN = "(hidden)"
"""What stands for an API key where it would be shown."""


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
    """Whether what can be changed at Comet is writable."""
    allow_delete: bool = False
    """Whether experiments can be removed then, into the archive."""
    cache_dir: Path | None = None
    """Where what was fetched is kept; None: where the platform keeps such things."""
    cache_size: int = CACHE_SIZE
    """Bytes of it at most."""
    rate: int = RATE
    """Calls an hour."""
    live_interval: float = RUNNING
    """Seconds for which answers about an experiment hold that may be running."""
    network: Network = field(default_factory=Network)
    key_files: tuple[Path, ...] = ()
    """Files with a key in them that were read."""
    allow_non_empty: bool = False
    """Whether the mount may hide files of its mountpoint."""
    shared: str | None = None
    """Address of a Redis or Valkey that several machines share."""
    offline: bool = False
    """Whether it asks nothing, and shows what the cache has."""
    metrics: str | None = None
    """HOST:PORT at which metrics are served; None: nowhere."""
    foreground: bool = False
    """Whether it runs in the foreground: its warnings are read, so that it may run without a place for a cache."""
    log_level: str = "warning"
    log_format: str = "text"
    allow_other: bool = False
    """Whether other users of this machine may look at the mount, as far as modes allow."""
    allow_root: bool = False
    """The same of root alone."""
    uid: int | None = None
    """The user that all belongs to; None: that of this process."""
    gid: int | None = None
    umask: int = 0o022
    noexec: bool = False
    """Whether the kernel runs nothing that is in the mount."""
    fsname: str | None = None
    """What `df` and `mount` show as the source; None: the server's address."""

    @property
    def access(self) -> Access:
        """What the kernel is to know of users."""
        owner = Owner(self.uid, self.gid, self.umask, private=self.allow_root)
        others: Others = "allow_other" if self.allow_other else "allow_root" if self.allow_root else None
        return Access(others, owner, self.noexec)

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
    api_key: HeldKey | None = None,
    profile: str | None = None,
    workspaces: Sequence[str] = (),
    cache_dir: Path | None = None,
    metrics: str | None = None,
    **others: Any,
) -> MountSettings:
    """Settings from options, else from where Comet's own clients look. Raises SetupError where the key is missing.

    `others`: those that are fields of MountSettings as they come.
    """
    if others.get("allow_other") and others.get("allow_root"):
        raise SetupError("--allow-other lets root in, too: give it or --allow-root")
    found = credentials(url, api_key_file, api_key, profile)
    return MountSettings(
        resolve(mountpoint),
        found.api_key,
        found.url,
        tuple(workspaces),
        cache_dir=cache_path(cache_dir) if cache_dir else None,  # a daemon has another working directory
        network=found.network,
        key_files=found.key_files,
        metrics=address(metrics) if metrics else None,
        **others,
    )


def credentials(
    url: str | None = None,
    api_key_file: Path | None = None,
    api_key: HeldKey | None = None,
    profile: str | None = None,
) -> Settings:
    """Key and address from options, else from where Comet's own clients look. Raises SetupError where there is none.

    The key of a profile does not go to an address that the environment happens to have.
    """
    api_key_file = handed_over() or api_key_file
    if api_key_file is not None:  # by a flag where a file holds a key, too
        key, file = key_in(api_key_file), api_key_file.expanduser()
    elif api_key is not None:
        key, file = api_key.key, api_key.file
    else:
        return find_settings(None, url)
    found = find_settings(key, url, address_elsewhere=profile is None)
    return replace(found, key_files=(file, *found.key_files))


class AccountPlaces(NamedTuple):
    """Where key and address are from."""

    rows: dict[str, tuple[str | None, str]]
    """What is shown of each, which is nothing of the key, and its place."""
    key_files: tuple[Path, ...] = ()


def account_places(found: Mapping[str, InForce], profile: str | None) -> AccountPlaces:
    """Key and address of a mount with these options, and their places."""
    url, file, held = (found[name] for name in ("url", "api_key_file", "api_key"))
    try:
        account = credentials(url.value, file.value, held.value, profile)
    except SetupError as error:
        return AccountPlaces({"api_key": (None, str(error)), "url": _shown_address(url.value, url.place)})
    key_place = account.key_from or (str(file.value) if file.value else held.place)
    address = _shown_address(account.url, account.url_from or url.place)
    return AccountPlaces({"api_key": (HIDDEN, key_place), "url": address}, account.key_files)


def _shown_address(url: str | None, place: str) -> tuple[str | None, str]:
    """An address and its place; of one that is none, which may hold a password, what is wrong with it."""
    try:
        if url is not None:
            parse_address(url)
    except SetupError as error:
        return None, f"{place}: {error}"
    return url, place


def handed_over() -> Path | None:
    """The file with the key that systemd gives to a service alone (LoadCredential=comet-api-key:FILE), if it does."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY", "")
    found = Path(folder, CREDENTIAL)
    return found if folder and found.exists() else None


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


def address(bind: str) -> str:
    """HOST:PORT; a port alone is one of this machine's own address, where no other can ask."""
    return f"127.0.0.1:{bind}" if bind.isdecimal() else bind
