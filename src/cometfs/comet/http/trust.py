"""Which certificates of servers are trusted: those of `Network`, as a context of TLS.

By default these are the system's, which administrators add those of an organisation to, and the ones that come with
httpx, for systems without any. Not here: where they are named (network.py).
"""

from __future__ import annotations

import ssl
from pathlib import Path

from cometfs.comet.network import FURTHER, INSTEAD, Certificates, Network
from cometfs.compat.httpx_without_main import httpx
from cometfs.errors import SetupError

_UNKNOWN_ISSUER = frozenset({2, 18, 19, 20, 21})
"""OpenSSL's X509_V_ERR_*: signed by itself, or by an authority that is not known."""

_WRONG_TIME = frozenset({9, 10})
"""Not yet valid, and expired."""

_WRONG_NAME = frozenset({62, 64})
"""Of a host, and of an address."""


def context(network: Network) -> ssl.SSLContext:
    """Raises SetupError for certificates that cannot be read."""
    if network.instead:
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    else:
        made = httpx.create_ssl_context(trust_env=False)
        made.load_default_certs()
    for certificates in network.instead:
        _trust(made, certificates)
    if network.further:
        _trust_all(made, network.further)
    if not network.checks:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    return made


def _trust(made: ssl.SSLContext, named: Certificates) -> None:
    """A file, or a directory in which certificates are found by their hash, as OpenSSL has it."""
    if named.path.is_dir():
        made.load_verify_locations(capath=named.path)
    else:
        _load(made, named, named.path)


def _trust_all(made: ssl.SSLContext, named: Certificates) -> None:
    """A file, or all files of a directory that have certificates, whatever they are called."""
    if not named.path.is_dir():
        _load(made, named, named.path)
        return
    loaded = [path for path in sorted(named.path.iterdir()) if path.is_file() and _has_loaded(made, path)]
    if not loaded:
        raise SetupError(f"There are no certificates in {named.path}, which {named.variable} names")


def _has_loaded(made: ssl.SSLContext, path: Path) -> bool:
    try:
        made.load_verify_locations(cafile=path)
    except OSError:
        return False
    return True


def _load(made: ssl.SSLContext, named: Certificates, path: Path) -> None:
    try:
        made.load_verify_locations(cafile=path)
    except OSError as error:
        raise SetupError(f"The certificates that {named.variable} names cannot be read") from error


def remedy(code: int) -> str:
    """What helps against an error of verification, as a clause; "" where nothing is known to."""
    if code in _WRONG_TIME:
        return ": the server needs a new one, unless this machine's clock is wrong"
    if code in _WRONG_NAME:
        return ": name the server by --url as its certificate does"
    if code not in _UNKNOWN_ISSUER:
        return ""
    return f": name the certificates of your organisation by {FURTHER}, or by {INSTEAD[0]}"
