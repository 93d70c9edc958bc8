"""Which value of the configuration files is in force, and click's parameters, which take it where no flag and no
variable of the environment has another.

In rising order: the machine's file, the user's file, the profile of the one and of the other, COMETFS_* in the
environment, flags. Not here: what Comet's own clients look for (comet/settings.py).
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from cometfs.errors import SetupError
from cometfs.options.files import File, Found, Values, nearest, profiles, read_files
from cometfs.options.kinds import FLAG, NAMES
from cometfs.options.table import API_KEY_FILE, Option

Command = TypeVar("Command", bound=Callable[..., Any])

CONTEXT = "cometfs.options"
"""Under which name a context of click's has what the files say."""

_HIDDEN = {"api_key": "COMET_API_KEY", "api_key_file": "COMET_API_KEY", "url": "COMET_URL_OVERRIDE"}
"""Variables of Comet's own, which go before what a file says for all mounts, though not before a named profile."""

_EITHER = {"api_key": "api_key_file", "api_key_file": "api_key"}


@dataclass(frozen=True)
class HeldKey:
    """An API key that is written in a configuration file."""

    key: str = field(repr=False)
    file: Path


def in_force(profile: str | None, environ: Mapping[str, str] = os.environ) -> dict[str, Found]:
    """What the files say for a mount with this profile, by key. Raises SetupError."""
    files = read_files()
    found: dict[str, Found] = {}
    for layer in [*(file.values for file in files), *_layers(profile, files)]:
        for key in layer:
            found.pop(_EITHER.get(key, ""), None)
        found |= layer
    return {key: one for key, one in found.items() if one.profile or not environ.get(_HIDDEN.get(key, ""), "").strip()}


def _layers(profile: str | None, files: list[File]) -> list[Values]:
    if profile is None:
        return []
    layers = [file.profiles[profile] for file in files if profile in file.profiles]
    if not layers:
        known = profiles(files)
        remedy = nearest(profile, known) if known else ": there are none; 'cometfs config --edit' writes one"
        raise SetupError(f"there is no profile {profile!r}{remedy}")
    return layers


def configured(*options: Option) -> Callable[[Command], Command]:
    """Adds options to a command, and --profile, which files, environment and command line have together."""

    def add(command: Command) -> Command:
        for declared in reversed(options):
            command = _parameter(declared)(command)
        # Which profile it is decides only where else a key and its address are looked for.
        return PROFILE(is_eager=True, callback=_load, expose_value=API_KEY_FILE in options)(command)

    return add


class _Configured(click.Parameter):
    """A parameter that a file may give a value to. An error names the variable or the line that has it."""

    def process_value(self, ctx: click.Context, value: Any) -> Any:
        try:
            return super().process_value(ctx, value)
        except click.BadParameter as error:
            source = ctx.get_parameter_source(self.name or "")
            if source is ParameterSource.ENVIRONMENT:
                error.param_hint = f"{self.envvar}"
            elif source is ParameterSource.DEFAULT_MAP:
                error.param_hint = ctx.meta[CONTEXT][self.name].place
            raise


class _ConfiguredOption(_Configured, click.Option):
    pass


class _ConfiguredArgument(_Configured, click.Argument):
    pass


def option(declared: Option, cls: type[click.Option] = click.Option) -> Callable[[Command], Command]:
    """Adds an option to a command that takes it from the command line alone."""
    return click.option(
        declared.flags,
        declared.name,
        cls=cls,
        type=declared.kind.parsed,
        default=declared.default,
        show_default=declared.default is not None and declared.kind not in (FLAG, NAMES),
        multiple=declared.kind is NAMES,
        metavar=declared.metavar,
        help=declared.help,
        envvar=declared.variable if cls is _ConfiguredOption else None,
    )


def _parameter(declared: Option) -> Callable[[Command], Command]:
    if not declared.on_command_line:
        return _from_files(declared.name)
    if declared.is_argument:
        kind = declared.kind.parsed
        return click.argument(declared.name, cls=_ConfiguredArgument, type=kind, envvar=declared.variable)
    return option(declared, _ConfiguredOption)


def _from_files(name: str) -> Callable[[Command], Command]:
    """Hands a command what only files may say."""

    def add(command: Command) -> Command:
        @functools.wraps(command)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            return command(*args, **kwargs, **{name: in_files(click.get_current_context(), name)})

        return wrapped  # type: ignore[return-value]  # the same but for an argument, which click does not give

    return add


def _load(ctx: click.Context, _param: click.Parameter, profile: str | None) -> str | None:
    """Gives the values of the files to those parameters of a command that may have them."""
    if ctx.resilient_parsing:  # the shell completes a line: a damaged file is no matter then
        return profile
    found = in_force(profile)
    ctx.meta[CONTEXT] = found
    wanted = {param.name for param in ctx.command.params if isinstance(param, _Configured)}
    ctx.default_map = {key: _given(key, one) for key, one in found.items() if key in wanted}
    return profile


def in_files(ctx: click.Context, key: str) -> Any:
    """What the files say of an option; None: nothing."""
    found = ctx.meta[CONTEXT].get(key)
    return found and _given(key, found)


def _given(key: str, found: Found) -> Any:
    return HeldKey(found.value, found.file) if key == "api_key" else found.value


def _complete(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Names of profiles that begin so; none where a file is damaged: the command itself says why."""
    with suppress(SetupError):
        return [name for name in profiles(read_files()) if name.startswith(incomplete)]
    return []


PROFILE = functools.partial(
    click.option,
    "--profile",
    metavar="NAME",
    envvar="COMETFS_PROFILE",
    shell_complete=_complete,
    help="Profile of the configuration to use: see `cometfs help config`.",
)
"""Adds --profile to a command."""
