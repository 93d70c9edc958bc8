"""`doctor`: looks what is wrong here, and what a server does otherwise than expected. The work is done in `doctor/`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cometfs.cli.group import main, plain_errors, warn
from cometfs.options.sources import configured
from cometfs.options.table import ACCOUNT, CACHE_DIR
from cometfs.process import console

if TYPE_CHECKING:  # its imports cost what `--help` need not wait for
    from cometfs.doctor.local.finding import Finding


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
    help="With --account: file for what came, without names, keys, links and values.",
)
@click.option(
    "--bundle",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write an archive for a bug report (.tar.gz), without keys.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object. Not with --account.")
@plain_errors
def doctor(
    account: bool,
    yes: bool,
    report: Path,
    bundle: Path | None,
    as_json: bool,
    cache_dir: Path | None,
    **options: Any,
) -> None:
    """Check this machine, key and address; with --account, whether the server answers as a mount expects.

    Looked at are FUSE, permissions, key, address, TLS, proxy, clock, cache, dead mounts, kernel, locale and limits. The
    server is asked once. The exit status is 1 where something is wrong.

    With --account, every question of a mount is asked once or twice: of the smallest and of the largest project. What
    the server does not have is not asked for by mounts of the next 24 hours.
    """
    if account:
        _examine(report, cache_dir, options, yes=yes)
        return
    from cometfs import config
    from cometfs.doctor.local import finding, looking
    from cometfs.process import lifetime

    found = list["Finding"]()

    async def look() -> None:
        found.extend(await looking.look(lambda: config.credentials(**options), cache_dir))

    lifetime.run(look)
    if as_json:
        console.print_json({"findings": finding.as_objects(found)}, indent=2)
    else:
        console.print_lines(*finding.lines(found))
    if bundle is not None:
        _bundle(bundle, found, options, quiet=as_json)
    if any(one.result == "wrong" for one in found):
        sys.exit(1)


def _bundle(file: Path, found: Sequence[Finding], options: dict[str, Any], *, quiet: bool) -> None:
    from cometfs import config
    from cometfs.doctor.local import bundle
    from cometfs.errors import SetupError
    from cometfs.options.listing import listing

    key_files = [Path(options["api_key_file"])] if options.get("api_key_file") else []
    try:
        in_force = listing(options.get("profile"))
        rows = {name: {"value": str(one.value), "from": one.place} for name, one in in_force.items()}
        places = config.account_places(in_force, options.get("profile"))
        rows |= {name: {"value": str(value), "from": place} for name, (value, place) in places.rows.items()}
        key_files += [Path(one.value) for name, one in in_force.items() if name == "api_key_file" and one.value]
    except SetupError as error:
        rows = {"error": {"value": str(error), "from": ""}}
    written = bundle.write(file, found, rows, key_files)
    if not quiet:
        console.print_lines(f"{file} has {len(written)} texts, without keys: attach it to a bug report.")


def _examine(report: Path, cache_dir: Path | None, options: dict[str, Any], *, yes: bool) -> None:
    from cometfs import config, exposure
    from cometfs.doctor import account as examination
    from cometfs.doctor.asking import CALLS
    from cometfs.process import lifetime

    found = config.credentials(**options)
    warn(exposure.of_mount(found.url, found.key_files, found.network))
    console.require_yes(f"At most {CALLS} calls to {found.url}, none of which writes anything. Go on?", yes)
    settings = examination.DoctorSettings(found.api_key, found.url, report, cache_dir, found.network)
    lifetime.run(examination.examine, settings, lambda lines: console.print_lines(*lines))
