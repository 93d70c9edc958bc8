"""Logging in to the pages of a server with an API key: what the cookie is worth, and how often keys may be tried."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import HTTPConnection
from starlette.responses import Response

from cometfs.server.catalog.catalog import open_directory
from cometfs.server.http.app import make_app
from cometfs.server.pages import login
from cometfs.server.pages.login import LASTS, TRIES, WINDOW, Login, TooManyTries
from tests.browser.test_overview import Page
from tests.inprocess.test_server_app import KEY, LINES, write_run

SECRET = "the key é"
EXPERIMENT = f"/ws/p/{KEY}"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    runs = tmp_path / "runs"
    runs.mkdir()
    write_run(runs, KEY, LINES)
    return runs


@asynccontextmanager
async def browsing(directory: Path, address: str = "192.0.2.1") -> AsyncIterator[httpx.AsyncClient]:
    app = make_app(open_directory(directory), api_key=SECRET)
    transport = httpx.ASGITransport(app, client=(address, 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://comet") as client:
        yield client


async def log_in(client: httpx.AsyncClient, path: str = "/", key: str = SECRET, **headers: str) -> httpx.Response:
    return await client.post(path, data={"key": key}, headers=headers)


def is_form(reply: httpx.Response) -> bool:
    return {"name": "key", "type": "password"}.items() <= next(
        (field.items() for field in Page(reply.content).every("input") if field.get("id") == "key"), {}.items()
    )


@pytest.mark.parametrize(
    "path", ["/", "/ws", "/ws/p", EXPERIMENT, f"{EXPERIMENT}/assets/a1", f"{EXPERIMENT}/plots/loss.svg", "/nope"]
)
async def test_without_a_login_every_page_is_the_form(directory: Path, path: str) -> None:
    """With status 401, whether or not there is anything; nothing of what was logged is in it."""
    async with browsing(directory) as client:
        reply = await client.get(path)
        assert (reply.status_code, is_form(reply)) == (401, True)
        assert reply.content == (await client.get("/")).content
        assert "frame-ancestors 'none'" in reply.headers["content-security-policy"]


async def test_the_key_opens_the_page_that_was_asked_for(directory: Path) -> None:
    """Whose address is asked for again, by GET; the cookie is one that no script reads and no other site sends."""
    async with browsing(directory) as client:
        reply = await log_in(client, EXPERIMENT)
        assert (reply.status_code, reply.headers["location"]) == (303, EXPERIMENT)
        (cookie,) = SimpleCookie(reply.headers["set-cookie"]).values()
        assert cookie["httponly"]
        assert (cookie["samesite"], cookie["path"], cookie["domain"], cookie["secure"]) == ("strict", "/", "", "")
        assert int(cookie["max-age"]) == LASTS
        assert len(cookie.value) > 40
        page = await client.get(EXPERIMENT)
    assert page.status_code == 200
    assert not is_form(page)
    for secret in (SECRET, cookie.value):
        assert secret not in page.text
        assert secret not in str(reply.url) + reply.headers["location"]
    assert SECRET not in reply.headers["set-cookie"]


async def test_each_login_has_a_token_of_its_own(directory: Path) -> None:
    """Made by chance, so that the key does not follow from it; each ends by itself."""
    tokens: list[str] = []
    async with browsing(directory) as client:
        for _ in range(2):
            await log_in(client)
            tokens += client.cookies.values()
        assert len(set(tokens)) == 2
        await client.post("/", data={"logout": "1"})
        assert not client.cookies
        statuses = [(await client.get("/", headers={"Cookie": f"cometfs-80={token}"})).status_code for token in tokens]
    assert statuses == [200, 401]


async def test_logging_out_ends_the_login_on_the_server(directory: Path) -> None:
    """A page has a button for it if there is a key to log in with."""
    async with browsing(directory) as client:
        await log_in(client)
        (button,) = Page((await client.get(EXPERIMENT)).content).every("button")
        assert button["name"] == "logout"
        kept = dict(client.cookies)
        reply = await client.post(EXPERIMENT, data={"logout": "1"})
        assert (reply.status_code, reply.headers["location"]) == (303, EXPERIMENT)
        assert (await client.get(EXPERIMENT)).status_code == 401
        header = "; ".join(f"{name}={value}" for name, value in kept.items())
        assert (await client.get(EXPERIMENT, headers={"Cookie": header})).status_code == 401


@pytest.mark.parametrize("key", ["", "wrong", SECRET[:-1], SECRET + " ", "k" * 5000])
async def test_a_wrong_key_opens_nothing(directory: Path, key: str) -> None:
    """The form comes again, and says so."""
    async with browsing(directory) as client:
        reply = await log_in(client, key=key)
        assert (reply.status_code, is_form(reply), "set-cookie" in reply.headers) == (401, True, False)
        assert "not the server" in reply.text
        assert (await client.get("/")).status_code == 401


async def test_of_a_form_without_end_no_more_is_read_than_a_key_needs(directory: Path) -> None:
    """Whoever sends it is not known yet."""
    read, sent = 0, []

    async def receive() -> dict[str, Any]:
        nonlocal read
        read += 1
        return {"type": "http.request", "body": b"k" * 1024, "more_body": True}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"host", b"comet:80"), (b"content-type", b"application/x-www-form-urlencoded")]
    scope = {"type": "http", "method": "POST", "path": "/", "raw_path": b"/", "query_string": b"", "headers": headers}
    app = make_app(open_directory(directory), api_key=SECRET)
    await app(scope | {"server": ("comet", 80), "client": ("192.0.2.1", 1), "scheme": "http"}, receive, send)
    assert sent[0]["status"] == 401
    assert read < 20


@pytest.mark.parametrize("cookie", ["", "cometfs-80=", "cometfs-80=x", f"cometfs-80={'k' * 43}", "cometfs-81=y"])
async def test_a_cookie_that_was_not_given_opens_nothing(directory: Path, cookie: str) -> None:
    """Of any kind."""
    async with browsing(directory) as client:
        assert (await client.get("/", headers={"Cookie": cookie})).status_code == 401


async def test_a_login_opens_no_endpoint(directory: Path) -> None:
    """They want the key itself, as before: a browser with a login deletes nothing."""
    async with browsing(directory) as client:
        await log_in(client)
        for path in ("/api/rest/v2/workspaces", f"/api/rest/v2/write/experiment/delete?experimentKey={KEY}"):
            reply = await client.get(path)
            assert (reply.status_code, reply.json()["sdk_error_code"]) == (401, 90212)


async def test_a_program_with_the_key_gets_pages(directory: Path) -> None:
    """`curl -H "Authorization: KEY"` needs no login; a header of a proxy's own login is no hindrance."""
    app = make_app(open_directory(directory), api_key="k")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://comet") as client:
        assert (await client.get(EXPERIMENT, headers={"Authorization": "k"})).status_code == 200
        assert (await client.get(EXPERIMENT, headers={"Authorization": "Basic eDp5"})).status_code == 401
        await log_in(client, key="k")
        assert (await client.get(EXPERIMENT, headers={"Authorization": "Basic eDp5"})).status_code == 200


async def test_the_form_leads_nowhere_else(directory: Path) -> None:
    """Whatever address it was shown at."""
    async with browsing(directory) as client:
        for path in (b"//evil.example/x", b"/\\evil.example", b"/%2F%2Fevil.example", b"/%5Cevil.example//"):
            reply = await client.post(httpx.URL("http://comet", raw_path=path), data={"key": SECRET})
            assert reply.status_code == 303
            location = reply.headers["location"]
            assert location.startswith("/")
            assert location[1:2] not in ("/", "\\")


def test_by_tls_the_cookie_stays_there() -> None:
    """A proxy ends it, and the browser says what it sees."""
    response = Response()
    assert Login("k").begin("k", connection("192.0.2.1", origin="https://comet.example"), response)
    assert "; Secure" in response.headers["set-cookie"]


def connection(client: str, cookie: str = "", origin: str = "") -> HTTPConnection:
    headers = [(b"cookie", cookie.encode()), (b"origin", origin.encode())]
    return HTTPConnection({"type": "http", "client": (client, 1), "server": ("comet", 8080), "headers": headers})


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def tries(logins: Login, client: str, many: int) -> None:
    for _ in range(many):
        assert not logins.begin("wrong", connection(client), Response())


def test_after_some_wrong_keys_a_client_waits() -> None:
    """Also with the right one; others do not wait, and it may go on after a while."""
    clock = Clock()
    logins = Login("k", clock)
    tries(logins, "192.0.2.1", TRIES)
    with pytest.raises(TooManyTries, match="60 s") as raised:
        logins.begin("k", connection("192.0.2.1"), Response())
    assert raised.value.seconds == WINDOW
    assert logins.begin("k", connection("192.0.2.2"), Response())
    clock.now += WINDOW - 1
    with pytest.raises(TooManyTries, match="1 s"):
        logins.begin("k", connection("192.0.2.1"), Response())
    clock.now += 1
    assert logins.begin("k", connection("192.0.2.1"), Response())


def test_addresses_of_one_network_are_one_client() -> None:
    """Of IPv6, where a machine has as many as it likes."""
    logins = Login("k")
    for number in range(TRIES):
        tries(logins, f"2001:db8::{number}", 1)
    with pytest.raises(TooManyTries):
        logins.begin("k", connection("2001:db8::ffff"), Response())
    tries(logins, "2001:db8:0:1::1", 1)


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of logins and of clients the latest."""
    monkeypatch.setattr(login, "MOST", 3)
    logins = Login("k")
    given = []
    for number in range(5):
        response = Response()
        logins.begin("k", connection(f"192.0.2.{number}"), response)
        given.append(response.headers["set-cookie"].partition(";")[0])
        tries(logins, f"198.51.100.{number}", 1)
    assert [logins.lets_in(connection("192.0.2.1", cookie)) for cookie in given] == [False, False, True, True, True]


def test_a_login_ends_by_itself() -> None:
    """After a week."""
    clock, response = Clock(), Response()
    logins = Login("k", clock)
    logins.begin("k", connection("192.0.2.1"), response)
    cookie = response.headers["set-cookie"].partition(";")[0]
    clock.now += LASTS - 1
    assert logins.lets_in(connection("192.0.2.1", cookie))
    clock.now += 1
    assert not logins.lets_in(connection("192.0.2.1", cookie))


async def test_too_many_tries_are_refused_over_http(directory: Path) -> None:
    """With status 429, the time to wait, and the form."""
    async with browsing(directory) as client:
        replies = [await log_in(client, key="wrong") for _ in range(TRIES + 1)]
    assert [reply.status_code for reply in replies] == [401] * TRIES + [429]
    assert 0 < int(replies[-1].headers["retry-after"]) <= WINDOW
    assert is_form(replies[-1])
    assert "Too many wrong keys" in replies[-1].text


@pytest.mark.parametrize("foreign", [{"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}])
async def test_no_other_site_logs_in_or_out(directory: Path, foreign: dict[str, str]) -> None:
    """Nor sees a page: the server's rules for requests stand before them."""
    async with browsing(directory) as client:
        assert (await log_in(client, **foreign)).status_code == 403
        await log_in(client)
        assert (await client.post("/", data={"logout": "1"}, headers=foreign)).status_code == 403
        refused = await client.get(EXPERIMENT, headers=foreign)
        assert (refused.status_code, refused.headers["content-type"]) == (403, "application/json")
        linked = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
        once_more = await client.get(EXPERIMENT, headers=foreign | linked)
        assert (once_more.status_code, Page(once_more.content).every("a")) == (403, [{"href": EXPERIMENT}])
        endpoint = await client.get("/api/rest/v2/workspaces", headers=foreign | linked)
        assert (endpoint.status_code, endpoint.json()["code"]) == (403, 403)
        assert (await client.get("/", headers={"Host": "evil.example"})).status_code == 403
        assert (await client.get("/")).status_code == 200


async def test_without_a_key_there_is_nothing_to_log_in_to(directory: Path) -> None:
    """Everybody is let in, as by the endpoints."""
    app: Any = make_app(open_directory(directory))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://comet") as client:
        assert (await client.get(EXPERIMENT)).status_code == 200
        reply = await client.post(EXPERIMENT, data={"key": "x"})
        assert (reply.status_code, "set-cookie" in reply.headers) == (303, False)
        assert "Log out" not in (await client.get("/")).text
