"""Where a Comet lives: from the address that a user writes to the addresses that are asked.

Not here: where the address comes from (`settings`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from cometfs.errors import SetupError

_TAIL = re.compile(r"(/clientlib|/api/rest/v2)?/*$")
"""A part that addresses for other clients have and REST calls do not want."""


@dataclass(frozen=True, slots=True)
class Address:
    """The root of a Comet: of its web pages, and of its API."""

    root: str
    """Without a final slash: ``https://www.comet.com``."""

    @property
    def rest(self) -> str:
        """What an endpoint's name is appended to."""
        return f"{self.root}/api/rest/v2/"


def parse_address(url: str) -> Address:
    """The Comet at `url`, with or without ``/clientlib``, with or without a final slash.

    A path before ``/clientlib`` is kept. Comet's clients disagree here: the Python one drops it, the R one keeps it;
    a path that is written is meant, and a Comet at the root of a host has none. Raises SetupError.
    """
    try:
        parts = urlsplit(url.strip())
        valid = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        valid = False
    if not valid:
        raise SetupError(
            f"{_shown(url)!r} is no address of a Comet server; write it whole, like https://www.comet.com/clientlib/"
        )
    if "@" in parts.netloc:
        raise SetupError("The address of the Comet server holds a user name or a password; take it out")
    return Address(f"{parts.scheme}://{parts.netloc.lower()}{_TAIL.sub('', parts.path)}")


def _shown(url: str) -> str:
    """The address without what may be secret in it."""
    return re.sub(r"//[^/]*@", "//…@", url.strip().split("?")[0])


def page(root: str, *names: str) -> str:
    """The address of the web page of a workspace, project or experiment, names escaped."""
    return "/".join([root, *(quote(name, safe="") for name in names)])
