"""Addresses of Redis and Valkey: what is one. Works without their library."""

from __future__ import annotations

from urllib.parse import urlsplit

from cometfs.errors import SetupError
from cometfs.text.printable import without_password

SCHEMES = ("redis", "rediss", "unix")


def checked_address(address: str) -> str:
    """The address as it is. Raises SetupError for what is none."""
    try:
        found = urlsplit(address)
        usable = found.scheme in SCHEMES and bool(found.hostname or found.path) and (found.port or 1) > 0
    except ValueError:
        usable = False
    if not usable:
        raise SetupError(
            f"{without_password(address)!r} is no address of Redis or Valkey: write it as redis://HOST:6379/0"
        )
    return address
