"""Pages of other sites and the embedded Comet: a real browser, whose names lead where an attacker would have them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from selenium.webdriver.chrome.webdriver import WebDriver

from tests.browser.conftest import NOWHERE, browser
from tests.support.processes import Comet, running_comet
from tests.support.subprocesses import await_that

KEY = "00c0ffee" * 4
LIST = "/api/rest/v2/workspaces"
DELETE = f"/api/rest/v2/write/experiment/delete?experimentKey={KEY}"
START = {"experimentKey": KEY, "projectName": "p", "teamName": "ws", "local_timestamp": 1000}

FETCH = """
const [address, mode, done] = arguments;
const headers = mode == 'no-cors' ? {} : {Authorization: 'any'};
fetch(address, {mode, headers}).then(async reply => done([reply.status, await reply.text()]), () => done([0, '']));
"""


class Page(BaseHTTPRequestHandler):
    """An empty page of somebody else."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[int]:
    """The port of a web server of somebody else."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def visitor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebDriver]:
    """A browser for which evil.example is this machine."""
    resolving = f"MAP evil.example 127.0.0.1, {NOWHERE}, EXCLUDE 127.0.0.1"
    with browser(tmp_path_factory.mktemp("profile"), resolving) as driver:
        yield driver


@pytest.fixture
def comet(tmp_path: Path) -> Iterator[Comet]:
    """With one experiment."""
    with running_comet(tmp_path, archives=tmp_path / "runs") as running:
        headers = {"Authorization": "any"}
        httpx.post(f"{running.url}/clientlib/logger/add/run", json=START, headers=headers).raise_for_status()
        yield running


def workspaces(comet: Comet) -> list[str]:
    found: list[str] = httpx.get(comet.url + LIST, headers={"Authorization": "any"}).json()["workspaceNames"]
    return found


def fetched(visitor: WebDriver, address: str, mode: str = "cors") -> tuple[int, str]:
    """Status and text that a page gets; 0 where its browser does not let it have them."""
    status, text = visitor.execute_async_script(FETCH, address, mode)
    return status, text


def test_a_page_whose_name_leads_here_gets_nothing(visitor: WebDriver, comet: Comet) -> None:
    """To the browser this server is then a part of the page's site, and every answer may be read."""
    rebound = comet.url.replace("127.0.0.1", "evil.example")
    visitor.get(f"{rebound}/clientlib/isAlive/ver")
    for path in (LIST, DELETE):
        status, text = fetched(visitor, rebound + path)
        assert status == 403
        assert "--host" in json.loads(text)["msg"]
    assert workspaces(comet) == ["ws"]


@pytest.mark.parametrize("name", ["evil.example", "127.0.0.1"])
def test_a_page_of_another_site_deletes_nothing(name: str, visitor: WebDriver, comet: Comet, elsewhere: int) -> None:
    """Of another host, and of another port of this one; each request that gets through is refused for that."""
    visitor.get(f"http://{name}:{elsewhere}/")
    with comet.asked() as asked:
        for mode in ("cors", "no-cors"):
            assert fetched(visitor, comet.url + DELETE, mode)[0] == 0
    assert workspaces(comet) == ["ws"]
    assert len(asked) >= 1
    refused = [request["status"] for request in comet.requests() if "delete" in request["path"]]
    assert refused == [403] * len(asked)


def test_a_link_on_a_page_of_another_site_is_followed_once_more(
    visitor: WebDriver, comet: Comet, elsewhere: int
) -> None:
    """By a person, on a page of this server, in no frame: as from a notebook in which comet_ml printed the link."""
    link = f"{comet.url}/ws/p/{KEY}"
    visitor.get(f"http://evil.example:{elsewhere}/")
    visitor.execute_script(
        "const a = document.body.appendChild(document.createElement('a')); a.href = arguments[0];"
        "a.textContent = 'a link'",
        link,
    )
    visitor.find_element("css selector", "a").click()
    assert "another site" in visitor.find_element("css selector", "h1").text
    visitor.find_element("css selector", "a").click()
    await_that(lambda: "running" in visitor.page_source, "the page of the experiment")
    assert [one["status"] for one in comet.requests() if one["path"] == f"/ws/p/{KEY}"] == [403, 200]
    visitor.get(f"http://evil.example:{elsewhere}/")
    frame = "const f = document.createElement('iframe'); f.onload = arguments[1]; f.src = arguments[0];"
    visitor.execute_async_script(f"{frame} document.body.append(f)", link)
    assert comet.requests()[-1]["status"] == 403
    shown = visitor.find_element("css selector", "iframe")
    visitor.switch_to.frame(shown)
    assert "Open the page" not in visitor.page_source
    visitor.switch_to.default_content()


def test_its_own_page_is_answered(visitor: WebDriver, comet: Comet) -> None:
    """What a browser says of a page of this server bars nothing."""
    visitor.get(f"{comet.url}/clientlib/isAlive/ver")
    assert fetched(visitor, comet.url + LIST) == (200, '{"workspaceNames":["ws"]}')
    assert fetched(visitor, comet.url + DELETE)[0] == 200
    assert workspaces(comet) == ["default"]
