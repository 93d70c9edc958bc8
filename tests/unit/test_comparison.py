"""The manual's comparison with other tools claims nothing of this one that is not there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click

from cometfs.cli import main

PAGE = Path(__file__).parents[2] / "src/cometfs/manual/comparison.md"


def rows() -> Iterator[tuple[str, str]]:
    """What users of others look for, and what is here."""
    for line in PAGE.read_text().splitlines():
        if line.startswith("| ") and line != "| there | here |":
            _, there, here, _ = line.split("|")
            yield there.strip(), here.strip()


def options(command: click.Command) -> Iterator[str]:
    """Those of a command and of the commands in it."""
    for parameter in command.params:
        yield from (*parameter.opts, *parameter.secondary_opts)
    for inner in command.commands.values() if isinstance(command, click.Group) else ():
        yield from options(inner)


def test_every_row_says_what_is_here() -> None:
    """Also where that is nothing."""
    found = list(rows())
    assert len(found) > 90
    assert [there for there, here in found if not there or not here] == []


def test_every_option_that_is_claimed_exists() -> None:
    """Of one command at least; those of one that is named with it are tested with the other pages."""
    known = set(options(main))
    claimed = {flag for _, here in rows() for flag in re.findall(r"(?<![\w-])--[a-z][a-z-]+", here)}
    assert len(claimed) > 20
    assert sorted(claimed - known) == []
