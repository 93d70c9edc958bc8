"""Which browsers may have the pages of a server with an API key: those whose cookie has a token that this server made
for that key. The key itself is in no cookie and no address.

Not here: the form (`render.pages.lists`), what else is asked of a request (`http.middleware`).
"""

from __future__ import annotations

import hmac
import ipaddress
import secrets
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from math import ceil

from starlette.requests import HTTPConnection
from starlette.responses import Response

LASTS = 7 * 86_400
"""Seconds that a login lasts; it ends with the server, too."""

TRIES, WINDOW = 5, 60.0
"""Wrong keys that a client may send in so many seconds."""

MOST = 10_000
"""Logins, and clients with wrong tries, that are remembered; the oldest are forgotten first."""

Clock = Callable[[], float]


class TooManyTries(Exception):
    """The client is to wait for `seconds`."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"Too many wrong keys came from here. Try again in {seconds} s.")
        self.seconds = seconds


def is_key(given: str, key: str) -> bool:
    """Whether the two are the same; how long that takes depends on nothing."""
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), key.encode("utf-8", "surrogatepass"))


class Login:
    """The logins of one server; `api_key` None lets all in."""

    def __init__(self, api_key: str | None, clock: Clock = time.monotonic) -> None:
        self._api_key, self._clock = api_key, clock
        self._until: OrderedDict[bytes, float] = OrderedDict()
        """When logins end, by the digest of their token."""
        self._wrong: OrderedDict[str, deque[float]] = OrderedDict()
        """When wrong keys came, by client."""

    @property
    def is_needed(self) -> bool:
        return self._api_key is not None

    def lets_in(self, request: HTTPConnection) -> bool:
        """Whether a request's cookie is of a login that lasts."""
        if not self.is_needed:
            return True
        return self._until.get(_digest(_token(request)), 0.0) > self._clock()

    def begin(self, given: str, request: HTTPConnection, response: Response) -> bool:
        """Whether `given` is the key: the response then has the cookie. Raises TooManyTries."""
        client = _client(request)
        self._check(client)
        if self._api_key is None or not is_key(given, self._api_key):
            self._remember(client)
            return False
        self._wrong.pop(client, None)
        token = secrets.token_urlsafe(32)
        self._until[_digest(token)] = self._clock() + LASTS
        _forget_oldest(self._until)
        response.set_cookie(
            _cookie(request), token, max_age=LASTS, httponly=True, samesite="strict", secure=_is_secure(request)
        )
        return True

    def end(self, request: HTTPConnection, response: Response) -> None:
        """The token is worth nothing from now on, and the browser forgets it."""
        self._until.pop(_digest(_token(request)), None)
        response.delete_cookie(_cookie(request), httponly=True, samesite="strict", secure=_is_secure(request))

    def _check(self, client: str) -> None:
        wrong, now = self._wrong.get(client, deque()), self._clock()
        while wrong and wrong[0] <= now - WINDOW:
            wrong.popleft()
        if len(wrong) >= TRIES:
            raise TooManyTries(max(1, ceil(wrong[0] + WINDOW - now)))

    def _remember(self, client: str) -> None:
        self._wrong.setdefault(client, deque()).append(self._clock())
        self._wrong.move_to_end(client)
        _forget_oldest(self._wrong)


def _forget_oldest(found: OrderedDict[bytes, float] | OrderedDict[str, deque[float]]) -> None:
    while len(found) > MOST:
        found.popitem(last=False)


def _digest(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogatepass")).digest()


def _token(request: HTTPConnection) -> str:
    return request.cookies.get(_cookie(request), "")


def _cookie(request: HTTPConnection) -> str:
    """Browsers send a cookie to every port of a host: each server has its own."""
    return f"cometfs-{(request.scope.get('server') or ('', None))[1] or 80}"


def _client(request: HTTPConnection) -> str:
    """A machine: of IPv6 its network, in which it may choose addresses."""
    host = request.client.host if request.client else ""
    with suppress(ValueError):
        address = ipaddress.ip_address(host.partition("%")[0])
        if address.version == 6:
            return str(ipaddress.ip_network((address, 64), strict=False))
    return host


def _is_secure(request: HTTPConnection) -> bool:
    """Whether the browser came by TLS, which ends at a proxy."""
    return request.headers.get("origin", "").startswith("https://")
