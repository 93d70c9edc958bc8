"""What all commands share: the group they are in, how errors become sentences, and options that several have."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec

import click

from cometfs._version import __version__
from cometfs.errors import CometFSError, SetupError
from cometfs.process import console

if TYPE_CHECKING:  # its imports cost what `--help` need not wait for
    from cometfs.config import MountSettings

P = ParamSpec("P")


INTERRUPTED = 130
"""Exit status after a signal, as of a shell."""


def account_of(options: Mapping[str, Any]) -> Callable[[tuple[str, ...]], MountSettings]:
    """The account of a command that needs no mount, with those workspaces at its root; raises SetupError without a
    key."""
    from cometfs import config

    return lambda workspaces: config.mount_settings(Path("/"), workspaces=workspaces, **options)


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
        except CometFSError as error:  # of a configuration file, which is read with the options
            console.print_error(error)
            sys.exit(1)
        except UnicodeEncodeError as error:
            if error.encoding.replace("_", "-") != sys.getfilesystemencoding().replace("_", "-"):
                raise
            console.print_error(
                SetupError(f"the locale's encoding ({error.encoding}) lacks a path: set LC_ALL=C.UTF-8")
            )
            sys.exit(1)


def warn(sentences: list[str]) -> None:
    """Prints warnings to stderr. The command goes on."""
    console.print_warnings(sentences)


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
    from cometfs.process.daemon import open_streams

    open_streams()
    console.log_to_stderr("warning")
