"""What mount(8) hands to a helper, as the command line of `cometfs mount`. Pure functions of words.

Not here: which flags that command has, and running it (cli/mount_helper.py).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import NamedTuple

from cometfs.errors import SetupError

DEFAULT_SOURCES = {"comet", "cometfs", "none"}
"""Sources that name no account: the one that is configured for all mounts."""

OF_OTHERS = {
    *("defaults", "auto", "noauto", "user", "nouser", "users", "owner", "group", "nofail", "fail", "_netdev"),
    *("rw", "ro", "suid", "nosuid", "dev", "nodev", "exec", "async", "sync", "dirsync"),
    *("atime", "noatime", "relatime", "norelatime", "strictatime", "nostrictatime", "diratime", "nodiratime"),
    *("lazytime", "nolazytime", "default_permissions"),
}
"""Options that mount(8) and systemd act on, and those whose answer never differs: mount(8) always writes `rw`, and adds
`dev` and `suid` for root, though a mount of ours has neither devices nor programs of others."""

_OF_OTHERS = re.compile(r"(x-|X-).*|(comment|uhelper|helper|subtype)=.*")

ALIASES = {"writable": "rw", "nonempty": "allow_non_empty"}
"""`rw` of mount(8) stands in each line; --rw is another thing, and has another name here."""

SERVICES = "cometfs"
"""The user of the system's services, named in `cometfs.conf`."""

SETUID = "setuid"
"""The user that a mount is made as; mount.fuse3 has it, too."""


class Call(NamedTuple):
    """A mount that is wanted."""

    flags: list[str]
    user: str | None = None


def options(text: str) -> list[str]:
    """The options of `-o`: between commas, but not those in quotes or behind a backslash."""
    found = re.findall(r'((?:\\.|"[^"]*"|[^,])+)', text)
    return [re.sub(r'\\(.)|"', r"\1", one) for one in found]


def call(source: str, texts: Sequence[str], known: Mapping[str, bool]) -> Call:
    """The flags for a source and the words behind each `-o`. Raises SetupError.

    `known`: the flags of the command, by their names with underscores, and whether each takes a value.
    """
    wanted = [one for text in texts for one in options(text)]
    if "remount" in wanted:
        raise SetupError("a mount of cometfs cannot change its options: unmount it, then mount it again")
    if "writable" in wanted and "ro" in wanted:
        raise SetupError("the options 'ro' and 'writable' contradict each other: keep one of them")
    users = [one.partition("=")[2] for one in wanted if one.startswith(f"{SETUID}=")]
    ours = [one for one in wanted if not _is_of_others(one) and not one.startswith(f"{SETUID}=")]
    flags = [*_source(source), *(flag for one in ours for flag in _flag(one, known))]
    return Call(flags, users[-1] if users else None)


def _source(source: str) -> Iterator[str]:
    """An address, or a profile. mount(8) takes a name for a path where the current directory has such a file."""
    yield from ("--fsname", source)  # as the line has it: `mount -a` finds by that what is mounted already
    if "://" in source:
        yield from ("--url", source)
    elif source not in DEFAULT_SOURCES:
        yield from ("--profile", PurePath(source).name)


def _is_of_others(option: str) -> bool:
    return option in OF_OTHERS or _OF_OTHERS.fullmatch(option) is not None


def _flag(option: str, known: Mapping[str, bool]) -> Iterator[str]:
    written, equals, value = option.partition("=")
    name = written.replace("-", "_")
    name = ALIASES.get(name, name)
    if name not in known:
        raise SetupError(f"there is no mount option {written!r}{_nearest(written, known)}")
    if known[name] and not value:
        raise SetupError(f"the mount option {written!r} needs a value: {written}=VALUE")
    if not known[name] and equals:
        raise SetupError(f"the mount option {written!r} takes no value: write it alone")
    yield "--" + name.replace("_", "-")
    if known[name]:
        yield value


def _nearest(written: str, known: Mapping[str, bool]) -> str:
    words = [*(set(known) | OF_OTHERS | set(ALIASES) | {SETUID}) - {"rw"}]
    close = difflib.get_close_matches(written, sorted(words), 1)
    return f": do you mean {close[0]!r}?" if close else ": 'cometfs help service' lists them"
