"""The SDK against a Comet in trouble, in process: faults are injected where httpx would meet the network."""

from __future__ import annotations

import gzip
import json
import logging
import traceback
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import msgspec
import pytest
import trio

from cometfs import API
from cometfs.caller import patience
from cometfs.comet.downloads.storages import HOLDS
from cometfs.comet.downloads.stream import SLOWEST, STALL
from cometfs.comet.http.lanes import Lane, Lanes
from cometfs.comet.http.retries import CAP, COURTESY, RETRIES, UNSPECIFIED
from cometfs.comet.http.transport import OURS, Transport, ours
from cometfs.errors import (
    CometFSError,
    Conflict,
    DeadlineExceeded,
    KeyRejected,
    NotAllowed,
    NotFound,
    PageInstead,
    ServerFailed,
    SetupError,
    Throttled,
    Unintelligible,
    Unreachable,
    Unsupported,
)

KEY = "0123456789abcdefghijklmno"
SIGNED = "X-Amz-Signature=presigned"
DEADLINE = 60.0

Answer = httpx.Response | Exception
Handler = Callable[[httpx.Request], Answer | Awaitable[Answer]]


class Comet:
    """A server that answers by a script: the last line of it for ever."""

    def __init__(self, *script: Answer | Callable[[], Awaitable[Answer]]) -> None:
        self._script = list(script)
        self.requests: list[httpx.Request] = []
        self.times: list[float] = []

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        self.times.append(trio.current_time())
        found = self._script.pop(0) if len(self._script) > 1 else self._script[0]
        answer = found if isinstance(found, httpx.Response | Exception) else await found()
        if isinstance(answer, Exception):
            raise answer
        return answer

    @property
    def urls(self) -> list[str]:
        return [str(request.url) for request in self.requests]


def api(comet: Any, url: str = "http://comet.example", **options: Any) -> API:
    return API(KEY, url, transport=Transport(httpx.MockTransport(comet)), **options)


def ok(found: Any) -> httpx.Response:
    return httpx.Response(200, json=found)


NAMES = {"workspaceNames": ["a"]}
NAMES_BODY = json.dumps(NAMES).encode()


async def stalled() -> Answer:
    await trio.sleep_forever()
    raise AssertionError


class Body(httpx.AsyncByteStream):
    """A body in parts: bytes, an exception to raise, or seconds to wait."""

    def __init__(self, *parts: bytes | Exception | float) -> None:
        self._parts = parts
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self._parts:
            if isinstance(part, Exception):
                raise part
            if isinstance(part, bytes):
                yield part
            else:
                await trio.sleep(part)

    async def aclose(self) -> None:
        self.closed = True


def download(*parts: bytes | Exception | float, size: int | None = None) -> httpx.Response:
    headers = {} if size is None else {"Content-Length": str(size)}
    return httpx.Response(200, headers=headers, stream=Body(*parts))


async def raised(call: Awaitable[Any]) -> CometFSError:
    """The error of a call, with nothing secret in it nor in what led to it."""
    with pytest.raises(CometFSError) as caught:
        await call
    shown = "".join(traceback.format_exception(caught.value))
    assert KEY not in str(caught.value)
    assert "presigned" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert KEY not in shown.replace(f'KEY = "{KEY}"', "")
    return caught.value


# -- what is sent ------------------------------------------------------------------------------------------------------


async def test_the_key_goes_bare_in_the_header_and_nowhere_else() -> None:
    """No "Bearer", nothing in the address."""
    comet = Comet(ok(NAMES))
    async with api(comet) as one:
        assert await one.workspaces() == ["a"]
    (request,) = comet.requests
    assert request.headers["authorization"] == KEY
    assert KEY not in str(request.url)


@pytest.mark.parametrize("tail", ["", "/", "/clientlib", "/clientlib/"])
async def test_every_way_to_write_the_address_asks_the_same_place(tail: str) -> None:
    """Names are escaped in the query."""
    comet = Comet(ok({"projects": []}))
    async with api(comet, f"http://comet.example:8080{tail}") as one:
        await one.projects("a b/ü&c")
        assert one.root == "http://comet.example:8080"
    assert comet.requests[0].url.params["workspaceName"] == "a b/ü&c"
    assert str(comet.requests[0].url).startswith("http://comet.example:8080/api/rest/v2/projects?workspaceName=")


@pytest.mark.parametrize("archived", [True, False])
async def test_experiments_are_asked_for_in_one_call(archived: bool) -> None:
    """Neither page nor size: everything."""
    comet = Comet(ok({"experiments": [{"experimentKey": str(n)} for n in range(1000)]}))
    async with api(comet) as one:
        assert len(await one.experiments_by_project_id("p", archived=archived)) == 1000
        assert len(await one.experiments_by_project_name("w", "p", archived=archived)) == 1000
    text = "true" if archived else "false"
    assert [dict(request.url.params) for request in comet.requests] == [
        {"projectId": "p", "archived": text},
        {"workspaceName": "w", "projectName": "p", "archived": text},
    ]


# -- trying again ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault", [408, 500, 502, 503, 504, httpx.ConnectError("x"), httpx.RemoteProtocolError("x"), OSError(5)]
)
async def test_a_fault_that_passes_is_not_noticed(
    fault: int | Exception, autojump_clock: trio.testing.MockClock
) -> None:
    """Connection faults and a server in trouble are tried again."""
    comet = Comet(httpx.Response(fault) if isinstance(fault, int) else fault, ok(NAMES))
    async with api(comet) as one:
        assert await one.workspaces() == ["a"]
    assert len(comet.requests) == 2


async def test_a_fault_that_stays_is_an_error_after_some_tries(autojump_clock: trio.testing.MockClock) -> None:
    """Four tries, not one more, and waits that keep to the policy."""
    comet = Comet(httpx.Response(503, json={"msg": "down for repair"}))
    async with api(comet) as one:
        error = await raised(one.workspaces())
    assert isinstance(error, ServerFailed)
    assert "down for repair" in str(error)
    assert len(comet.requests) == 1 + RETRIES
    assert comet.times[-1] - comet.times[0] <= RETRIES * CAP


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 418, 501, 507])
async def test_a_refusal_is_not_tried_again(status: int) -> None:
    """It would be the same."""
    comet = Comet(httpx.Response(status, json={"msg": "no"}))
    async with api(comet) as one:
        await raised(one.workspaces())
    assert len(comet.requests) == 1


async def test_an_answer_cut_in_the_middle_is_asked_for_again(autojump_clock: trio.testing.MockClock) -> None:
    """Half of a listing is none."""
    comet = Comet(download(b'{"workspaceNames', httpx.RemoteProtocolError("peer closed connection")), ok(NAMES))
    async with api(comet) as one:
        assert await one.workspaces() == ["a"]


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After-Custom": "2.5"}, 2.5),
        ({"Retry-After": "4"}, 4.0),
        ({"Retry-After-Custom": "2.5", "Retry-After": "4"}, 2.5),
        ({"Retry-After": "0"}, 0.0),
    ],
)
async def test_a_429_is_obeyed(headers: dict[str, str], seconds: float, autojump_clock: trio.testing.MockClock) -> None:
    """The wait that it asks for, and the call goes on."""
    comet = Comet(httpx.Response(429, headers=headers), ok(NAMES))
    async with api(comet) as one:
        assert await one.workspaces() == ["a"]
    assert comet.times[1] - comet.times[0] == pytest.approx(seconds + COURTESY)


async def test_a_429_is_obeyed_as_often_as_the_deadline_allows(autojump_clock: trio.testing.MockClock) -> None:
    """It is no fault, so the number of tries is no limit."""
    comet = Comet(*[httpx.Response(429, headers={"Retry-After": "5"})] * 8, ok(NAMES))
    async with api(comet) as one:
        assert await one.workspaces() == ["a"]
    assert len(comet.requests) == 9


async def test_a_429_is_obeyed_where_there_is_another_way(autojump_clock: trio.testing.MockClock) -> None:
    """It wants no other call either, and to wait for it says nothing of how long the answer takes."""
    comet = Comet(httpx.Response(429, headers={"Retry-After": "15"}), ok(NAMES))
    async with api(comet) as one:
        with patience(10):
            assert await one.workspaces() == NAMES["workspaceNames"]
    assert trio.current_time() - comet.times[0] >= 15
    comet = Comet(httpx.Response(429, headers={"Retry-After": "15"}), stalled)
    async with api(comet) as one:
        with patience(10):
            assert isinstance(await raised(one.workspaces()), DeadlineExceeded)
    assert trio.current_time() - comet.times[1] < 11


@pytest.mark.parametrize(("headers", "seconds"), [({"Retry-After": "3600"}, 3600.0), ({}, UNSPECIFIED)])
async def test_a_429_longer_than_the_deadline_is_told_at_once(
    headers: dict[str, str], seconds: float, autojump_clock: trio.testing.MockClock
) -> None:
    """Rather than waited for in vain."""
    comet = Comet(httpx.Response(429, headers=headers))
    async with api(comet) as one:
        error = await raised(one.workspaces())
    assert isinstance(error, Throttled)
    assert error.retry_after == seconds
    assert trio.current_time() == comet.times[0]


# -- deadlines ---------------------------------------------------------------------------------------------------------


async def test_a_server_that_does_not_answer_is_given_up_at_the_deadline(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Not before, not after, and it is said what was asked."""
    began = trio.current_time()
    async with api(Comet(stalled), deadline=7.0) as one:
        error = await raised(one.experiment_tags("abc"))
    assert isinstance(error, DeadlineExceeded)
    assert "experiment/tags for experiment 'abc'" in str(error)
    assert trio.current_time() - began == pytest.approx(7.0)


async def test_retries_end_at_the_deadline(autojump_clock: trio.testing.MockClock) -> None:
    """A wait that would outlast it is not begun: the fault itself is told."""

    async def slow_fault() -> Answer:
        await trio.sleep(0.9)
        return httpx.Response(503)

    began = trio.current_time()
    async with api(Comet(slow_fault), deadline=1.0) as one:
        assert isinstance(await raised(one.workspaces()), Unreachable)
    assert trio.current_time() - began <= 1.0


async def test_a_body_that_trickles_does_not_outlast_the_deadline(autojump_clock: trio.testing.MockClock) -> None:
    """The deadline is for the whole of a call."""
    parts = [part for _ in range(100) for part in (b" ", 1.0)]
    async with api(Comet(download(*parts)), deadline=7.0) as one:
        assert isinstance(await raised(one.workspaces()), DeadlineExceeded)


# -- answers that are none ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, html="<html>Sign in</html>"),
        httpx.Response(200),
        httpx.Response(204),
        ok([]),
        ok({}),
        ok({"workspaceNames": [[1]]}),
        httpx.Response(200, content=b"[" * 100_000),
        httpx.Response(200, headers={"Content-Encoding": "gzip"}, stream=Body(b"not gzip", b"at all")),
        httpx.Response(200, headers={"Content-Encoding": "gzip"}, stream=Body(gzip.compress(NAMES_BODY)[:-9])),
        httpx.Response(200, headers={"Content-Encoding": "gzip"}, stream=Body(gzip.compress(NAMES_BODY) + b"more")),
        httpx.Response(200, headers={"Content-Encoding": "br"}, stream=Body(b"x")),
    ],
)
async def test_what_is_no_answer_is_unintelligible(answer: httpx.Response) -> None:
    """HTML with 200, nothing, another shape, damage: never an empty list."""
    async with api(Comet(answer)) as one:
        error = await raised(one.workspaces())
    assert isinstance(error, Unintelligible)
    assert "workspaces" in str(error)


@pytest.mark.parametrize("status", [200, 400])
async def test_a_page_is_another_matter_than_a_wrong_answer(status: int) -> None:
    """A login or a proxy stands before Comet, whatever it calls its page."""
    async with api(Comet(httpx.Response(status, text="<!-- x --><!DOCTYPE html><html>Sign in</html>"))) as one:
        assert isinstance(await raised(one.workspaces()), PageInstead)


@pytest.mark.parametrize("fault", [httpx.ConnectError("x"), httpx.RemoteProtocolError("x"), OSError(5)])
async def test_a_connection_that_fails_is_another_matter_than_a_server_that_does(
    fault: Exception, autojump_clock: trio.testing.MockClock
) -> None:
    """Only the first says anything about the network."""
    async with api(Comet(fault)) as one:
        error = await raised(one.workspaces())
    assert isinstance(error, Unreachable)
    assert not isinstance(error, ServerFailed | DeadlineExceeded)


async def test_a_large_answer_is_the_same_as_a_small_one() -> None:
    """It is decoded elsewhere, with the same errors."""
    names = [f"workspace-{n:0100}" for n in range(20_000)]
    async with api(Comet(ok({"workspaceNames": names}), ok({"workspaceNames": "".join(names)}))) as one:
        assert await one.workspaces() == names
        assert isinstance(await raised(one.workspaces()), Unintelligible)


async def test_an_answer_may_be_compressed() -> None:
    """As Comet's are."""
    for encoding, packed in (("gzip", gzip.compress(NAMES_BODY)), ("deflate", zlib.compress(NAMES_BODY))):
        parts = [packed[n : n + 1] for n in range(len(packed))]
        async with api(Comet(httpx.Response(200, headers={"Content-Encoding": encoding}, stream=Body(*parts)))) as one:
            assert await one.workspaces() == ["a"]


async def test_a_redirect_of_an_answer_is_not_followed_with_the_key() -> None:
    """It says that the address is not right."""
    comet = Comet(httpx.Response(301, headers={"Location": f"https://other.example/x?{SIGNED}"}))
    async with api(comet) as one:
        error = await raised(one.workspaces())
    assert isinstance(error, Unintelligible)
    assert "https://other.example" in str(error)
    assert len(comet.requests) == 1


# -- the border of httpx -----------------------------------------------------------------------------------------------


def httpx_exceptions() -> list[type[Exception]]:
    found = [getattr(httpx, name) for name in httpx.__all__]
    return [kind for kind in found if isinstance(kind, type) and issubclass(kind, Exception)]


def test_the_list_of_exceptions_is_not_empty() -> None:
    """The next test would prove nothing."""
    assert len(httpx_exceptions()) > 20


@pytest.mark.parametrize("kind", httpx_exceptions(), ids=lambda kind: str(kind.__name__))
async def test_every_exception_of_httpx_is_one_of_ours(
    kind: type[Exception], autojump_clock: trio.testing.MockClock
) -> None:
    """Whether it comes with the headers or in the middle of a body."""
    exc = kind.__new__(kind, f"with the key {KEY}")
    assert isinstance(ours(exc, "host"), CometFSError)
    async with api(Comet(exc)) as one:
        with pytest.raises(CometFSError) as caught:
            await one.workspaces()
    assert KEY not in str(caught.value)
    async with api(Comet(download(b"x", exc))) as one:
        with pytest.raises(CometFSError) as caught:
            await one.experiment_asset("k", "a")
    assert KEY not in str(caught.value)


def test_the_table_of_errors_knows_only_classes_that_exist() -> None:
    """And all lead into our tree."""
    assert all(issubclass(kind, CometFSError) for kind in OURS.values())


async def test_nothing_secret_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """At any level, by anybody."""
    caplog.set_level(logging.DEBUG)
    comet = Comet(httpx.Response(302, headers={"Location": f"http://storage/x?{SIGNED}"}), download(b"x", size=1))
    async with api(comet) as one:
        await one.experiment_asset("k", "a")
    assert KEY not in caplog.text
    assert "presigned" not in caplog.text


# -- downloads ---------------------------------------------------------------------------------------------------------


async def received(one: API) -> tuple[int | None, bytes]:
    async with one.stream_asset("k", "a") as stream:
        return stream.size, b"".join([chunk async for chunk in stream])


async def test_a_download_tells_its_size_and_gives_its_bytes() -> None:
    """It asks for them uncompressed, and allows a redirect."""
    comet = Comet(download(b"ab", b"", b"c", size=3))
    async with api(comet) as one:
        assert await received(one) == (3, b"abc")
    (request,) = comet.requests
    assert dict(request.url.params) == {"experimentKey": "k", "assetId": "a", "allow301": "true"}
    assert request.headers["accept-encoding"] == "identity"


async def test_a_size_that_nobody_tells_is_none() -> None:
    """Nor is the length of something compressed a size."""
    async with api(Comet(download(b"abc"))) as one:
        assert await received(one) == (None, b"abc")
    packed = gzip.compress(b"abc")
    headers = {"Content-Encoding": "gzip", "Content-Length": str(len(packed))}
    async with api(Comet(httpx.Response(200, headers=headers, stream=Body(packed)))) as one:
        assert await received(one) == (None, b"abc")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    ("location", "target"),
    [
        (f"https://storage.example/b/k?{SIGNED}", f"https://storage.example/b/k?{SIGNED}"),
        (f"http://comet.example/other?{SIGNED}", f"http://comet.example/other?{SIGNED}"),
        (f"/root?{SIGNED}", f"http://comet.example/root?{SIGNED}"),
        (f"near?{SIGNED}", f"http://comet.example/api/rest/v2/experiment/asset/near?{SIGNED}"),
    ],
)
async def test_a_redirect_is_followed_without_the_key(status: int, location: str, target: str) -> None:
    """To any host, its own too; relative ones are resolved; the link is not changed."""
    comet = Comet(httpx.Response(status, headers={"Location": location}), download(b"abc", size=3))
    async with api(comet) as one:
        assert await received(one) == (3, b"abc")
    assert comet.urls[1] == target
    assert "authorization" in comet.requests[0].headers
    assert "authorization" not in comet.requests[1].headers
    assert KEY not in str(comet.requests[1].headers)


@pytest.mark.parametrize("location", [None, "", "ftp://h/x", "http://", "http://[::1", f"http://h:x/?{SIGNED}"])
async def test_a_redirect_to_nowhere_is_unintelligible(location: str | None) -> None:
    """No scheme but http and https."""
    comet = Comet(httpx.Response(302, headers={} if location is None else {"Location": location}))
    async with api(comet) as one:
        assert isinstance(await raised(received(one)), Unintelligible)


async def test_redirects_that_never_end_are_given_up() -> None:
    """After a few."""
    comet = Comet(httpx.Response(302, headers={"Location": "/again"}))
    async with api(comet) as one:
        assert isinstance(await raised(received(one)), Unintelligible)
    assert len(comet.requests) < 10


@pytest.mark.parametrize(("status", "kind"), [(403, NotAllowed), (404, NotFound), (400, Unreachable)])
async def test_a_refusal_of_the_storage_says_nothing_about_the_key(status: int, kind: type[CometFSError]) -> None:
    """Nor shows the link."""
    refused = httpx.Response(status, text=f"<Error>{SIGNED}</Error>")
    comet = Comet(httpx.Response(302, headers={"Location": f"https://storage.example/x?{SIGNED}"}), refused)
    async with api(comet) as one:
        error = await raised(received(one))
    assert isinstance(error, kind)
    assert not isinstance(error, KeyRejected)


class RedirectingComet(Comet):
    """A server that redirects where it may, to storages that answer as a test says."""

    def __init__(self, **storages: Answer | Callable[[], Awaitable[Answer]]) -> None:
        super().__init__(*storages.values())
        self._storages = storages
        self.to = next(iter(storages))
        self.streams = True

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if request.url.host in self._storages:
            assert "authorization" not in request.headers
            found = self._storages[request.url.host]
            answer = found if isinstance(found, httpx.Response | Exception) else await found()
            if isinstance(answer, Exception):
                raise answer
            return answer
        if request.url.params["allow301"] == "true" or not self.streams:
            return httpx.Response(302, headers={"Location": f"https://{self.to}/x?{SIGNED}"})
        return download(b"abc", size=3)

    @property
    def hosts(self) -> list[str]:
        """Where the requests went; to Comet: whether they allowed a redirect."""
        return [request.url.params.get("allow301", request.url.host) for request in self.requests]


UNUSABLE: list[Answer | Callable[[], Awaitable[Answer]]] = [
    httpx.ConnectError("no such host"),
    httpx.ConnectTimeout("no answer"),
    httpx.ProxyError("403 Forbidden"),
    httpx.ReadError("reset"),
    httpx.Response(400),
    httpx.Response(403, text=f"<Error>{SIGNED}</Error>"),
    httpx.Response(503),
    stalled,
]


@pytest.mark.parametrize("storage", UNUSABLE, ids=lambda one: getattr(one, "__name__", str(one)))
@pytest.mark.logs("Comet sends files itself, as their storage cannot be used from here")
async def test_comet_is_asked_itself_where_the_storage_cannot_be_used(
    storage: Any, autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Three calls for the first file, one for each of the next; after a while the storage is tried again."""
    comet = RedirectingComet(minio=storage)
    async with api(comet) as one:
        assert await received(one) == (3, b"abc")
        assert comet.hosts == ["true", "minio", "false"]
        for _ in range(5):
            assert await received(one) == (3, b"abc")
        assert comet.hosts[3:] == ["false"] * 5
        assert len(caplog.records) == 1
        assert "presigned" not in caplog.text
        comet.requests.clear()
        await trio.sleep(HOLDS)
        await received(one)
        assert comet.hosts == ["true", "minio", "false"]


@pytest.mark.logs("Comet sends files itself")
async def test_a_storage_is_remembered_by_its_host(autojump_clock: trio.testing.MockClock) -> None:
    """One that works is used, and one that did not is not tried when another redirect leads there."""
    comet = RedirectingComet(minio=httpx.Response(403), s3=download(b"abc", size=3))
    async with api(comet) as one:
        comet.to = "s3"
        await received(one)
        comet.to = "minio"
        await received(one)
        assert comet.hosts == ["true", "s3", "true", "minio", "false"]


@pytest.mark.logs("Comet sends files itself")
async def test_a_reader_that_gives_up_spares_the_next_one(autojump_clock: trio.testing.MockClock) -> None:
    """A mount's deadline may be shorter than the wait for a storage that is silent."""
    comet = RedirectingComet(minio=stalled)
    async with api(comet) as one:
        with trio.move_on_after(3) as given_up:
            await received(one)
        assert given_up.cancelled_caught
        assert await received(one) == (3, b"abc")
    assert comet.hosts == ["true", "minio", "false"]


async def test_the_storages_own_error_is_shown_where_comet_redirects_all_the_same() -> None:
    """And nothing is remembered; what is not there is not asked for again."""
    comet = RedirectingComet(minio=httpx.Response(403))
    comet.streams = False
    async with api(comet) as one:
        assert "storage" in str(await raised(received(one)))
        assert comet.hosts == ["true", "minio", "false"]
        await raised(received(one))
        assert comet.hosts[3:] == ["true", "minio", "false"]
    comet = RedirectingComet(minio=httpx.Response(404))
    async with api(comet) as one:
        assert isinstance(await raised(received(one)), NotFound)
    assert comet.hosts == ["true", "minio"]


@pytest.mark.parametrize("status", [400, 404])
async def test_a_json_error_is_an_error_and_no_content(status: int) -> None:
    """The asset is not there."""
    async with api(Comet(httpx.Response(status, json={"msg": "no such asset", "code": status}))) as one:
        error = await raised(received(one))
    assert isinstance(error, NotFound)
    assert "asset 'a' of experiment 'k'" in str(error)


@pytest.mark.parametrize(
    "cut",
    [
        download(b"ab", size=3),
        download(size=3),
        download(b"abcd", size=3),
        download(b"ab", httpx.ReadError("x"), size=3),
        download(b"ab", httpx.RemoteProtocolError("incomplete chunked read")),
        download(b"ab", OSError(104, "reset")),
    ],
)
async def test_a_body_cut_short_is_never_just_the_end(cut: httpx.Response) -> None:
    """Nor is one that is too long the whole. Asked again after the error, it is the error again."""
    async with api(Comet(cut)) as one, one.stream_asset("k", "a") as stream:
        error = await raised(_drain(stream))
        assert isinstance(error, Unreachable)
        assert await raised(anext(stream)) is error


async def _drain(stream: AsyncIterator[bytes]) -> None:
    async for _ in stream:
        pass


async def test_a_download_that_stalls_is_given_up(autojump_clock: trio.testing.MockClock) -> None:
    """Between two chunks; a slow one that comes in time is none."""
    part = b"a" * int(SLOWEST * STALL)
    comet = Comet(download(part, STALL - 1, part, STALL - 1, part, STALL + 1, b"d", size=3 * len(part) + 1))
    async with api(comet) as one, one.stream_asset("k", "a") as stream:
        assert [await anext(stream) for _ in range(3)] == [part] * 3
        began = trio.current_time()
        assert isinstance(await raised(_drain(stream)), DeadlineExceeded)
    assert trio.current_time() - began == pytest.approx(STALL)


async def test_a_download_stalls_no_longer_than_a_call(autojump_clock: trio.testing.MockClock) -> None:
    """Nor does it drip for longer: each read of a file that has not come waits for its deadline."""
    for comet in (Comet(download(b"a", 100.0, size=2)), Comet(download(*(b"a", 1.0) * 100, size=100))):
        began = trio.current_time()
        async with api(comet, deadline=4.0) as one, one.stream_asset("k", "a") as stream:
            assert isinstance(await raised(_drain(stream)), DeadlineExceeded)
        assert trio.current_time() - began == pytest.approx(4.0)


async def test_a_download_that_drips_is_given_up(autojump_clock: trio.testing.MockClock) -> None:
    """A byte a second is no download; only waiting counts, not what a reader takes its time for."""
    drip = [part for _ in range(200) for part in (b"a", 1.0)]
    async with api(Comet(download(*drip, size=200))) as one, one.stream_asset("k", "a") as stream:
        began = trio.current_time()
        error = await raised(_drain(stream))
        assert isinstance(error, DeadlineExceeded)
        assert "Only 31 bytes in 30 s arrived" in str(error)
    assert trio.current_time() - began == pytest.approx(STALL)
    async with api(Comet(download(b"a", b"b", b"c", size=3))) as one, one.stream_asset("k", "a") as stream:
        async for _ in stream:
            await trio.sleep(2 * STALL)


async def test_a_download_begins_by_the_deadline(autojump_clock: trio.testing.MockClock) -> None:
    """Its headers and its first byte."""
    began = trio.current_time()
    async with api(Comet(stalled), deadline=7.0) as one:
        assert isinstance(await raised(received(one)), DeadlineExceeded)
    assert trio.current_time() - began == pytest.approx(7.0)
    began = trio.current_time()
    async with api(Comet(download(1000.0, b"a")), deadline=7.0) as one:
        assert isinstance(await raised(received(one)), DeadlineExceeded)
    assert trio.current_time() - began == pytest.approx(7.0)


async def test_a_download_is_begun_again_after_a_fault(autojump_clock: trio.testing.MockClock) -> None:
    """As long as no byte was given."""
    moved = httpx.Response(302, headers={"Location": "http://storage/x"})
    comet = Comet(httpx.Response(503), moved, httpx.Response(503), moved, download(b"abc", size=3))
    async with api(comet) as one:
        assert await received(one) == (3, b"abc")


async def test_a_download_left_early_is_closed() -> None:
    """And frees its place: many more than there are places can be begun and left."""
    bodies = [Body(b"a", b"b") for _ in range(100)]
    comet = Comet(*(httpx.Response(200, stream=body) for body in bodies))
    async with api(comet) as one:
        for _ in bodies:
            async with one.stream_asset("k", "a") as stream:
                assert await anext(stream) == b"a"
    assert all(body.closed for body in bodies)


async def test_a_download_that_fails_to_begin_frees_its_place() -> None:
    """A hundred refusals do not stop the next."""
    comet = Comet(*[httpx.Response(404, json={"msg": "no"})] * 100, download(b"a", size=1))
    async with api(comet) as one:
        for _ in range(100):
            await raised(received(one))
        assert await received(one) == (1, b"a")


async def test_downloads_leave_room_for_short_calls(autojump_clock: trio.testing.MockClock) -> None:
    """However many are stuck."""

    async def handle(request: httpx.Request) -> httpx.Response:
        return download(1000.0) if request.url.path.endswith("get-asset") else ok(NAMES)

    lanes = Lanes(lane=lambda origin: Lane(origin, httpx.MockTransport(handle)))
    async with API(KEY, "http://comet.example", transport=Transport(lanes)) as one, trio.open_nursery() as nursery:
        for _ in range(100):
            nursery.start_soon(received, one)
        await trio.testing.wait_all_tasks_blocked()
        assert await one.workspaces() == ["a"]
        nursery.cancel_scope.cancel()


# -- what is made of several answers -----------------------------------------------------------------------------------


def by_path(**answers: Any) -> Callable[[httpx.Request], httpx.Response]:
    """A server that has just these endpoints, named by their last part; the rest is a proxy's 404."""

    def handle(request: httpx.Request) -> httpx.Response:
        found = answers.get(request.url.path.rsplit("/", 1)[1].replace("-", "_"))
        if found is None:
            return httpx.Response(404, html="<html>not found</html>")
        return found if isinstance(found, httpx.Response) else ok(found)

    return handle


async def test_an_asset_is_found_by_name_on_servers_that_cannot() -> None:
    """From the list of assets, the first of that name; none is not found."""
    rows = [{"assetId": "1", "fileName": "x"}, {"assetId": "2", "fileName": "y"}, {"assetId": "3", "fileName": "y"}]

    def handle(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("get-asset"):
            return httpx.Response(200, content=f'{{"id": {request.url.params["assetId"]}, "bad": NaN}}'.encode())
        return by_path(list={"assets": rows})(request)

    async with api(handle) as one:
        assert await one.experiment_asset_by_name("k", "y", "text") == '{"id": 2, "bad": NaN}'
        assert (await one.experiment_asset_by_name("k", "y", "json"))["id"] == 2
        assert isinstance(await raised(one.experiment_asset_by_name("k", "z")), NotFound)


async def test_all_points_are_read_from_servers_that_give_them_one_by_one() -> None:
    """By the names in the summary."""
    summary = {"values": [{"name": "a"}, {"name": "b"}]}

    def handle(request: httpx.Request) -> httpx.Response:
        name = request.url.params.get("metricName")
        point = {"metricName": name, "metricValue": "1.0", "step": 1}
        return by_path(summary=summary, get_metric={"metrics": [point]})(request)

    async with api(handle) as one:
        assert [row["metricName"] for row in await one.experiment_metric("k")] == ["a", "b"]
        assert await one.experiment_metric("k", ["a", "b"]) == {"a": [(1, "1.0")], "b": [(1, "1.0")]}


async def test_an_experiment_is_named_by_its_metadata_its_others_or_its_key() -> None:
    """In this order, cut to length."""
    others = {"values": [{"name": "Name", "valueCurrent": "of others"}]}
    async with api(by_path(metadata={"experimentKey": "k", "experimentName": "of metadata"})) as one:
        assert await one.experiment_name("k") == "of metadata"
        assert await one.experiment_name("k", 4) == "of m"
    async with api(by_path(metadata={"experimentKey": "k"}, log_other=others)) as one:
        assert await one.experiment_name("k") == "of others"
    async with api(by_path(metadata={"experimentKey": "k"}, log_other={"values": []})) as one:
        assert await one.experiment_name("key", 2) == "ke"


async def test_an_archived_experiment_has_its_page_elsewhere() -> None:
    """Names are escaped."""
    row = {"experimentKey": "k", "workspaceName": "w", "projectName": "a/b"}
    async with api(by_path(metadata=row)) as one:
        assert await one.experiment_url("k") == "http://comet.example/w/a%2Fb/k"
    async with api(by_path(metadata={**row, "archived": True})) as one:
        assert await one.experiment_url("k") == "http://comet.example/w/a%2Fb/archive/k"


async def test_one_broken_curve_is_an_error_of_ours() -> None:
    """Alone, not in a group."""
    rows = [{"assetId": "1", "fileName": "x"}, {"assetId": "2", "fileName": "y"}]
    async with api(by_path(list={"assets": rows}, get_asset=httpx.Response(200, content=b"[]"))) as one:
        assert isinstance(await raised(one.experiment_curves("k")), Unintelligible)


async def test_a_patch_that_is_none_is_none() -> None:
    """Comet says so in JSON, with 200."""
    async with api(by_path(patch=httpx.Response(200, content=b'{"msg":"none"}'))) as one:
        assert await one.experiment_git_patch("k") is None
    async with api(by_path(patch=httpx.Response(200, content=b"PK\x03\x04"))) as one:
        assert await one.experiment_git_patch("k") == b"PK\x03\x04"


# -- the store ---------------------------------------------------------------------------------------------------------


class Store:
    """Comet's store, as the embedded Comet has it: one text. `meanwhile` is done after each time that it is written."""

    def __init__(self, meanwhile: Callable[[Store], None] = lambda _store: None) -> None:
        self.text = "{}"
        self.methods: list[str] = []
        self._meanwhile = meanwhile

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        await trio.lowlevel.checkpoint()
        self.methods.append(request.method)
        if request.method == "GET":
            return ok({"store": self.text})
        self.text = msgspec.json.decode(request.content)["store"]
        self._meanwhile(self)
        return ok({"msg": "Stored"})


async def test_what_is_stored_is_had_back() -> None:
    """The store goes over the wire whole."""
    store = Store()
    async with api(store) as one:
        assert await one.store("text", "This is the text") == {"msg": "Stored"}
        await one.store("more", "ü")
        assert await one.get_from_store("text") == "This is the text"
        assert await one.get_from_store("nothing") is None
        assert await one.get_store() == {"store": store.text}
    assert json.loads(store.text) == {"text": "This is the text", "more": "ü"}


async def test_what_others_stored_is_kept() -> None:
    """By another program, and by another task at the same moment."""
    store = Store()
    async with api(store) as one:
        await one.store("mine", "1")
        store.text = json.dumps({"mine": "1", "theirs": "2"})
        async with trio.open_nursery() as nursery:
            for n in range(5):
                nursery.start_soon(one.store, f"task{n}", "x")
    assert json.loads(store.text).keys() == {"mine", "theirs", *(f"task{n}" for n in range(5))}


@pytest.mark.parametrize(
    "answer", [httpx.Response(404, json={"msg": "no", "code": 404}), httpx.Response(404, html="x")]
)
async def test_a_server_without_a_store_says_so(answer: httpx.Response) -> None:
    """For each of the three, and nothing is lost silently."""
    calls: list[Callable[[API], Awaitable[Any]]] = [
        lambda one: one.store("k", "v"),
        lambda one: one.get_from_store("k"),
        lambda one: one.get_store(),
    ]
    for call in calls:
        async with api(Comet(answer)) as one:
            error = await raised(call(one))
        assert isinstance(error, Unsupported)
        assert "does not offer a store" in str(error)


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"store": None},
        {"store": ""},
        {"store": "not json"},
        {"store": "[]"},
        {"store": "null"},
        {"store": '"text"'},
        {"store": '{"a": 1'},
        {"store": {"a": "1"}},
        {"store": []},
        {"msg": "internal error", "code": 500},
        {"store": None, "msg": "internal error", "code": 500},
        [],
        None,
    ],
)
async def test_a_store_that_is_not_understood_is_not_overwritten(answer: Any) -> None:
    """What cannot be read cannot be kept either, so nothing is sent: only ``{}`` is an empty store."""
    comet = Comet(ok(answer))
    changes: list[Callable[[API], Awaitable[Any]]] = [
        lambda one: one.store("k", "v"),
        lambda one: one.delete_from_store("k"),
        lambda one: one.get_from_store("k"),
        lambda one: one.get_store(),
    ]
    async with api(comet) as one:
        for change in changes:
            assert isinstance(await raised(change(one)), Unintelligible)
    assert {request.method for request in comet.requests} == {"GET"}


async def test_what_another_program_stored_is_sent_back_as_it_came() -> None:
    """Numbers too big for Python's floats, spaces, escapes."""
    store = Store()
    store.text = '{"a": 1e400, "b": 123456789012345678901234567890, "c": "\\u00fc", "d": {"x" : 1.10}}'
    async with api(store) as one:
        await one.store("e", "v")
    assert store.text == '{"a":1e400,"b":123456789012345678901234567890,"c":"\\u00fc","d":{"x" : 1.10},"e":"v"}'


async def test_what_is_stored_at_once_is_sent_together() -> None:
    """One after the other they would not fit into the deadline of whoever waits."""
    store = Store()
    async with api(store) as one, trio.open_nursery() as nursery:
        for n in range(40):
            nursery.start_soon(one.store, f"k{n}", "v")
    assert len(json.loads(store.text)) == 40
    assert store.methods == ["GET", "POST", "GET"]


async def test_what_others_undo_is_stored_again() -> None:
    """One who read before and writes after: his value stays, and ours, and what was there."""

    def once(store: Store) -> None:
        store.text, store._meanwhile = '{"theirs": "1"}', lambda _store: None

    store = Store(once)
    store.text = '{"old": "0"}'
    async with api(store) as one:
        await one.store("ours", "2")
    assert json.loads(store.text) == {"old": "0", "theirs": "1", "ours": "2"}
    store._meanwhile = lambda store: once(store)
    async with api(store) as one:
        assert await one.delete_from_store("theirs") is True
    assert json.loads(store.text) == {"old": "0", "ours": "2"}


async def test_what_is_undone_each_time_is_an_error() -> None:
    """Never "stored"."""

    def forgetful(store: Store) -> None:
        store.text = '{"old": "0"}'

    async with api(Store(forgetful)) as one:
        error = await raised(one.store("k", "v"))
    assert isinstance(error, Conflict)
    assert "'k'" in str(error)


async def test_a_change_waits_for_the_store_until_the_deadline(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Whoever else has it; and nothing is sent."""
    free = trio.Semaphore(0)

    @asynccontextmanager
    async def alone() -> AsyncIterator[None]:
        async with free:
            yield

    store = Store()
    async with api(store, deadline=7.0, alone=alone) as one:
        assert isinstance(await raised(one.store("k", "v")), DeadlineExceeded)
        assert (store.methods, trio.current_time()) == ([], 7.0)
        free.release()
        await one.store("k", "v")
    assert json.loads(store.text) == {"k": "v"}


# -- the class ---------------------------------------------------------------------------------------------------------


def test_the_version_is_known_without_asking() -> None:
    """A constant, so not async."""
    assert api(Comet(stalled)).get_version() == "v2"


def test_an_api_without_a_key_is_a_setup_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """Before anything is asked."""
    for name in ("COMET_API_KEY", "COMET_CONFIG", "COMET_INI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SetupError):
        API()
    monkeypatch.setenv("COMET_API_KEY", KEY)
    monkeypatch.setenv("COMET_URL_OVERRIDE", "https://own.example/clientlib/")
    assert API().root == "https://own.example"
