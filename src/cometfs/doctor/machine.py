"""What a mount needs of this machine and costs nothing to look at. More of it is for another day."""

from __future__ import annotations

from cometfs.comet.address import parse_address
from cometfs.errors import SetupError
from cometfs.fuse import mountpoints


def lines(url: str) -> list[str]:
    """A line for each thing. Raises SetupError for no address."""
    return [f"ok       there is an API key, for {parse_address(url).root}", _fuse()]


def _fuse() -> str:
    try:
        mountpoints.require_fuse()
    except SetupError as error:
        return f"missing  {error}"
    return "ok       FUSE"
