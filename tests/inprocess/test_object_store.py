"""The embedded Comet's object store: links that expire, no keys, bytes of any asset."""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import httpx
import pytest

from cometfs.server import sample_directory
from cometfs.server.catalog.catalog import open_directory
from cometfs.server.http.app import make_app
from cometfs.server.http.object_store import ObjectStore

KEY = {"Authorization": "k"}
BASELINE = "50d3a93fdfbc7f162d0165d3174ee601"
PICTURE = "6b5fb51d153d3fd443dabf536ba89e00"
GET = f"http://comet/api/rest/v2/experiment/asset/get-asset?experimentKey={BASELINE}&assetId="


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> ObjectStore:
    return ObjectStore(port=9000, lifetime=60, now=clock)


@pytest.fixture
async def comet(store: ObjectStore) -> AsyncIterator[httpx.AsyncClient]:
    app = make_app(open_directory(sample_directory()), object_store=store)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
        yield client


@pytest.fixture
async def storage(store: ObjectStore) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(store)) as client:
        yield client


async def link(comet: httpx.AsyncClient) -> str:
    found = await comet.get(f"{GET}{PICTURE}&allow301=True", headers=KEY)
    assert found.status_code == 302
    return found.headers["Location"]


async def test_a_redirect_leads_to_the_bytes(comet: httpx.AsyncClient, storage: httpx.AsyncClient) -> None:
    """By a link with a signature and an end, as often as it is asked for; every link is another one."""
    first, second = await link(comet), await link(comet)
    assert first != second
    assert urlsplit(first).netloc == "comet:9000"
    streamed = (await comet.get(f"{GET}{PICTURE}", headers=KEY)).content
    for url in (first, first, second):
        assert (await storage.get(url)).content == streamed
    assert len(streamed) == 3314


async def test_a_link_expires(
    comet: httpx.AsyncClient, storage: httpx.AsyncClient, store: ObjectStore, clock: Clock
) -> None:
    """It is refused as S3 refuses, whatever end is written into it, and forgotten."""
    old = await link(comet)
    clock.now += 59
    assert (await storage.get(old)).status_code == 200
    clock.now += 1
    refused = await storage.get(old)
    assert (refused.status_code, "Request has expired" in refused.text) == (403, True)
    longer = old.replace("Expires=1000060", "Expires=2000000")
    assert "SignatureDoesNotMatch" in (await storage.get(longer)).text
    await link(comet)
    assert store.links == 1


@pytest.mark.parametrize("header", ["Authorization", "Comet-Sdk-Api"])
async def test_a_request_with_a_key_is_refused(
    comet: httpx.AsyncClient, storage: httpx.AsyncClient, header: str
) -> None:
    """It should never have been sent there."""
    assert (await storage.get(await link(comet), headers={header: "k"})).status_code == 400


async def test_a_link_is_needed_and_for_reading(comet: httpx.AsyncClient, storage: httpx.AsyncClient) -> None:
    """Nothing else is there."""
    url = await link(comet)
    assert [(await storage.post(url)).status_code, (await storage.head(url)).status_code] == [405, 405]
    assert (await storage.get(url.partition("?")[0])).status_code == 403
    assert (await storage.get(url.replace("/objects/", "/"))).status_code == 405


async def test_comet_itself_refuses_and_streams(comet: httpx.AsyncClient) -> None:
    """What is not there is no link; without leave there is no redirect."""
    assert (await comet.get(f"{GET}none&allow301=true", headers=KEY)).status_code == 404
    assert (await comet.get(f"{GET}{PICTURE}&allow301=true")).status_code == 401
    for leave in ("", "&allow301=false", "&allow301=False"):
        assert (await comet.get(f"{GET}{PICTURE}{leave}", headers=KEY)).status_code == 200
