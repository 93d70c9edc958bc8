"""The wire: lanes without a network, then real sockets of this machine, TLS included."""

from __future__ import annotations

import gzip
import io
import logging
import ssl
import tracemalloc
import zipfile
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
from trio.testing import MockClock

from cometfs import API
from cometfs.comet.http.lanes import KEEP, RESTED, SILENCE, SOCKET_OPTIONS, Lane, Lanes
from cometfs.comet.http.retries import RETRIES
from cometfs.errors import AnswerTooLarge, DeadlineExceeded, SetupError, Unintelligible, Unreachable, Unsupported

CERTIFICATE = Path(__file__).parent / "localhost.pem"
"""Key and certificate of ``localhost``, signed by itself, made for these tests and trusted by nobody."""

KEY = "0123456789abcdefghijklmno"
NAMES = b'{"workspaceNames": ["a"]}'


# -- lanes -------------------------------------------------------------------------------------------------------------


class Wire(httpx.AsyncBaseTransport):
    """One lane's end: answers at once, unless the path says otherwise."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.closed = False
        self.busy = False
        self.slow = 0.0
        self.dead = False
        """Whether it is forgotten on the way after its first answer."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        assert not self.busy, "two requests in one lane"
        assert not self.closed, "a request in a lane that is closed"
        self.requests.append(request.url.path)
        if self.dead and len(self.requests) > 1:
            if request.url.path == "/reset":
                raise httpx.ReadError("reset")
            await trio.sleep_forever()
        await trio.sleep(self.slow)
        if request.url.path == "/stuck":
            await trio.sleep_forever()
        if request.url.path == "/broken":
            raise httpx.ReadError("broken")
        self.busy = True
        return httpx.Response(200, stream=Body(self))

    async def aclose(self) -> None:
        self.closed = True


class Body(httpx.AsyncByteStream):
    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"x"

    async def aclose(self) -> None:
        self._wire.busy = False


class Road:
    """Lanes of `Wire`s."""

    def __init__(self, width: int) -> None:
        self.wires: list[Wire] = []
        self.lanes = Lanes(width, self._lane)

    def _lane(self, origin: str) -> Lane:
        if origin == "http://refused":
            raise SetupError("no")
        self.wires.append(Wire())
        return Lane(origin, self.wires[-1])

    async def send(self, url: str) -> httpx.Response:
        return await self.lanes.handle_async_request(httpx.Request("GET", url))

    async def ask(self, url: str) -> None:
        await (await self.send(url)).aclose()

    @property
    def open(self) -> int:
        return sum(not wire.closed for wire in self.wires)


async def test_a_lane_is_used_again_by_the_same_origin_only() -> None:
    """Connections are kept; another host has its own."""
    road = Road(4)
    for url in ("http://a/1", "http://b/1", "http://a/2", "https://a/1", "http://a:81/1"):
        await road.ask(url)
    assert [wire.requests for wire in road.wires] == [["/1", "/2"], ["/1"], ["/1"], ["/1"]]


async def test_the_lane_used_last_is_used_first() -> None:
    """So that few connections stay warm and the others are let go."""
    road = Road(4)
    replies = [await road.send(f"http://a/{n}") for n in range(3)]
    for reply in replies:
        await reply.aclose()
    for _ in range(5):
        await road.ask("http://a/again")
    assert [len(wire.requests) for wire in road.wires] == [1, 1, 6]


async def test_there_are_never_more_lanes_than_allowed() -> None:
    """The one that was unused for longest goes; a request without a lane waits."""
    road = Road(2)
    for host in "abcb":
        await road.ask(f"http://{host}/")
        assert road.open <= 2
    assert [wire.closed for wire in road.wires] == [True, False, False]
    held = [await road.send("http://a/"), await road.send("http://b/")]
    with trio.move_on_after(0) as scope:
        await road.send("http://c/")
    assert scope.cancelled_caught
    for reply in held:
        await reply.aclose()
    await road.ask("http://c/")
    assert road.open <= 2


async def test_a_request_waits_until_a_body_is_closed() -> None:
    """A lane is busy until then; closing twice frees it once."""
    road = Road(1)
    reply = await road.send("http://a/1")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(road.ask, "http://a/2")
        await trio.testing.wait_all_tasks_blocked()
        assert road.wires[0].requests == ["/1"]
        await reply.aclose()
        await reply.aclose()
    assert road.wires[0].requests == ["/1", "/2"]
    held = await road.send("http://a/3")
    with trio.move_on_after(0) as scope:
        await road.send("http://a/4")
    assert scope.cancelled_caught
    await held.aclose()


async def test_a_lane_that_failed_is_not_used_again() -> None:
    """After a fault, a cancelled request, a lane that could not be made: the place is free, the connection gone."""
    road = Road(1)
    with pytest.raises(httpx.ReadError):
        await road.send("http://a/broken")
    with trio.move_on_after(0):
        await road.send("http://a/stuck")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(road.send, "http://a/stuck")
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    with pytest.raises(SetupError):
        await road.send("http://refused/")
    await road.ask("http://a/good")
    assert [wire.requests for wire in road.wires if not wire.closed] == [["/good"]]
    assert road.open == 1


@pytest.fixture
def road(monkeypatch: pytest.MonkeyPatch) -> Road:
    """With three lanes, which have been used once and for as long as trio's clock says."""
    monkeypatch.setattr("cometfs.comet.http.lanes._now", trio.current_time)
    return Road(4)


async def used_lanes(road: Road, *, dead: bool) -> None:
    replies = [await road.send(f"http://a/{number}") for number in range(3)]
    for reply, wire in zip(replies, road.wires, strict=True):
        wire.dead = dead
        await reply.aclose()


@pytest.mark.parametrize(("rest", "silence"), [(1.0, SILENCE), (20.0, RESTED)])
async def test_a_used_connection_that_is_silent_is_given_up(
    road: Road, autojump_clock: MockClock, rest: float, silence: float
) -> None:
    """What it was asked is asked again over a new one; the other old ones are not tried after it."""
    await used_lanes(road, dead=True)
    await trio.sleep(rest)
    began = trio.current_time()
    await road.ask("http://a/x")
    assert trio.current_time() - began == pytest.approx(silence)
    assert [wire.closed for wire in road.wires] == [True, True, True, False]
    await road.ask("http://a/y")
    assert road.wires[3].requests == ["/x", "/y"]


async def test_half_of_the_time_is_left_for_the_new_connection(road: Road, autojump_clock: MockClock) -> None:
    """Where the deadline is near."""
    await used_lanes(road, dead=True)
    with trio.fail_after(4.0):
        await road.ask("http://a/x")
    assert trio.current_time() == pytest.approx(2.0, abs=0.5)


async def test_a_used_connection_that_was_reset_is_no_failure(road: Road) -> None:
    """Servers close what they do not want to keep, in the very moment in which it is used."""
    await used_lanes(road, dead=True)
    await road.ask("http://a/reset")
    assert road.wires[3].requests == ["/reset"]


async def test_a_connection_that_the_machine_slept_over_is_not_used(road: Road, autojump_clock: MockClock) -> None:
    """By the clock that goes on meanwhile, it is unused for too long."""
    await used_lanes(road, dead=True)
    await trio.sleep(KEEP)
    await road.ask("http://a/x")
    assert trio.current_time() == pytest.approx(KEEP, abs=0.1)
    assert [wire.closed for wire in road.wires] == [True, True, True, False]


async def test_a_slow_server_is_waited_for_over_a_new_connection(road: Road, autojump_clock: MockClock) -> None:
    """It is asked twice once; then it is known that it is the server that is slow."""
    await used_lanes(road, dead=False)
    slow = 25.0

    def new(origin: str) -> Lane:
        road.wires.append(Wire())
        road.wires[-1].slow = slow
        return Lane(origin, road.wires[-1])

    road.lanes._new = new
    for wire in road.wires:
        wire.slow = slow
    for number in range(4):
        await road.ask(f"http://a/slow/{number}")
    asked = [path for wire in road.wires for path in wire.requests if "slow" in path]
    assert sorted(asked) == ["/slow/0", "/slow/0", "/slow/1", "/slow/2", "/slow/3"]


async def test_closing_closes_every_lane() -> None:
    """Idle ones at once, busy ones when their bodies are."""
    road = Road(4)
    held = await road.send("http://a/")
    await road.ask("http://a/")
    await road.lanes.aclose()
    assert road.open == 1
    await held.aclose()
    assert road.open == 0


async def test_a_connection_that_cannot_be_closed_keeps_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else there would be none left, one day."""
    road = Road(2)

    async def broken(_wire: Wire) -> None:
        await trio.lowlevel.checkpoint()
        raise OSError("the peer has gone")

    held = await road.send("http://a/")
    await road.lanes.aclose()
    monkeypatch.setattr(Wire, "aclose", broken)
    with pytest.raises(OSError, match="gone"):
        await held.aclose()
    assert road.lanes._free.value == 2


# -- sockets -----------------------------------------------------------------------------------------------------------


Talk = Callable[[trio.abc.Stream, int], Awaitable[None]]


class Server:
    """Speaks raw HTTP: `talk` gets every request that arrives, and the number of its connection."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self.connections = 0
        self.requests: list[bytes] = []
        self.port = 0

    async def _serve(self, stream: trio.abc.Stream) -> None:
        self.connections += 1
        number = self.connections
        try:
            while request := await self._request(stream):
                self.requests.append(request)
                await self._talk(stream, number)
        except trio.BrokenResourceError:
            pass  # what a client does that does not trust the certificate

    async def _request(self, stream: trio.abc.Stream) -> bytes:
        found = b""
        while not found.endswith(b"\r\n\r\n"):
            part = await stream.receive_some(4096)
            if not part:
                break
            found += part
        return found

    @asynccontextmanager
    async def running(self, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
        async with trio.open_nursery() as nursery:
            if tls is None:
                listeners = await nursery.start(partial(trio.serve_tcp, self._serve, 0, host="127.0.0.1"))
                self.port = listeners[0].socket.getsockname()[1]
                yield f"http://127.0.0.1:{self.port}"
            else:
                serve = partial(trio.serve_ssl_over_tcp, self._serve, 0, tls, host="127.0.0.1", https_compatible=True)
                self.port = (await nursery.start(serve))[0].transport_listener.socket.getsockname()[1]
                yield f"https://localhost:{self.port}"
            nursery.cancel_scope.cancel()


def http(body: bytes, length: int | None = None, status: str = "200 OK", more: str = "") -> bytes:
    size = len(body) if length is None else length
    return (
        f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {size}\r\n{more}\r\n".encode() + body
    )


def answering(*answers: bytes) -> Talk:
    """Each answer in turn, the last for ever; an empty one closes the connection."""
    left = list(answers)

    async def talk(stream: trio.abc.Stream, _number: int) -> None:
        answer = left.pop(0) if len(left) > 1 else left[0]
        if answer:
            await stream.send_all(answer)
        if not answer or b"Content-Length: 99\r\n" in answer:
            await stream.aclose()
            raise trio.BrokenResourceError

    return talk


@pytest.fixture
def tls() -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATE)
    return context


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No waits before another try: real sockets do not know a mocked clock."""
    monkeypatch.setattr("cometfs.comet.calls.backoff", lambda *_: 0.0)


async def test_one_connection_serves_many_calls() -> None:
    """As long as they come one after the other."""
    server = Server(answering(http(NAMES)))
    async with server.running() as url, API(KEY, url) as api:
        for _ in range(5):
            assert await api.workspaces() == ["a"]
    assert (server.connections, len(server.requests)) == (1, 5)
    assert f"authorization: {KEY}".encode() in server.requests[0].lower().replace(KEY.lower().encode(), KEY.encode())


async def test_a_server_that_closes_between_calls_is_not_noticed(at_once: None) -> None:
    """The next call has a new connection."""
    server = Server(answering(http(NAMES), b"", http(NAMES)))
    async with server.running() as url, API(KEY, url) as api:
        assert [await api.workspaces() for _ in range(3)] == [["a"]] * 3


@pytest.mark.parametrize("more", [http(b'{"workspaceNames": ["forged"]}'), b"garbage"])
@pytest.mark.parametrize("chunked", [False, True])
async def test_what_follows_an_answer_is_not_the_next_one(more: bytes, chunked: bool) -> None:
    """The connection is not used again: httpcore would hand out what it has read beyond the end."""
    body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(NAMES), NAMES)
    answer = framed(body, "Transfer-Encoding: chunked") if chunked else http(NAMES)
    server = Server(answering(answer + more))
    async with server.running() as url, API(KEY, url) as api:
        for _ in range(3):
            assert await api.workspaces() == ["a"]
    assert (server.connections, len(server.requests)) == (3, 3)


async def test_a_download_cut_by_the_server_is_an_error() -> None:
    """The connection is closed before Content-Length is reached."""
    server = Server(answering(http(b"short", length=99)))
    async with server.running() as url, API(KEY, url) as api, api.stream_asset("k", "a") as stream:
        assert stream.size == 99
        with pytest.raises(Unreachable):
            async for _ in stream:
                pass


def framed(body: bytes, *headers: str, version: str = "1.1") -> bytes:
    return "\r\n".join([f"HTTP/{version} 200 OK", *headers, "", ""]).encode() + body


CHUNKED = "Transfer-Encoding: chunked"
GZIP = "Content-Encoding: gzip"
FRAMINGS = {
    "a length": (framed(b"whole", "Content-Length: 5"), False, b"whole"),
    "chunks": (framed(b"5\r\nwhole\r\n0\r\n\r\n", CHUNKED), False, b"whole"),
    "chunks without the last": (framed(b"5\r\nwhole\r\n", CHUNKED), False, None),
    "a chunk that is cut": (framed(b"9\r\nwhole", CHUNKED), False, None),
    "nothing": (framed(b"whole"), True, b"whole"),
    "nothing, as ten years ago": (framed(b"whole", version="1.0"), True, b"whole"),
    "the end of gzip": (framed(gzip.compress(b"whole"), GZIP), False, b"whole"),
    "gzip that is cut": (framed(gzip.compress(b"whole")[:-6], GZIP), False, None),
    "an encoding that is none": (framed(b"whole", "Content-Encoding: identity"), True, b"whole"),
}


def then_closing(answer: bytes) -> Talk:
    async def talk(stream: trio.abc.Stream, _number: int) -> None:
        await stream.send_all(answer)
        await stream.aclose()
        raise trio.BrokenResourceError

    return talk


@pytest.mark.parametrize(("answer", "close_delimited", "body"), FRAMINGS.values(), ids=FRAMINGS)
async def test_it_is_known_what_marks_the_end_of_a_body(
    answer: bytes, close_delimited: bool, body: bytes | None
) -> None:
    """The end of the connection marks it only where nothing else does; where something should and does not, it is an
    error."""
    async with (
        Server(then_closing(answer)).running() as url,
        API(KEY, url) as api,
        api.stream_asset("k", "a") as stream,
    ):
        assert stream.close_delimited == close_delimited
        if body is None:
            with pytest.raises((Unreachable, Unintelligible)):
                await whole(stream)
        else:
            assert await whole(stream) == body


async def whole(stream: AsyncIterator[bytes]) -> bytes:
    return b"".join([chunk async for chunk in stream])


MIB = 1 << 20
ENDLESS = {
    "nothing": (framed(b""), bytes(MIB)),
    "chunks": (framed(b"", CHUNKED), b"100000\r\n" + bytes(MIB) + b"\r\n"),
    "a length": (framed(b"", "Content-Length: 999999999999"), bytes(MIB)),
    "the end of gzip": (framed(b"", GZIP), b""),
}


def bomb() -> bytes:
    """300 MiB of zeros, in 1.3 MB."""
    squeeze = zlib.compressobj(1, wbits=31)
    return b"".join(squeeze.compress(bytes(MIB)) for _ in range(300))


@pytest.mark.parametrize(("head", "part"), ENDLESS.values(), ids=ENDLESS)
async def test_an_answer_that_is_too_large_is_not_held(head: bytes, part: bytes) -> None:
    """Reading stops, whatever marks the end of the body; it is not asked again, and the next call goes its way."""

    async def talk(stream: trio.abc.Stream, number: int) -> None:
        if number > 1:
            await stream.send_all(http(NAMES))
            return
        await stream.send_all(head + (b"" if part else bomb()))
        while True:
            await stream.send_all(part) if part else await trio.sleep_forever()

    server = Server(talk)
    async with server.running() as url, API(KEY, url) as api:
        tracemalloc.start()
        try:
            with pytest.raises(AnswerTooLarge, match=r"more than 67,108,864 bytes \(asked workspaces\)"):
                await api.workspaces()
            assert tracemalloc.get_traced_memory()[1] < 100 * MIB
        finally:
            tracemalloc.stop()
        assert await api.workspaces() == ["a"]
    assert len(server.requests) == 2


async def test_the_long_page_of_a_refusal_is_not_read_to_its_end(at_once: None) -> None:
    async def talk(stream: trio.abc.Stream, number: int) -> None:
        await stream.send_all(framed(b"<html>" + bytes(MIB)).replace(b"200 OK", b"404 Not Found"))
        await trio.sleep_forever()

    async with Server(talk).running() as url, API(KEY, url) as api:
        with pytest.raises(Unsupported):
            await api.workspaces()


def zipped(text: str) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("git_diff.patch", text)
    return made.getvalue()


@pytest.mark.parametrize("end", [0, 1, 20, len(NAMES) - 1])
async def test_an_answer_that_was_cut_without_a_sign_is_asked_again(end: int, at_once: None) -> None:
    """As one is that was cut before its announced length; what is whole is taken, and a page is no cut answer."""
    left = [framed(NAMES[:end])] * (RETRIES - 1) + [framed(NAMES)]

    async def talk(stream: trio.abc.Stream, _number: int) -> None:
        await then_closing(left.pop(0))(stream, 0)

    server = Server(talk)
    async with server.running() as url, API(KEY, url) as api:
        assert await api.workspaces() == ["a"]
    assert len(server.requests) == RETRIES
    server = Server(then_closing(framed(b"<html>sign in")))
    async with server.running() as url, API(KEY, url) as api:
        with pytest.raises(Unintelligible):
            await api.workspaces()
    assert len(server.requests) == 1


PATCH = zipped("diff --git a/x b/x\n")
PATCHES = {
    "whole": (framed(PATCH), PATCH),
    "cut": (framed(PATCH[:60]), Unreachable),
    "nothing, without a sign": (framed(b""), Unreachable),
    "a text, without a sign of its end": (framed(b"diff --git a/x b/x\n"), Unreachable),
    "a text": (framed(b"diff --git", "Content-Length: 10"), b"diff --git"),
    "nothing": (framed(b"", "Content-Length: 0"), None),
    "a login page": (framed(b"<html>sign in", "Content-Length: 13"), Unintelligible),
}


@pytest.mark.parametrize(("answer", "found"), PATCHES.values(), ids=PATCHES)
async def test_a_git_patch_is_whole_or_an_error(answer: bytes, found: Any) -> None:
    """Nothing lists its size, but a zip has an end."""
    async with Server(then_closing(answer)).running() as url, API(KEY, url) as api:
        if isinstance(found, type):
            with pytest.raises(found, match="git/patch"):
                await api.experiment_git_patch("k")
        else:
            assert await api.experiment_git_patch("k") == found


async def test_a_download_left_in_the_middle_leaves_nothing_behind() -> None:
    """No warning of an unfinished generator, and the next call goes its way."""
    big = http(bytes(10_000_000))
    server = Server(answering(big, http(NAMES)))
    async with server.running() as url, API(KEY, url) as api:
        async with api.stream_asset("k", "a") as stream:
            assert len(await anext(stream)) > 0
        assert await api.workspaces() == ["a"]


async def test_a_call_that_is_cancelled_leaves_nothing_behind() -> None:
    """In the middle of the wait for an answer."""
    asked = trio.Event()

    async def talk(stream: trio.abc.Stream, number: int) -> None:
        asked.set()
        if number > 1:
            await stream.send_all(http(NAMES))

    server = Server(talk)
    async with server.running() as url, API(KEY, url) as api:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(api.workspaces)
            await asked.wait()
            nursery.cancel_scope.cancel()
        assert await api.workspaces() == ["a"]


async def test_nothing_secret_is_logged_by_the_libraries(caplog: pytest.LogCaptureFixture) -> None:
    """httpcore would write headers into its debug log."""
    caplog.set_level(logging.DEBUG)
    server = Server(answering(http(b"", status="302 Found", more="Location: /x?sig=presigned\r\n"), http(b"bytes")))
    async with server.running() as url, API(KEY, url) as api:
        assert await api.experiment_asset("k", "a") == b"bytes"
    assert len(server.requests) == 2
    assert KEY not in caplog.text
    assert "presigned" not in caplog.text


async def test_a_peer_that_is_gone_is_found_out_by_the_system() -> None:
    """What confirms nothing breaks the connection, whatever is waited for on it."""
    async with Server(answering(http(NAMES))).running() as url:
        lanes = Lanes(1)
        reply = await lanes.handle_async_request(httpx.Request("GET", url))
        wire = reply.extensions["network_stream"].get_extra_info("socket")
        assert [wire.getsockopt(level, name) for level, name, _ in SOCKET_OPTIONS] == [
            value for *_, value in SOCKET_OPTIONS
        ]
        await reply.aclose()
        await lanes.aclose()


async def test_a_port_where_nobody_listens_is_unreachable(at_once: None) -> None:
    """In one sentence that names the place and the system's reason."""
    server = Server(answering(b""))
    async with server.running() as url:
        pass
    async with API(KEY, url) as api:
        with pytest.raises(Unreachable, match=rf"connection refused\) to 127.0.0.1:{server.port} \(asked workspaces\)"):
            await api.workspaces()


async def test_a_certificate_that_nobody_vouches_for_is_refused(tls: ssl.SSLContext) -> None:
    """At once, with the reason, before the key is sent."""
    server = Server(answering(http(NAMES)))
    async with server.running(tls) as url, API(KEY, url) as api:
        with pytest.raises(Unreachable, match=r"certificate of localhost:\d+ is not trusted"):
            await api.workspaces()
    assert server.requests == []
    assert server.connections == 1 < 1 + RETRIES


async def test_certificates_of_the_environment_are_trusted(
    tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SSL_CERT_FILE, for servers of one's own; the host name still counts."""
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    server = Server(answering(http(NAMES)))
    async with server.running(tls) as url:
        async with API(KEY, url) as api:
            assert await api.workspaces() == ["a"]
        async with API(KEY, url.replace("localhost", "127.0.0.1")) as api:
            with pytest.raises(Unreachable, match="is not trusted"):
                await api.workspaces()
    assert len(server.requests) == 1


async def test_certificates_that_cannot_be_read_are_a_setup_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Named by the variable."""
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/at/all.pem")
    async with API(KEY, "https://localhost:1") as api:
        with pytest.raises(SetupError, match="SSL_CERT_FILE"):
            await api.workspaces()


async def test_a_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a host that is not this machine."""
    proxy = Server(answering(http(NAMES)))
    async with proxy.running() as url:
        monkeypatch.setenv("http_proxy", url)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        async with API(KEY, "http://comet.example") as api:
            assert await api.workspaces() == ["a"]
    assert proxy.requests[0].startswith(b"GET http://comet.example/api/rest/v2/workspaces HTTP/1.1\r\n")


async def test_a_proxy_that_cannot_be_used_is_a_setup_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is wrong with it."""
    monkeypatch.setenv("http_proxy", "gopher://h")
    async with API(KEY, "http://comet.example") as api:
        with pytest.raises(SetupError, match="HTTPS_PROXY"):
            await api.workspaces()


async def test_a_server_that_says_nothing_is_given_up(autojump_clock: trio.testing.MockClock) -> None:
    """Deadlines hold on real sockets, too."""

    async def silent(_stream: trio.abc.Stream, _number: int) -> None:
        await trio.sleep_forever()

    server = Server(silent)
    async with server.running() as url, API(KEY, url, deadline=5.0) as api:
        with pytest.raises(DeadlineExceeded):
            await api.workspaces()
