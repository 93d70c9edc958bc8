"""Every option with its value, and where that is from: what `cometfs config` prints.

Not here: key and address where no option has them (config.py).
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

import click
from click.core import ParameterSource

from cometfs.options.sources import CONTEXT, configured, in_files
from cometfs.options.table import MOUNT, Option

DEFAULT = "default"

PREFIX = "COMETFS_"

VARIABLES = ("COMETFS_CONFIG", "COMETFS_PROFILE", *(option.variable for option in MOUNT if option.on_command_line))
"""All variables of the environment that are ours."""

ALIKE = 0.8
"""How alike two names are of which one is taken for the other, from 0 to 1."""


class InForce(NamedTuple):
    """The value of an option, and the place that has it: FILE:LINE, a variable, or `DEFAULT`."""

    option: Option
    value: Any
    place: str


def listing(profile: str | None) -> dict[str, InForce]:
    """What `cometfs mount` would use with this profile. Raises SetupError, and click's errors of variables."""

    @click.command()
    @configured(*MOUNT)
    def command(**_options: Any) -> None:
        """Takes what a mount takes."""

    for parameter in command.params:
        parameter.required = False
    with command.make_context("mount", [] if profile is None else ["--profile", profile]) as context:
        return {option.name: _in_force(context, option) for option in MOUNT}


def _in_force(context: click.Context, option: Option) -> InForce:
    found = context.meta[CONTEXT].get(option.name)
    if context.get_parameter_source(option.name) is ParameterSource.ENVIRONMENT:
        return InForce(option, context.params[option.name], option.variable)
    value = context.params[option.name] if option.on_command_line else in_files(context, option.name)
    return InForce(option, value, found.place if found else DEFAULT)


def misspelt(environ: Mapping[str, str] = os.environ) -> list[str]:
    """A sentence for each variable that is nearly one of ours: it changes nothing."""
    known = [name.removeprefix(PREFIX) for name in VARIABLES]
    unknown = [name.removeprefix(PREFIX) for name in sorted(environ) if name.startswith(PREFIX)]
    return [
        f"{PREFIX}{name} in the environment is no option: do you mean {PREFIX}{close[0]}?"
        for name in unknown
        if name not in known and (close := difflib.get_close_matches(name, known, 1, ALIKE))
    ]
