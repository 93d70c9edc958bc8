"""What all commands share: the group they are in, how errors become sentences, and options that several have."""

from __future__ import annotations

import functools
import inspect
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec

import click

from cometfs import console
from cometfs._version import __version__
from cometfs.errors import CometFSError, SetupError

P = ParamSpec("P")


class _Path(click.Path):
    """A path that is only parsed. click would stat it, and a mount whose daemon is dead or stopped answers with an
    error or never.
    """

    def convert(self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None) -> Path:
        if not os.fspath(value):
            self.fail("an empty path names nothing", param, ctx)
        return Path(value)


PLACE = _Path()

ALLOW_NON_EMPTY = click.option(
    "--allow-non-empty",
    is_flag=True,
    help="Mount over a directory that holds files. They are hidden until the mount ends.",
)

URL = click.option("--url", metavar="URL", help="Address of an on-premise Comet.")

API_KEY_FILE = click.option(
    "--api-key-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="File that holds the API key and nothing else.",
)

CACHE_DIR = click.option(
    "--cache-dir",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Directory of the cache. Default: $XDG_CACHE_HOME/cometfs, else ~/.cache/cometfs.",
)


def plain_errors(command: Callable[P, None]) -> Callable[P, None]:
    """One of our errors is a sentence on stderr and exit status 1."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except CometFSError as error:
            console.print_error(error)
            sys.exit(1)

    return wrapped


class _Commands(click.Group):
    """The commands. A path that the locale cannot write is a sentence, wherever it is used."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except UnicodeEncodeError as error:
            if error.encoding.replace("_", "-") != sys.getfilesystemencoding().replace("_", "-"):
                raise
            console.print_error(
                SetupError(f"the locale's encoding ({error.encoding}) lacks a path: set LC_ALL=C.UTF-8")
            )
            sys.exit(1)


def warn(sentences: list[str]) -> None:
    """Prints warnings to stderr. The command goes on."""
    console.print_lines(*(f"cometfs: warning: {sentence}" for sentence in sentences), err=True)


class _Command(click.Command):
    """A command whose whole first sentence is in the list of commands: click cuts it to a line."""

    def get_short_help_str(self, limit: int = 0) -> str:  # noqa: ARG002  # there is none
        return inspect.cleandoc(self.help or "").partition("\n\n")[0].replace("\n", " ")


class _Group(_Commands, _Command):
    command_class = _Command
    group_class = type


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="cometfs")
def main() -> None:
    """Mount a Comet account (comet.com) as a directory, or run a Comet server on this machine."""
    from cometfs.daemon import open_streams

    open_streams()
    console.log_to_stderr("warning")
