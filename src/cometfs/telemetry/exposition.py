"""Metrics over HTTP, for Prometheus: an ASGI application of two pages, text and a dashboard.

Not here: the text (measured.py), the names (metrics.py), and the sockets (server/http/listener.py).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib.resources import files
from typing import Any

from cometfs.telemetry.metrics import CONTENT_TYPE

DASHBOARD = files("cometfs.telemetry").joinpath("grafana.json")
"""For Grafana, to be imported."""

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class Exposition:
    """`/metrics`, and `/grafana.json`."""

    def __init__(self, text: Callable[[], Awaitable[str]]) -> None:
        self._text = text

    async def __call__(self, scope: dict[str, Any], _receive: Receive, send: Send) -> None:
        status, kind, body = await self._page(scope["method"], scope["path"])
        headers = [(b"content-type", kind.encode()), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    async def _page(self, method: str, path: str) -> tuple[int, str, bytes]:
        if method not in ("GET", "HEAD"):
            return 405, "text/plain", b"only GET\n"
        if path == "/metrics":
            return 200, CONTENT_TYPE, (await self._text()).encode()
        if path == "/grafana.json":
            return 200, "application/json", DASHBOARD.read_bytes()
        return 404, "text/plain", b"the metrics are at /metrics, a dashboard for Grafana at /grafana.json\n"
