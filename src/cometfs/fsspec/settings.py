"""Options of a file system become settings: files of configuration, profiles and the environment count as for a mount.

Not here: the options themselves (options/table.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from cometfs.config import MountSettings, mount_settings
from cometfs.errors import SetupError
from cometfs.options.sources import configured
from cometfs.options.table import ACCOUNT, MOUNT

GIVEN = frozenset({"url", "profile", "api_key_file", "cache_dir", "deadline", "live_interval", "shared"})
"""What a program may say."""

CONFIGURED = frozenset(
    {"cache_dir", "deadline", "live_interval", "cache_size", "rate", "workspaces", "offline", "shared"}
)
"""What files and the environment may say, beside the account."""


def settings_of(given: Mapping[str, Any]) -> MountSettings:
    """The settings in force for a program that says this much. Raises SetupError."""
    arguments = [
        word
        for name, value in given.items()
        if value is not None
        for word in (f"--{name.replace('_', '-')}", str(value))
    ]
    try:
        found: MountSettings = _command.main(arguments, prog_name="comet://", standalone_mode=False)
    except click.ClickException as error:
        raise SetupError(error.format_message()) from error
    return found


@click.command()
@configured(*ACCOUNT, *(option for option in MOUNT if option.name in CONFIGURED))
def _command(**options: Any) -> MountSettings:
    """Takes what a mount takes, but what concerns its place."""
    return mount_settings(Path("/"), **options)
