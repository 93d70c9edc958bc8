"""What old versions of comet_ml send: their key in bodies and queries, and which of them are taken at all."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from cometfs.server.catalog.catalog import open_directory
from cometfs.server.http.app import make_app
from cometfs.server.http.middleware import MOST_KEYED, _begun
from cometfs.server.storage.journal import Journal
from cometfs.server.storage.lock import lock

KEY = "00c0ffee" * 4
START = {"experimentKey": KEY, "projectName": "p", "teamName": "ws", "local_timestamp": 1000, "libVersion": "3.31.22"}


@pytest.fixture
async def http(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a header of its own, of a server that takes one key and logs its requests."""
    (runs := tmp_path / "runs").mkdir()
    index, locked = open_directory(runs), lock(runs)
    app = make_app(index, journal=Journal(index, locked), api_key="right", access_log=tmp_path / "log")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://comet/clientlib/") as made:
        yield made
    locked.close()


async def post(http: httpx.AsyncClient, path: str, body: Any, status: int = 200) -> Any:
    reply = await http.post(path, json=body)
    assert reply.status_code == status, reply.text
    return reply.json()


async def test_a_key_in_a_body(http: httpx.AsyncClient) -> None:
    """Where it stands in no header; the body is whole for the endpoint, however it comes."""
    await post(http, "logger/add/run", START, 401)
    await post(http, "logger/add/run", START | {"apiKey": "wrong"}, 401)
    await post(http, "logger/add/run", START | {"apiKey": {}}, 401)
    assert (await post(http, "logger/add/run", START | {"apiKey": "right"}))["runId"] == KEY
    await post(http, "notify/event", {"api_key": "right", "event_name": "x"})
    wrong = await http.post("logger/add/run", json=START | {"apiKey": "right"}, headers={"Authorization": "wrong"})
    assert wrong.status_code == 401

    async def pieces() -> AsyncIterator[bytes]:
        body = json.dumps({"apiKey": "right", "experimentKey": KEY, "addedTags": ["t"]}).encode()
        for at in range(0, len(body), 7):
            yield body[at : at + 7]

    assert (await http.post("tags/add-tags-to-experiment", content=pieces())).status_code == 200
    tags = await http.get(
        "http://comet/api/rest/v2/experiment/tags?experimentKey=" + KEY, headers={"Authorization": "right"}
    )
    assert tags.json()["tags"] == ["t"]


async def test_a_key_is_looked_for_nowhere_else(http: httpx.AsyncClient) -> None:
    """Not in what goes to the REST API."""
    await post(http, "http://comet/api/rest/v2/write/experiment/tags", {"apiKey": "right", "experimentKey": KEY}, 401)
    reply = await http.get("http://comet/api/rest/v2/workspaces?apiKey=right")
    assert reply.status_code == 401


async def test_no_long_body_is_kept_for_its_key() -> None:
    """Which would be a way to fill the memory without a key."""
    message = {"type": "http.request", "body": b" " * (1 << 16), "more_body": True}
    calls = 0

    async def receive() -> Any:
        nonlocal calls
        calls += 1
        return message

    body, again = await _begun(receive)
    assert (len(body), calls) == (MOST_KEYED, MOST_KEYED >> 16)
    assert await again() is message
    assert calls == MOST_KEYED >> 16


async def test_a_key_in_the_query_of_an_upload(http: httpx.AsyncClient, tmp_path: Path) -> None:
    """It is in no access log."""
    await post(http, "logger/add/run", START | {"apiKey": "right"})
    for key, status in (("wrong", 401), ("right", 200)):
        query = {"experimentId": KEY, "apiKey": key, "fileName": "a"}
        assert (await http.post("asset/upload", params=query, files={"file": b"x"})).status_code == status
    encoded = f"asset/upload?experimentId={KEY}&fileName=a&api%4bey=right"
    assert (await http.post(encoded, files={"file": b"x"})).status_code == 200
    log = (tmp_path / "log").read_text()
    assert "right" not in log
    assert "apiKey=***" in log


async def test_points_come_over_http(http: httpx.AsyncClient) -> None:
    """SDKs before 3.32 ask for a WebSocket's address, and use it unless the handshake switches them over."""
    made = await post(http, "logger/add/run", START | {"apiKey": "right"})
    assert made["featureToggles"] == [{"name": "sdk_use_http_messages", "enabled": True}]
    assert made["ws_url"]


@pytest.mark.parametrize("version", ["3.23.1", "3.31.4", "2.0.17", "3.9.0rc1"])
async def test_too_old_to_log(http: httpx.AsyncClient, tmp_path: Path, version: str) -> None:
    """The answer has a sentence, which these show, and no run."""
    asked = {"apiKey": "right", "libVersion": version}
    for path, body in (("add/run", START), ("get/run", {"previousExperiment": KEY})):
        made = await post(http, f"logger/{path}", body | asked)
        assert (made["runId"], made["ws_url"]) == (None, None)
        assert f"does not take runs of comet_ml {version}: update it to 3.31.5 or later" in made["msg"]
    upload = await post(http, "logger/add/run", START | asked | {"offline": True}, 400)
    assert "put its archive into the server's directory" in upload["msg"]
    assert not (tmp_path / "runs" / KEY).exists()


@pytest.mark.parametrize("version", ["3.31.5", "3.58.8", "4.0.0", "3.59", "dev", None])
async def test_not_too_old_to_log(http: httpx.AsyncClient, version: str | None) -> None:
    """What is no version of three numbers is none of those."""
    made = await post(http, "logger/add/run", START | {"apiKey": "right", "libVersion": version})
    assert made["runId"] == KEY
