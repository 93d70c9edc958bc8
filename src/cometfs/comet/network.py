"""What stands between this machine and a Comet, as settings of Comet's own client and of others say it.

- ``COMET_INCLUDE_CUSTOM_CA_BUNDLE``: certificates, a file or a directory of files, trusted beside the others
- ``SSL_CERT_FILE``, ``SSL_CERT_DIR``, ``REQUESTS_CA_BUNDLE``, ``CURL_CA_BUNDLE``: in the place of the system's
- ``COMET_INTERNAL_CHECK_TLS_CERTIFICATE``: whether certificates are checked at all
- ``COMET_ALLOW_HEADER_NAME``, ``COMET_ALLOW_HEADER_VALUE``: a header without which a firewall lets no call through

Not here: where settings are looked for (settings.py), what is made of certificates (http/trust.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from cometfs.errors import SetupError

FURTHER = "COMET_INCLUDE_CUSTOM_CA_BUNDLE"
UNCHECKED = "COMET_INTERNAL_CHECK_TLS_CERTIFICATE"
UNCHECKED_WARNING = (
    f"certificates are not checked, as {UNCHECKED} says: any machine on the way can read the API key and change answers"
)
INSTEAD = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")

_NO = frozenset({"0", "false", "f", "no", "n", "off"})

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""RFC 9110, 5.1."""


class Certificates(NamedTuple):
    """A file or a directory, and the variable that names it."""

    variable: str
    path: Path


@dataclass(frozen=True, slots=True)
class Network:
    """How a Comet is reached. Paths are absolute: a daemon has another working directory."""

    instead: tuple[Certificates, ...] = ()
    """Trusted in the place of the system's certificates, all of them together; none: the system's."""
    further: Certificates | None = None
    """Trusted in any case."""
    checks: bool = True
    """Whether certificates are checked."""
    header: tuple[str, str] | None = field(default=None, repr=False)
    """A name and a value that go to Comet, and nowhere else."""

    @property
    def headers(self) -> dict[str, str]:
        return dict([self.header]) if self.header else {}


def find_network(find: Callable[[str], str | None], environ: Mapping[str, str], cwd: Path) -> Network:
    """`find` looks for a setting of Comet's by its name in the environment. Raises SetupError."""
    bundle = find(FURTHER)
    return Network(
        tuple(_certificates(name, environ[name], cwd) for name in INSTEAD if environ.get(name)),
        _certificates(FURTHER, bundle, cwd) if bundle else None,
        (find(UNCHECKED) or "").lower() not in _NO,
        _header(find("COMET_ALLOW_HEADER_NAME"), find("COMET_ALLOW_HEADER_VALUE")),
    )


def _certificates(variable: str, path: str, cwd: Path) -> Certificates:
    try:
        return Certificates(variable, Path(path) if Path(path).is_absolute() else cwd.absolute() / path)
    except OSError as error:
        raise SetupError(f"{variable} leads nowhere: the current directory is gone ({error.strerror})") from error


def _header(name: str | None, value: str | None) -> tuple[str, str] | None:
    """As Comet's own client: none without both."""
    if not (name and value):
        return None
    if not _NAME.fullmatch(name) or name.lower() == "authorization":
        raise SetupError("COMET_ALLOW_HEADER_NAME is no name of a header that can be added")
    if not value.isascii() or not value.isprintable():
        raise SetupError("COMET_ALLOW_HEADER_VALUE holds characters that no header can have")
    return name, value
