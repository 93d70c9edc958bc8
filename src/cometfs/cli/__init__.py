"""The commands: options in, sentences out. One module for those that belong together; `group` has what all share.

Not here: the work itself. A command imports it when it runs, so that `--help` need not wait for it.
"""

from cometfs.cli import (  # each adds its commands
    cache,
    completion,
    config,
    doctor,
    export,
    help,
    serve,
    service,
    status,
    warm,
)
from cometfs.cli.group import main
from cometfs.cli.mount import mount
from cometfs.cli.mount_helper import run

__all__ = [
    "cache",
    "completion",
    "config",
    "doctor",
    "export",
    "help",
    "main",
    "mount",
    "run",
    "serve",
    "service",
    "status",
    "warm",
]
