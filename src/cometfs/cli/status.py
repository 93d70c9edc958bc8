"""`list` and `status`: which mounts there are, and what they do. The work is done in `overview` and `report`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from cometfs.cli.group import main, plain_errors
from cometfs.errors import CometFSError
from cometfs.options.kinds import MOUNTED
from cometfs.process import console


@main.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per mount.")
@plain_errors
def list_mounts(as_json: bool) -> None:
    """List your mounts: mountpoint, state, server, workspaces, since when, pid.

    As root, the mounts of all users. One that is dead is listed, too: 'cometfs umount' takes it away.
    """
    from cometfs.status import overview, report
    from cometfs.vfs.layout import STATUS

    found = overview.of_user(STATUS)
    if as_json:
        for seen in found:
            console.print_json(report.mount_object(seen))
    elif found:
        console.print_table(report.MOUNT_COLUMNS, report.mount_rows(found))
    else:
        console.print_lines("cometfs: nothing is mounted by cometfs", err=True)


@main.command()
@click.argument("mountpoint", required=False, type=MOUNTED)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per mount, as in .cometfs/status.json.")
@click.option("--watch", is_flag=True, help="Show it anew until Ctrl-C.")
@click.option(
    "--interval",
    default=2.0,
    show_default=True,
    type=click.FloatRange(min=0.1),
    metavar="SECONDS",
    help="How often, with --watch.",
)
@plain_errors
def status(mountpoint: Path | None, as_json: bool, watch: bool, interval: float) -> None:
    """Show what a mount does: network, calls used and left, cache, what is on its way, last errors.

    Without MOUNTPOINT, every mount is shown.
    """
    from cometfs.fuse.mountinfo import resolve
    from cometfs.status import report

    place = resolve(mountpoint) if mountpoint else None

    def lines() -> Iterator[str]:
        for mounted, found in _statuses(place):
            if as_json:
                yield console.as_json({"mountpoint": str(mounted), **found})
            else:
                yield from report.status_lines(str(mounted), found)

    if not watch:
        (console.print_lines if as_json else console.print_report)(*lines())
        return
    with suppress(KeyboardInterrupt):
        console.watch(lines, interval, plain=as_json)


def _statuses(place: Path | None) -> Iterator[tuple[Path, dict[str, Any]]]:
    """What each mount says, or the one at `place`. Raises SetupError where that one does not answer."""
    from cometfs.fuse import mountpoints
    from cometfs.vfs.layout import STATUS

    for mounted in [place] if place else mountpoints.our_mounts():
        try:
            yield mounted, mountpoints.status(mounted, STATUS)
        except CometFSError as error:
            if place is not None:
                raise
            console.print_error(error)  # it may be another user's; the others answer
