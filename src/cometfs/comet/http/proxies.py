"""Which proxy the environment wants for an address: the conventions of HTTPS_PROXY, ALL_PROXY and NO_PROXY.

Not here: speaking to a proxy (`transport`).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit
from urllib.request import getproxies_environment, proxy_bypass


def proxy_for(origin: str, proxies: Mapping[str, str] | None = None) -> str | None:
    """The address of the proxy for `origin` (``https://host:port``), or None to connect directly.

    `proxies` is what the standard library reads from the environment: a proxy by scheme, ``all`` for any, ``no`` for
    hosts to reach without. What runs on this machine is never reached through a proxy.
    """
    found = dict(getproxies_environment() if proxies is None else proxies)
    parts = urlsplit(origin)
    if _is_here(parts.hostname or "") or proxy_bypass(parts.netloc, found):
        return None
    proxy = found.get(parts.scheme) or found.get("all")
    return proxy if not proxy or "://" in proxy else f"http://{proxy}"


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
