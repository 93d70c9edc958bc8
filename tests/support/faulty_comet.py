"""A Comet that fails or changes on demand: it stands before the embedded one and passes on all for which nothing else
is declared.

Not here: what the mount should make of a fault (test_faults.py).
"""

from __future__ import annotations

import json
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain, repeat
from typing import Any, Literal, Protocol
from urllib.parse import parse_qsl, urlsplit

from tests.support.processes import PATIENCE, Comet
from tests.support.spawning import ANSWERING


@dataclass(frozen=True)
class Answer:
    """A status, and a body of some type, of which the last `missing` bytes never come."""

    status: int
    body: bytes = b'{"msg": "injected", "code": 0}'
    kind: str = "application/json"
    missing: int = 0
    framing: Literal["length", "chunked", "close"] = "length"
    """How the end of the body is marked; "close": by nothing but the end of the connection."""
    headers: tuple[tuple[str, str], ...] = ()
    held_after: int | None = None
    """Bytes after which the rest waits until all are released."""
    endless: bytes = b""
    """What follows the body again and again, until the client goes away."""
    drip: float = 0.0
    """Seconds before each byte of the body."""


@dataclass(frozen=True)
class Request:
    """What is asked: the target, and what is posted."""

    target: str
    body: bytes | None = None
    range: str = ""
    """The header of that name."""
    key: str = ""
    """What it is passed on with, if it has no key of its own: the request of a link."""

    @property
    def endpoint(self) -> str:
        return urlsplit(self.target).path.removeprefix("/api/rest/v2/")

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query))

    @property
    def posted(self) -> Any:
        return json.loads(self.body or b"null")


Pass = Callable[[Request], Answer]
"""What all that is behind answers."""


class Layer(Protocol):
    """Stands before the Comet: answers by itself, or passes on the request or another, and its answer or another."""

    def __call__(self, request: Request, behind: Pass) -> Answer: ...


@dataclass
class Faults:
    """What fails now, by a part of the request's target; what is told otherwise; and what was asked so far."""

    answers: dict[str, Answer] = field(default_factory=dict)
    edits: dict[str, Edit] = field(default_factory=dict)
    """By endpoint."""
    layers: list[Layer] = field(default_factory=list)
    """The last one is asked first."""
    stalled: set[str] = field(default_factory=set)
    held: set[str] = field(default_factory=set)
    released: threading.Event = field(default_factory=threading.Event)
    arrivals: list[str] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def stall(self, part: str) -> None:
        """Requests whose target has `part` wait until all are released."""
        self.stalled.add(part)

    def hold(self, part: str) -> None:
        """The same, but they are answered then."""
        self.held.add(part)

    def release(self) -> None:
        self.stalled.clear()
        self.held.clear()
        self.released.set()

    def never(self) -> Answer:
        """No answer, until all are released."""
        self.released.wait()
        raise ConnectionAbortedError

    def arrived(self, target: str) -> None:
        with self.changed:
            self.arrivals.append(target)
            self.changed.notify_all()

    def await_arrivals(self, part: str, count: int = 1) -> None:
        """Returns once `count` requests with `part` in their target have come."""
        with self.changed:
            came = self.changed.wait_for(lambda: sum(part in target for target in self.arrivals) >= count, PATIENCE)
        assert came, f"{part} was not asked {count} times: {self.arrivals}"


Edit = Callable[[Any, dict[str, str]], Any]
"""From an answer (None for an error) and the query to what is told instead; None: that there is no such thing."""


PASSED = {"Authorization", "Content-Type", "Range", "If-Match", "If-Range"}
RETURNED = ("Content-Range", "ETag")
"""Headers of requests, and of answers, that are passed on."""


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        """A redirect is passed on."""


_NOT_REDIRECTED = urllib.request.build_opener(_NoRedirects)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    faults: Faults
    behind: str

    def do_POST(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self.faults.arrived(self.path)
        length = self.headers.get("Content-Length")
        posted = self.rfile.read(int(length)) if length else None
        request = Request(self.path, posted, self.headers.get("Range", ""))
        if any(part in self.path for part in self.faults.stalled):
            self.faults.released.wait()
            self.close_connection = True
            return
        if any(part in self.path for part in self.faults.held):
            self.faults.released.wait()
        declared = [answer for part, answer in self.faults.answers.items() if part in self.path]
        try:
            self._reply(declared[0] if declared else self._layered(request))
        except ConnectionAbortedError:
            self.close_connection = True

    def _layered(self, request: Request) -> Answer:
        answer = self._edited
        for layer in self.faults.layers:
            answer = partial(layer, behind=answer)
        return answer(request)

    def _edited(self, request: Request) -> Answer:
        answer = self._passed_on(request)
        edit = self.faults.edits.get(request.endpoint)
        if edit is None:
            return answer
        told = edit(json.loads(answer.body) if answer.status == 200 else None, request.query)
        return Answer(400) if told is None else Answer(200, json.dumps(told).encode())

    def _passed_on(self, request: Request) -> Answer:
        asked = urllib.request.Request(self.behind + request.target, request.body)
        if request.key:
            asked.add_header("Authorization", request.key)
        for name in PASSED & set(self.headers):
            asked.add_header(name, self.headers[name])
        try:
            with _NOT_REDIRECTED.open(asked, timeout=PATIENCE) as reply:
                kind = reply.headers.get("Content-Type", "application/json")
                headers = tuple((name, reply.headers[name]) for name in RETURNED if name in reply.headers)
                return Answer(reply.status, reply.read(), kind, headers=headers)
        except urllib.error.HTTPError as error:
            with error:
                location = error.headers.get("Location")
                headers = (("Location", location),) if location else ()
                return Answer(error.code, error.read(), headers=headers)

    def _reply(self, answer: Answer) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.kind)
        if answer.framing == "length":
            self.send_header("Content-Length", str(len(answer.body) + answer.missing))
        if answer.framing == "chunked":
            self.send_header("Transfer-Encoding", "chunked")
        for header in answer.headers:
            self.send_header(*header)
        self.end_headers()
        chunked = answer.framing == "chunked"
        for number, part in enumerate(_parts(answer)):
            if number and answer.held_after is not None:
                self.faults.released.wait()
            if answer.drip and self.faults.released.wait(answer.drip):
                raise ConnectionAbortedError
            self.wfile.write(b"%x\r\n%b\r\n" % (len(part), part) if chunked and part else part)
        if chunked:
            self.wfile.write(b"0\r\n\r\n")
        self.close_connection = bool(answer.missing) or answer.framing == "close"

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


def _parts(answer: Answer) -> Iterable[bytes]:
    """The body: in two parts where the second one is held, in bytes where it drips, and what follows it without end."""
    held = answer.held_after
    if answer.drip:
        return (answer.body[place : place + 1] for place in range(len(answer.body)))
    if answer.endless:
        return chain([answer.body], repeat(answer.endless))
    return [answer.body] if held is None else [answer.body[:held], answer.body[held:]]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 200

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that has gone away is no news here."""


@contextmanager
def faulty_comet(comet: Comet, tls: ssl.SSLContext | None = None) -> Iterator[tuple[Comet, Faults]]:
    """The same Comet at another address, behind declared faults, until the block ends; with `tls` at https://."""
    faults = Faults()
    handler = type("Handler", (_Handler,), {"faults": faults, "behind": comet.url})
    with _Server(("127.0.0.1", 0), handler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(name=ANSWERING, target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield replace(comet, url=f"http{'s' if tls else ''}://127.0.0.1:{server.server_address[1]}"), faults
        finally:
            faults.release()
            server.shutdown()
            thread.join(PATIENCE)
