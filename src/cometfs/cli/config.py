"""`config`: the options in force and where each is from, and the file that has them. The work is done in `options/`."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

import click

from cometfs.cli.group import main, plain_errors, warn
from cometfs.errors import SetupError
from cometfs.options.sources import PROFILE
from cometfs.process import console


@main.command("config")
@PROFILE()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--edit", is_flag=True, help="Edit your configuration file with $VISUAL or $EDITOR, and check it.")
@plain_errors
def show_config(profile: str | None, as_json: bool, edit: bool) -> None:
    """Show each option of `cometfs mount`, its value, and where that is from.

    A value is from the command line, else from COMETFS_* in the environment, else from the profile, else from
    ~/.config/cometfs/config.toml, else from /etc/cometfs/config.toml. The API key is never shown, only its place.
    """
    if edit:
        _edit()
        return
    from cometfs import config, exposure
    from cometfs.options.listing import listing, misspelt

    found = listing(profile)
    account = config.account_places(found, profile)
    rows = {name: (one.option.kind.written(one.value), one.place) for name, one in found.items()} | account.rows
    warn(list(dict.fromkeys([*misspelt(), *exposure.of_key_files(account.key_files), *exposure.of_configuration()])))
    if as_json:
        _print_json(profile, rows)
    else:
        _print_rows([(name, _shown(value), place) for name, (value, place) in rows.items()])


def _print_json(profile: str | None, rows: Mapping[str, tuple[Any, str]]) -> None:
    from cometfs.options import files

    options = {name: {"value": value, "from": place} for name, (value, place) in rows.items()}
    read = files.read_files()
    console.print_json(
        {
            "profile": profile,
            "profiles": files.profiles(read),
            "files": [str(file.path) for file in read],
            "options": options,
        },
        indent=2,
    )


def _print_rows(rows: list[tuple[str, str, str]]) -> None:
    name_width, value_width = (max(len(row[column]) for row in rows) for column in (0, 1))
    console.print_lines(*(f"{name:<{name_width}}  {value:<{value_width}}  {place}" for name, value, place in rows))


def _shown(value: Any) -> str:
    """As a file would have it, but a list without its signs."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ", ".join(value) or "-"
    return "-" if value is None else str(value)


def _edit() -> None:
    """Opens the user's file, made where there is none, until it is valid or given up. Raises SetupError."""
    from cometfs import exposure
    from cometfs.options import files

    path = files.own_file()
    while True:
        click.edit(filename=os.fspath(path))
        try:
            exposed = exposure.of_configuration()
        except SetupError as error:
            if not (sys.stdin.isatty() and click.confirm(f"cometfs: {error}\nEdit again?", default=True, err=True)):
                raise
        else:
            break
    warn(exposed)
