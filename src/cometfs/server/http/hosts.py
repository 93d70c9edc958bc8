"""Which names are this server's own: it distinguishes a request of its clients from one of a web page somewhere.

A page can make its own name lead to this machine (DNS rebinding), and a browser then takes this server for a part of
the page's site. What the browser says of a request gives that away: its `Host` is the page's.

Not here: what is refused (`middleware`).
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from contextlib import suppress
from urllib.parse import urlsplit

LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
"""Names that lead nowhere else."""

PORTS = {"http": 80, "https": 443}


class OwnNames:
    """`bound`: names of this machine, good for the port that is served. `named`: NAME or NAME:PORT, as a proxy or
    a forwarded port shows this server; without a port, any. Raises ValueError for one that is no name."""

    def __init__(self, bound: Iterable[str] = (), named: Iterable[str] = ()) -> None:
        self._bound = LOCAL | {_plain(host) for host in bound}
        self._named = {_authority(text) for text in named}

    def has_host(self, host: str, server: tuple[str, int | None]) -> bool:
        """Whether a `Host` is this server's; `server`: address and port that the request came to."""
        return self._has(host, PORTS["http"], server)

    def has_origin(self, origin: str, server: tuple[str, int | None]) -> bool:
        """Whether an `Origin` is."""
        scheme, _, authority = origin.partition("://")
        return scheme in PORTS and self._has(authority, PORTS[scheme], server)

    def _has(self, text: str, default: int, server: tuple[str, int | None]) -> bool:
        try:
            host, port = _authority(text)
        except ValueError:
            return False
        address, served = server
        is_bound = (host in self._bound or host == _plain(address)) and (port or default) == (served or default)
        return is_bound or not self._named.isdisjoint({(host, None), (host, port)})


def machine_names() -> set[str]:
    """What this machine is called, as far as it knows. Blocks: a name server may be asked."""
    full = socket.gethostname()
    return {full, full.partition(".")[0], socket.getfqdn()}


def _authority(text: str) -> tuple[str, int | None]:
    with suppress(ValueError):
        parts = urlsplit(f"//{text}")
        port = parts.port
        if parts.hostname and parts.netloc == text and "@" not in text:
            return _plain(parts.hostname), port
    raise ValueError(f"{text!r} is no name of a host: write it as NAME or NAME:PORT")


def _plain(host: str) -> str:
    """One spelling of each name and address."""
    host = host.lower().removesuffix(".").partition("%")[0]
    with suppress(ValueError):
        return str(ipaddress.ip_address(host))
    return host
