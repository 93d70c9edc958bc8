"""The configuration file of a user that has none: every option, commented out, with what it means."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from cometfs.options.kinds import NAMES
from cometfs.options.table import MOUNT, Option

HEAD = """\
# Options of cometfs. 'cometfs help config' explains this file, 'cometfs config' prints what is in force.
# Remove a # to set an option. After that, COMETFS_... in the environment and flags still go before it.
"""

FOOT = """
# What belongs to one account: cometfs mount --profile work
#
# [profiles.work]
# url = "https://comet.example.com"
# api_key_file = "~/.config/cometfs/work.key"
# workspaces = ["vision"]
# mountpoint = "~/comet/work"
"""


def template() -> str:
    """The text of that file. Without the signs of comments, its lines are valid."""
    return HEAD + "".join(_entries()) + FOOT


def _entries() -> Iterator[str]:
    for option in MOUNT:
        yield f"\n# {option.help}\n# {option.name} = {_written(option)}\n"


def _written(option: Option) -> str:
    value: Any = option.metavar if option.default is None else option.default
    return json.dumps([option.metavar] if option.kind is NAMES else value)
