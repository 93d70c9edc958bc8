"""What is more open than it should be: a sentence for each, which names the remedy. Commands print them at their start.

Not here: what is refused (server/http/middleware.py), and where keys are looked for (comet/settings.py).
"""

from __future__ import annotations

import ipaddress
import shlex
import socket
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from cometfs.comet.address import parse_address
from cometfs.comet.network import UNCHECKED_WARNING, Network
from cometfs.options.files import places, read_files


def of_mount(url: str, key_files: Iterable[Path], network: Network) -> list[str]:
    """Of a mount of the Comet at `url`, with a key from one of `key_files`. Raises SetupError for no address."""
    unchecked = [] if network.checks else [UNCHECKED_WARNING]
    found = [*of_key_files(key_files), *of_configuration(), *_of_address(url), *unchecked]
    return list(dict.fromkeys(found))


def of_key_files(paths: Iterable[Path]) -> list[str]:
    """Of files with an API key in them."""
    return [*map(_of_file, filter(is_open, dict.fromkeys(paths)))]


def _of_file(path: Path, secret: str = "an API key") -> str:
    return f"{path} holds {secret} and is open to others: chmod 600 {shlex.quote(str(path))}"


def of_configuration() -> list[str]:
    """Of configuration files: they may hold what is secret, or name the files that do, and they name the server that
    gets the key. Raises SetupError where one is damaged."""
    files = read_files()
    open_to_others = [_of_file(file.path, file.secret) for file in files if file.secret and is_open(file.path)]
    named = of_key_files(path for file in files for path in file.key_files)
    return [*open_to_others, *named] + [
        f"{path} names where an API key goes and can be changed by others: chmod go-w {shlex.quote(str(path))}"
        for path in places()
        if _mode(path) & (stat.S_IWGRP | stat.S_IWOTH)
    ]


def _of_address(url: str) -> list[str]:
    parts = urlsplit(parse_address(url).root)
    if parts.scheme != "http" or is_this_machine(parts.hostname or ""):
        return []
    return [f"the API key goes to {parts.hostname} unencrypted: name an address with https:// by --url"]


def of_server(bind: str, api_key: str | None, key_file: Path | None = None) -> list[str]:
    """Of a server at `bind`, HOST:PORT, which takes the key of `key_file`."""
    if key_file is not None and is_open(key_file):
        return [_of_file(key_file)]
    if api_key is not None or not is_reachable(bind):
        return []
    return [f"everybody who can reach {bind} may read and delete what is served: let in one key by --api-key-file FILE"]


def of_metrics(bind: str | None) -> list[str]:
    """Of metrics that are served at HOST:PORT, to all that ask."""
    if bind is None or not is_reachable(bind):
        return []
    return [
        f"everybody who can reach {bind} may read the metrics of this mount: --metrics 127.0.0.1:PORT keeps them here"
    ]


def is_open(path: Path) -> bool:
    """Whether others may do anything with a file."""
    return bool(_mode(path) & (stat.S_IRWXG | stat.S_IRWXO))


def _mode(path: Path) -> int:
    """The permissions of a file; none of what is no file, or cannot be seen."""
    with suppress(OSError):
        mode = path.stat().st_mode
        return stat.S_IMODE(mode) if stat.S_ISREG(mode) else 0
    return 0


def is_reachable(bind: str) -> bool:
    """Whether other machines can connect to what is bound there. Blocks."""
    return not all(ipaddress.ip_address(address).is_loopback for address in _addresses(bind.rpartition(":")[0]))


def is_this_machine(host: str) -> bool:
    """Whether a name or an address leads to this machine: nothing can be bound to one that does not. Blocks."""
    found = _addresses(host)
    return bool(found) and all(map(_can_bind, found))


def _can_bind(address: str) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        try:
            sock.bind((address, 0))
        except OSError:
            return False
    return True


def _addresses(host: str) -> list[str]:
    """What a name leads to, without the zone of a link; nothing where it leads nowhere."""
    try:
        found = socket.getaddrinfo(host.strip("[]"), None, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError):
        return []
    return [str(place[4][0]).partition("%")[0] for place in found]
