"""`completion` and `version`: for shells, and for bug reports."""

from __future__ import annotations

import platform

import click
from click.shell_completion import ShellComplete, get_completion_class

from cometfs._version import __version__
from cometfs.cli.group import main
from cometfs.process import console

SHELLS = ("bash", "zsh", "fish")


def script(shell: str) -> str:
    """What a shell reads: it asks the command itself what comes next."""
    kind = get_completion_class(shell)
    assert kind is not None, shell
    # Not the class's own `source`: the one of bash starts bash, to complain of an old one.
    return ShellComplete.source(kind(main, {}, "cometfs", "_COMETFS_COMPLETE")) + "\n"


@main.command()
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print a script that completes commands, options and mounts in a shell.

    bash: source <(cometfs completion bash) in ~/.bashrc. zsh: the same in ~/.zshrc, behind compinit. fish: cometfs
    completion fish > ~/.config/fish/completions/cometfs.fish.
    """
    console.print_lines(*script(shell).splitlines())


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def version(as_json: bool) -> None:
    """Show the version of cometfs, of Python, of the system and of what it mounts by."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as version_of

    try:
        pyfuse3: str | None = version_of("pyfuse3")
    except PackageNotFoundError:
        pyfuse3 = None
    found = {
        "cometfs": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "pyfuse3": pyfuse3,
    }
    if as_json:
        console.print_json(found)
    else:
        console.print_lines(
            *(f"{name:<8} {value or 'missing: cometfs[fuse] brings it'}" for name, value in found.items())
        )
