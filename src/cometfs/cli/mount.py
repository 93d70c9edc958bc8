"""`mount`, `umount` and `refresh`: the life of a mount. The work is done in `app` and `fuse/mountpoints`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click

from cometfs.cli.group import main, plain_errors, warn
from cometfs.errors import CometFSError
from cometfs.options.kinds import MOUNTED
from cometfs.options.sources import PROFILE, configured, in_force
from cometfs.options.table import MOUNT, MOUNTPOINT
from cometfs.process import console
from cometfs.telemetry import logs


@main.command()
@configured(*MOUNT)
@plain_errors
def mount(mountpoint: Path, **options: Any) -> None:
    """Mount everything that the API key can see at MOUNTPOINT.

    The command returns when the mount answers. MOUNTPOINT is an existing, empty directory.

    The API key comes from --api-key-file, else from the profile that --profile names, else from COMET_API_KEY, else
    from ~/.config/cometfs/config.toml, else from ./.env, else from a configuration file of Comet: the one that
    COMET_CONFIG names, ./.comet.config, or ~/.comet.config.

    `cometfs help mount` has more: the address of the server, other users; `cometfs help writing`: `--rw`;
    `cometfs help service` mounts at login.
    """
    from cometfs.fuse import mountpoints

    mountpoints.require_fuse()  # before what cannot be imported without it
    from cometfs import app, config, exposure, folders
    from cometfs.options.listing import misspelt
    from cometfs.process import daemon, lifetime

    settings = config.mount_settings(mountpoint, **options)
    mountpoints.prepare(settings.mountpoint, allow_non_empty=settings.allow_non_empty)
    console.log_to_stderr(settings.log_level)
    quiet = settings.log_level == "error"
    exposed = exposure.of_mount(settings.url, settings.key_files, settings.network)
    moved = folders.moved(options.get("cache_dir"))
    warnings = [] if quiet else [*misspelt(), *exposed, *exposure.of_metrics(settings.metrics), *moved]
    journal = logs.is_journal(sys.stderr.fileno())
    if settings.foreground:
        console.log_as(settings.log_format, journal=journal)
        warn(warnings)
        lifetime.run(app.mount, settings, note)
        return
    warn(warnings)

    def in_daemon(ready: Callable[[str], None]) -> None:
        console.log_as(settings.log_format, journal=journal)
        if log_file is not None:
            console.limit_log(Path(log_file.name).absolute())
        warn(warnings)  # into its log
        lifetime.run(app.mount, settings, ready)

    # What systemd has started writes on to its journal; else the daemon has a file.
    with nullcontext() if journal else folders.open_log(settings.mountpoint, settings.cache_dir) as log_file:
        note(daemon.in_background(in_daemon, log_file))
    daemon.leave()


def note(sentence: str) -> None:
    """Prints what a user must know of a mount that answers, if there is anything."""
    if sentence:
        console.print_lines(f"cometfs: {sentence}", err=True)


@main.command()
@click.argument("mountpoint", required=False, type=MOUNTED, envvar=MOUNTPOINT.variable)
@PROFILE(help="Unmount the mountpoint of this profile.")
@click.option("--dead", is_flag=True, help="Only clear away a mount whose daemon is gone, if there is one.")
@plain_errors
def umount(mountpoint: Path | None, profile: str | None, dead: bool) -> None:
    """Unmount MOUNTPOINT, also while it is in use.

    Without MOUNTPOINT, it is that of the profile, or of the configuration.

    If processes still use the mount, the command names them. The daemon ends when they have closed their files.
    """
    from cometfs.fuse import mountpoints, occupants
    from cometfs.fuse.mountinfo import resolve

    place = resolve(mountpoint or _configured_mountpoint(profile))
    if dead:
        mountpoints.clear(place)
        return
    os.chdir("/")  # `umount .` is itself no use of the mount
    found = mountpoints.unmount(place)
    if found is not None:
        console.print_lines(f"cometfs: {occupants.sentence(place, found)}", err=True)


def _configured_mountpoint(profile: str | None) -> Path:
    found = in_force(profile).get(MOUNTPOINT.name)
    if found is None:
        raise click.UsageError("Missing argument 'MOUNTPOINT'.")
    return Path(found.value)


@main.command()
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=MOUNTED)
@plain_errors
def refresh(paths: tuple[Path, ...]) -> None:
    """Drop what is cached at each PATH of a mount and below it.

    The next read fetches it from Comet again. The command itself makes no call. `touch PATH` does the same.
    """
    from cometfs.fuse import mountpoints

    failed = []
    for path in paths:
        try:
            mountpoints.refresh(path)
        except CometFSError as error:
            console.print_error(error)
            failed.append(path)
    if failed:
        sys.exit(1)


@main.command("log-level")
@click.argument("mountpoint", type=MOUNTED)
@click.argument("level", required=False, type=click.Choice(logs.LEVELS))
@plain_errors
def log_level(mountpoint: Path, level: str | None) -> None:
    """Show or change what a mount logs.

    LEVEL is debug, info, warning or error. It holds until the mount ends. Only the user that has mounted may change it.
    """
    from cometfs.fuse import mountpoints
    from cometfs.fuse.mountinfo import resolve

    place = resolve(mountpoint)
    if level is not None:
        mountpoints.set_log_level(place, level)
    console.print_lines(mountpoints.log_level(place))
