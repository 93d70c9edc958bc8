"""Man pages from the help of the commands, cometfs(1) and one for each, and mount.cometfs(8).

Not here: what puts them into a wheel (wheel_files.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import click

ENVIRONMENT = {
    "COMETFS_PROFILE": "The profile of the configuration to use.",
    "COMETFS_CONFIG": "A configuration file in the place of ~/.config/cometfs/config.toml.",
    "COMETFS_*": "Every option of cometfs mount, as in COMETFS_CACHE_SIZE: `cometfs help config`.",
    "COMET_API_KEY": "The API key.",
    "COMET_URL_OVERRIDE": "The address of an on-premise Comet.",
    "COMET_CONFIG": "A configuration file of Comet to read before the others.",
    "HTTPS_PROXY, NO_PROXY, SSL_CERT_FILE": "The proxy, the hosts without one, and the certificates to trust.",
    "XDG_CACHE_HOME, XDG_STATE_HOME": "Where the cache and the logs are.",
}

FILES = {
    "~/.config/cometfs/config.toml": "Options and profiles; /etc/cometfs/config.toml has those of all users.",
    "~/.comet.config": "Comet's own configuration: a line api_key=... below a line [comet].",
    "~/.cache/cometfs/": "The cache on disk.",
    "~/.local/state/cometfs/log/": "A log for each mountpoint.",
    "MOUNTPOINT/README.md": "What is in a mount and what it costs to read.",
    "MOUNTPOINT/.cometfs/status.json": "Calls and cache of a mount.",
}

STATUSES = {
    "0": "Success.",
    "1": "A sentence on standard error says what is missing and what to do.",
    "2": "The command line is wrong.",
}


def pages() -> Iterator[tuple[str, str]]:
    """Every page, with its path below share/."""
    import click

    from cometfs.cli import main

    for context in contexts(click.Context(main, info_name="cometfs", **main.context_settings)):
        yield f"man/man1/{name(context)}.1", page(context)
    yield "man/man8/mount.cometfs.8", helper_page(click.Context(main.commands["mount"], info_name="mount"))


def contexts(context: click.Context) -> Iterator[click.Context]:
    """That of a command, and those of the commands in it."""
    yield context
    for inner_name, command in inner(context).items():
        yield from contexts(type(context)(command, info_name=inner_name, parent=context, **command.context_settings))


def inner(context: click.Context) -> Mapping[str, click.Command]:
    """The commands in a command, by name."""
    found: Mapping[str, click.Command] = getattr(context.command, "commands", {})
    return found


def name(context: click.Context) -> str:
    """Of the page: `cometfs-cache-info`."""
    return context.command_path.replace(" ", "-")


def page(context: click.Context) -> str:
    """One page, in roff."""
    from cometfs import __version__

    usage = " ".join(context.command.collect_usage_pieces(context))
    lines = [
        f'.TH {name(context).upper()} 1 "" "cometfs {__version__}" "cometfs"',
        ".SH NAME",
        rf"{escaped(name(context))} \- {text(summary_of(context.command).partition('. ')[0].rstrip('.'))}",
        ".SH SYNOPSIS",
        rf"\fB{escaped(context.command_path)}\fR {escaped(usage)}",
        ".SH DESCRIPTION",
        "\n.PP\n".join(map(text, (context.command.help or "").split("\n\n"))),
        *section("OPTIONS", options(context)),
        *section("COMMANDS", {f"{name(context)}-{key}(1)": summary_of(one) for key, one in inner(context).items()}),
        *(general() if context.parent is None else ()),
        ".SH SEE ALSO",
        ", ".join(rf"\fB{escaped(other)}\fR(1)" for other in related(context)),
    ]
    return "\n".join(lines) + "\n"


def helper_page(mount: click.Context) -> str:
    """That of the helper of mount(8)."""
    from cometfs import __version__
    from cometfs.cli import mount_helper

    flags = {written.split()[0].rstrip(","): meaning for written, meaning in options(mount).items()}
    known = {f"--{name.replace('_', '-')}": name for name in mount_helper.known() if name != "rw"}
    rows = {known[flag]: meaning for flag, meaning in flags.items() if flag in known}
    lines = [
        f'.TH MOUNT.COMETFS 8 "" "cometfs {__version__}" "cometfs"',
        ".SH NAME",
        r"mount.cometfs \- mount a Comet account by mount(8) and fstab(5)",
        ".SH SYNOPSIS",
        r"\fBmount \-t fuse.cometfs\fR PROFILE DIRECTORY [\fB\-o\fR OPTIONS]",
        ".SH DESCRIPTION",
        text(mount_helper.MANUAL),
        *section("OPTIONS", rows | mount_helper.MORE),
        *section("EXIT STATUS", {"0": "Success.", "1": "A wrong option.", "32": "The mount failed."}),
        ".SH SEE ALSO",
        r"\fBcometfs\-mount\fR(1), \fBmount\fR(8), \fBfstab\fR(5)",
    ]
    return "\n".join(lines) + "\n"


def general() -> Iterator[str]:
    """What stands on the page of `cometfs` alone."""
    from cometfs import help

    yield from section("MANUAL", {f"cometfs help {topic}": f"{title}." for topic, title in help.topics().items()})
    yield from section("ENVIRONMENT", ENVIRONMENT)
    yield from section("FILES", FILES)
    yield from section("EXIT STATUS", STATUSES)


def section(title: str, entries: Mapping[str, str]) -> Iterator[str]:
    """Names, each with what it means below it; nothing where there are none."""
    if entries:
        yield f".SH {title}"
    for term, meaning in entries.items():
        yield from (".TP", rf"\fB{escaped(term)}\fR", text(meaning))


def options(context: click.Context) -> dict[str, str]:
    """How each is written, and its help."""
    records = [parameter.get_help_record(context) for parameter in context.command.get_params(context)]
    return {written: meaning for written, meaning in filter(None, records) if meaning}


def summary_of(command: click.Command) -> str:
    """The first paragraph of its help."""
    return (command.help or "").partition("\n\n")[0]


def related(context: click.Context) -> list[str]:
    """The command above, and those beside and below it."""
    parent = context.parent
    above = [name(parent), *(f"{name(parent)}-{one}" for one in inner(parent))] if parent else []
    below = [f"{name(context)}-{one}" for one in inner(context)]
    return [other for other in above + below if other != name(context)]


def text(prose: str) -> str:
    """Prose in roff: one paragraph, with `code` in bold, and no line that could be taken for a request."""
    return re.sub("`(.*?)`", r"\\fB\1\\fR", escaped(" ".join(prose.split())))


def escaped(plain: str) -> str:
    safe = plain.replace("\\", r"\e").replace("-", r"\-")
    return rf"\&{safe}" if safe.startswith((".", "'")) else safe
