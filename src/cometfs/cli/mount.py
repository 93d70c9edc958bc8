"""`mount`, `umount`, `refresh` and `status`: the life of a mount. The work is done in `app` and `fuse/mountpoints`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import click

from cometfs import console
from cometfs.cli.group import ALLOW_NON_EMPTY, API_KEY_FILE, CACHE_DIR, PLACE, URL, main, plain_errors, warn
from cometfs.errors import CometFSError

LEVELS = ("debug", "info", "warning", "error")


@main.command()
@click.argument("mountpoint", type=PLACE)
@ALLOW_NON_EMPTY
@URL
@API_KEY_FILE
@click.option("--workspace", "workspaces", multiple=True, metavar="NAME", help="Show only this workspace. Repeatable.")
@click.option("--rw", is_flag=True, help="Make the key-value store (.cometfs/store) writable.")
@CACHE_DIR
@click.option(
    "--cache-size",
    default="10G",
    show_default=True,
    metavar="SIZE",
    help="Maximum size of the cache on disk, like 500M.",
)
@click.option(
    "--rate",
    default=15_000,
    show_default=True,
    type=click.IntRange(min=1),
    metavar="CALLS",
    help="Maximum calls an hour.",
)
@click.option(
    "--live-interval",
    default=5.0,
    show_default=True,
    type=click.FloatRange(min=0.5),
    metavar="SECONDS",
    help="Maximum age of what a running experiment shows.",
)
@click.option("--offline", is_flag=True, help="Ask nothing: show what the cache has, however old it is.")
@click.option("--foreground", is_flag=True, help="Stay in the foreground, for service managers and debugging.")
@click.option("--deadline", default=30.0, show_default=True, metavar="SECONDS", help="How long a read waits at most.")
@click.option(
    "--log-level", type=click.Choice(LEVELS), default="warning", show_default=True, help="Log this level and above."
)
@plain_errors
def mount(
    mountpoint: Path,
    allow_non_empty: bool,
    url: str | None,
    api_key_file: Path | None,
    workspaces: tuple[str, ...],
    rw: bool,
    cache_dir: Path | None,
    cache_size: str,
    rate: int,
    live_interval: float,
    offline: bool,
    foreground: bool,
    deadline: float,
    log_level: str,
) -> None:
    """Mount everything that the API key can see at MOUNTPOINT.

    The command returns when the mount answers. MOUNTPOINT is an existing, empty directory.

    The API key comes from --api-key-file, else from COMET_API_KEY, else from ./.env, else from a configuration file of
    Comet: the one that COMET_CONFIG names, ./.comet.config, or ~/.comet.config.

    `cometfs help mount` has more: the address of the server, the store, a systemd service.
    """
    from cometfs.fuse import mountpoints

    mountpoints.require_fuse()  # before what cannot be imported without it
    from cometfs import app, config, daemon, exposure, folders, lifetime

    settings = config.mount_settings(
        mountpoint,
        url=url,
        api_key_file=api_key_file,
        workspaces=workspaces,
        deadline=deadline,
        rw=rw,
        cache_dir=cache_dir,
        cache_size=cache_size,
        rate=rate,
        live_interval=live_interval,
        allow_non_empty=allow_non_empty,
        offline=offline,
        foreground=foreground,
    )
    mountpoints.prepare(settings.mountpoint, allow_non_empty=allow_non_empty)
    console.log_to_stderr(log_level)
    warnings = [] if log_level == "error" else exposure.of_mount(settings.url, settings.key_files, settings.network)
    warn(warnings)
    if foreground:
        lifetime.run(app.mount, settings, note)
    else:

        def in_daemon(ready: Callable[[str], None]) -> None:
            console.limit_log(log_path)
            warn(warnings)  # into its log
            lifetime.run(app.mount, settings, ready)

        with folders.open_log(settings.mountpoint, settings.cache_dir) as log_file:
            log_path = Path(log_file.name).absolute()
            note(daemon.in_background(in_daemon, log_file))
        daemon.leave()


def note(sentence: str) -> None:
    """Prints what a user must know of a mount that answers, if there is anything."""
    if sentence:
        console.print_lines(f"cometfs: {sentence}", err=True)


@main.command()
@click.argument("mountpoint", type=PLACE)
@plain_errors
def umount(mountpoint: Path) -> None:
    """Unmount MOUNTPOINT, also while it is in use.

    If processes still use the mount, the command names them. The daemon ends when they have closed their files.
    """
    from cometfs.fuse import mountpoints, occupants
    from cometfs.fuse.mountinfo import resolve

    place = resolve(mountpoint)
    os.chdir("/")  # `umount .` is itself no use of the mount
    found = mountpoints.unmount(place)
    if found is not None:
        console.print_lines(f"cometfs: {occupants.sentence(place, found)}", err=True)


@main.command()
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=PLACE)
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


@main.command()
@click.argument("mountpoint", required=False, type=PLACE)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per mount, as in .cometfs/status.json.")
@plain_errors
def status(mountpoint: Path | None, as_json: bool) -> None:
    """Show the calls used and left, by program and by endpoint.

    Without MOUNTPOINT, every mount is shown.
    """
    from cometfs import report
    from cometfs.fuse import mountpoints
    from cometfs.fuse.mountinfo import resolve
    from cometfs.vfs.layout import STATUS

    for place in [resolve(mountpoint)] if mountpoint else mountpoints.our_mounts():
        try:
            found = mountpoints.status(place, STATUS)
        except CometFSError as error:
            if mountpoint is not None:
                raise
            console.print_error(error)  # it may be another user's; the others answer
            continue
        if as_json:
            console.print_json({"mountpoint": str(place), **found})
        else:
            console.print_lines(*report.status_lines(str(place), found))
