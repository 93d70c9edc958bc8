"""`mount.cometfs`, which mount(8) runs for a line of /etc/fstab or `mount -t fuse.cometfs SOURCE DIR`.

mount(8) looks for /sbin/mount.fuse.cometfs. Where there is none, libfuse's mount.fuse3 runs `cometfs SOURCE DIR -o
OPTIONS`: `run`, behind the command `cometfs`, knows that by its form. Not here: what the options mean (units/fstab.py).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from cometfs.cli.group import main
from cometfs.cli.mount import mount
from cometfs.errors import SetupError
from cometfs.host.home import expand
from cometfs.options import sources
from cometfs.process import console
from cometfs.units import fstab
from cometfs.units.fstab import SERVICES

USAGE, FAILURE = 1, 32
"""Exit statuses of mount(8): a call that is wrong, and a mount that failed."""

_LETTERS = {"-s", "-n", "-v"}
"""Flags of mount(8) that change nothing here: sloppy, no mtab, verbose."""

_WITHOUT = {"foreground", "help"}
"""Flags of `cometfs mount` that are no mount options: a helper returns."""

MANUAL = (
    "The account of a profile is mounted, of the Comet at an address (https://...), or with `comet` the one that is"
    " configured for all mounts. Options are the flags of cometfs-mount(1), with `_` for `-`; those that mount(8) and"
    " systemd act on are left to them. Any other is refused. `cometfs help service` has more."
)
"""The man page of this program."""

MORE = {
    "writable": "As `--rw`: each line has the word `rw` by mount(8) itself.",
    "setuid=USER": "Mount as that user, with the configuration and the cache of that user. As `cometfs`, the user of"
    " the system's services, with the key of a file that root alone can read.",
}
"""Options that are no flags."""


def run() -> None:
    """The program `cometfs`."""
    if _is_of_mount(sys.argv[1:]):
        helper()
    main(prog_name="cometfs")


def _is_of_mount(words: Sequence[str]) -> bool:
    """Whether mount.fuse3 calls: no command has `-o` behind two words."""
    return len(words) == 4 and words[2] == "-o" and not words[0].startswith("-")


def helper() -> None:
    """The program `mount.cometfs SOURCE DIR [-sfnv] [-o OPTIONS] [-t TYPE]`."""
    words = sys.argv[1:]
    try:
        place, flags, fake, user = _parsed(words)
        if user == SERVICES and os.geteuid() == 0 and not fake:
            sys.exit(FAILURE if _mount_as_service([*flags, place]) else 0)
        if user is not None:
            become(user)
    except SetupError as error:
        console.print_error(error)
        sys.exit(USAGE)
    if not fake:
        _mount([*flags, place])


def _mount_as_service(words: Sequence[str]) -> int:
    """Has a daemon mount that runs as the user of the system's services, with a copy of root's key. Raises
    SetupError."""
    from cometfs.units import installing, privileges

    words, named = without(words, "--api-key-file")
    profile = without(words, "--profile")[1]
    found = named or getattr(sources.in_force(profile, environ={}).get("api_key_file"), "value", None)
    return privileges.run_as_service([*installing.command(), "mount", *words], expand(Path(found)) if found else None)


def without(words: Sequence[str], flag: str) -> tuple[Sequence[str], str | None]:
    """Words without a flag, and its value."""
    if flag not in words:
        return words, None
    at = words.index(flag)
    return [*words[:at], *words[at + 2 :]], words[at + 1]


def _parsed(words: Sequence[str]) -> tuple[str, list[str], bool, str | None]:
    """Where, how, whether not at all, and as which user. Raises SetupError."""
    places, texts, fake = [], [], False
    rest = list(reversed(words))
    while rest:
        word = rest.pop()
        if word in ("-o", "-t", "-N"):
            value = rest.pop() if rest else ""
            texts += [value] if word == "-o" else []
        elif word == "-f":
            fake = True
        elif word not in _LETTERS:
            places.append(word)
    if len(places) != 2 or places[0].startswith("-"):
        raise SetupError("mount.cometfs is for mount(8): mount -t fuse.cometfs PROFILE DIRECTORY [-o OPTIONS]")
    call = fstab.call(places[0], texts, known())
    return places[1], call.flags, fake, call.user


def known() -> Mapping[str, bool]:
    """The flags of `cometfs mount` that are mount options, and whether each takes a value."""
    options = [parameter for parameter in mount.params if isinstance(parameter, click.Option)]
    names = ((name, one) for one in options for name in (*one.opts, *one.secondary_opts) if name.startswith("--"))
    named = {name[2:].replace("-", "_"): not one.is_flag for name, one in names}
    return {name: takes for name, takes in named.items() if name.removeprefix("no_") not in _WITHOUT}


def become(user: str) -> None:
    """Goes on as a user of this machine. Raises SetupError."""
    import pwd

    try:
        found = pwd.getpwnam(user)
        os.initgroups(user, found.pw_gid)
        os.setgid(found.pw_gid)
        os.setuid(found.pw_uid)
    except KeyError:
        raise SetupError(f"the mount option 'setuid' names no user of this machine: {user!r}") from None
    except OSError as error:
        raise SetupError(f"cannot mount as the user {user!r}: {error.strerror}") from error
    os.environ |= {"HOME": found.pw_dir, "USER": user, "LOGNAME": user}


def _mount(words: Sequence[str]) -> None:
    """Runs `cometfs mount`, with mount(8)'s exit status."""
    try:
        main(["mount", *words], prog_name="cometfs", standalone_mode=False)
    except click.ClickException as error:
        console.print_error(SetupError(error.format_message()))
        sys.exit(USAGE)
    except SystemExit as ended:
        sys.exit(FAILURE if ended.code else 0)
    sys.exit(0)
