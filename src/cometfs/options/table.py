"""THE table of options: a new one of `mount` is a line here and a field of config.MountSettings.

From it come the flags of commands, the keys of configuration files, the variables of the environment, and what
`cometfs config` prints.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cometfs.lease import RUNNING
from cometfs.options.kinds import (
    FLAG,
    GROUP,
    NAMES,
    PATH,
    SHARED,
    SIZE,
    TEXT,
    UMASK,
    USER,
    Kind,
    one_of,
    seconds,
    whole,
)
from cometfs.telemetry.logs import FORMATS, LEVELS

RATE = 15_000
"""Calls an hour that Comet documents for a key."""

CACHE_SIZE = 10**10
"""Bytes that are kept on disk unless an option says otherwise."""

DEADLINE = 30.0
"""Seconds that a program waits at most for one answer of the mount."""

UMASK_DEFAULT = "022"
"""With w for the owner, for copies: see fuse/replies.py."""


@dataclass(frozen=True)
class Option:
    """One option, by its key in files, which is also the name of the parameter."""

    name: str
    kind: Kind
    help: str = ""
    default: Any = None
    metavar: str | None = None
    flag: str = ""
    """Where it is not the name with dashes."""

    on_command_line: bool = True
    """False: it stands in files alone, where others do not see it in `ps`."""

    is_argument: bool = False
    """Whether the command line has it without a flag."""

    @property
    def variable(self) -> str:
        """Its name in the environment."""
        return f"COMETFS_{self.name.upper()}"

    @property
    def flags(self) -> str:
        """As click wants them: what is true in a file can be made false again."""
        flag = self.flag or "--" + self.name.replace("_", "-")
        return f"{flag}/--no-{flag[2:]}" if self.kind is FLAG else flag


MOUNTPOINT = Option("mountpoint", PATH, "Where to mount.", metavar="DIR", is_argument=True)

API_KEY_FILE = Option("api_key_file", PATH, "File that holds the API key and nothing else.", metavar="FILE")

ACCOUNT = (
    Option("url", TEXT, "Address of an on-premise Comet.", metavar="URL"),
    API_KEY_FILE,
    Option("api_key", TEXT, "The API key itself, in the place of its file.", metavar="KEY", on_command_line=False),
)
"""What names an account."""

CACHE_DIR = Option(
    "cache_dir", PATH, "Directory of the cache. Default: $XDG_CACHE_HOME/cometfs, else ~/.cache/cometfs.", metavar="DIR"
)

ALLOW_NON_EMPTY = Option(
    "allow_non_empty",
    FLAG,
    "Mount over a directory that holds files. They are hidden until the mount ends.",
    default=False,
)

MOUNT = (
    MOUNTPOINT,
    ALLOW_NON_EMPTY,
    *ACCOUNT,
    Option(
        "workspaces", NAMES, "Show only this workspace. Repeatable.", default=(), metavar="NAME", flag="--workspace"
    ),
    Option("rw", FLAG, "Let names, tags, others, the archive and the key-value store be changed.", default=False),
    Option("allow_delete", FLAG, "With --rw: let `rm -r` of an experiment put it into the archive.", default=False),
    CACHE_DIR,
    Option("cache_size", SIZE, "Maximum size of the cache on disk, like 500M.", default="10G", metavar="SIZE"),
    Option("rate", whole(1), "Maximum calls an hour.", default=RATE, metavar="CALLS"),
    Option(
        "live_interval",
        seconds(0.5),
        "Maximum age of what a running experiment shows.",
        default=RUNNING,
        metavar="SECONDS",
    ),
    Option(
        "shared", SHARED, "Redis or Valkey that shares budget and cache with other machines.", metavar="redis://HOST"
    ),
    Option("offline", FLAG, "Ask nothing: show what the cache has, however old it is.", default=False),
    Option(
        "metrics",
        TEXT,
        "Serve metrics to Prometheus at this address. Without HOST, at 127.0.0.1.",
        metavar="[HOST:]PORT",
    ),
    Option("foreground", FLAG, "Stay in the foreground, for service managers and debugging.", default=False),
    Option(
        "deadline",
        seconds(0, more=True),
        "How long a read waits at most.",
        default=DEADLINE,
        metavar="SECONDS",
    ),
    Option("allow_other", FLAG, "Let other users of this machine in, as far as modes allow.", default=False),
    Option("allow_root", FLAG, "Let root in, and no other user.", default=False),
    Option("uid", USER, "User that files belong to, by name or number. Default: you.", metavar="USER"),
    Option("gid", GROUP, "Group that files belong to, by name or number. Default: yours.", metavar="GROUP"),
    Option(
        "umask", UMASK, "Permissions that files and directories lack, in octal.", default=UMASK_DEFAULT, metavar="MASK"
    ),
    Option("noexec", FLAG, "Let the kernel run no program that is in the mount.", default=False),
    Option("fsname", TEXT, "What df and mount show as the source. Default: the server's address.", metavar="NAME"),
    Option("log_level", one_of(*LEVELS), "Log this level and above.", default="warning"),
    Option("log_format", one_of(*FORMATS), "How a line of the log looks.", default="text"),
)
"""All options of `cometfs mount`."""
