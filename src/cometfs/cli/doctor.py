"""`doctor`: looks what a server does otherwise than expected. The work is done in `doctor/`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cometfs import console
from cometfs.cli.group import main, plain_errors, warn
from cometfs.options.sources import configured
from cometfs.options.table import ACCOUNT, CACHE_DIR


@main.command()
@click.option("--account", is_flag=True, help="Ask the account: at most 60 calls, none of which writes anything.")
@click.option("--yes", is_flag=True, help="Do not ask whether to go on, for scripts.")
@configured(*ACCOUNT, CACHE_DIR)
@click.option(
    "--report",
    type=click.Path(path_type=Path),
    default="cometfs-doctor.json",
    show_default=True,
    metavar="FILE",
    help="File for what came, without names, keys, links and values.",
)
@plain_errors
def doctor(account: bool, yes: bool, report: Path, cache_dir: Path | None, **options: Any) -> None:
    """Check key, address and FUSE; with --account, whether the server answers as a mount expects.

    With --account, every question of a mount is asked once or twice: of the smallest and of the largest project. What
    the server does not have is not asked for by mounts of the next 24 hours.
    """
    from cometfs import config, exposure, lifetime
    from cometfs.doctor import account as examination
    from cometfs.doctor import machine
    from cometfs.doctor.asking import CALLS

    found = config.credentials(**options)
    warn(exposure.of_mount(found.url, found.key_files, found.network))
    console.print_lines(*machine.lines(found.url))
    if not account:
        console.print_lines("'cometfs doctor --account' asks the server, too.")
        return
    console.require_yes(f"At most {CALLS} calls to {found.url}, none of which writes anything. Go on?", yes)
    settings = examination.DoctorSettings(found.api_key, found.url, report, cache_dir, found.network)
    lifetime.run(examination.examine, settings, lambda lines: console.print_lines(*lines))
