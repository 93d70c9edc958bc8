"""The body of an upload, ``multipart/form-data``: its file goes to the disk as it comes, its other parts stay text.

What was received is a file in the folder it was meant for, under a name that no reader looks at, until its receiver
takes it away by renaming. A body that is broken, cut short or given up leaves nothing behind.

Not here: what the parts say (`upload_lines`).
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import python_multipart
import trio
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from starlette.requests import Request as HttpRequest

from cometfs.host.files import open_regular, write_all
from cometfs.server.errors import ApiError
from cometfs.server.request import Request
from cometfs.server.storage.errors import StorageError, full_disk
from cometfs.server.storage.journal import Journal
from cometfs.server.storage.run_dir import HIDDEN

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

# It logs what is wrong with a body; here that is the answer.
logging.getLogger("python_multipart").setLevel(logging.ERROR)

PREFIX = ".upload-"
"""How the names of files begin that are on their way."""

FILES = ("file", "assetItemContent", "thumbnail")
"""The parts that are files, as comet_ml names them; every other part is text, whatever its own name for a file."""

MOST_TEXT = 4 << 20
"""Bytes that all parts together may have which are no file: metadata, links, parameters."""

MOST_PARTS = 100

WRITTEN_AT_ONCE = 1 << 20
"""Bytes that are collected before a thread writes them."""


@dataclass(slots=True)
class Upload:
    """What a body held: `texts` by name, and its file, if it had one, with the name that the client has for it."""

    texts: dict[str, str] = field(default_factory=dict)
    path: Path | None = None
    size: int = 0
    file_name: str | None = None

    def file(self) -> Path:
        """The file, which must be there."""
        if self.path is None:
            raise ApiError(400, "the upload has no file")
        return self.path


UploadHandler = Callable[[Request, Upload], Awaitable[Any]]


@asynccontextmanager
async def received(body: AsyncIterable[bytes], content_type: str, folder: Path) -> AsyncGenerator[Upload]:
    """The upload that `body` is, its file in `folder`; a file that is still there at the end is removed.

    Raises ApiError for a body that is not what `content_type` says, and OSError when the disk does not take it.
    """
    parts = _Parts(_boundary(content_type), folder)
    try:
        async for chunk in body:
            parts.feed(chunk)
            if parts.waiting >= WRITTEN_AT_ONCE:
                await trio.to_thread.run_sync(parts.write)
        parts.finish()
        await trio.to_thread.run_sync(parts.close)
        yield parts.upload
    finally:
        parts.discard()


async def receive_upload(request: Request, http: HttpRequest, take: UploadHandler) -> Any:
    """Receive a body and have it taken; the value is the answer's JSON. Raises ApiError and StorageError."""
    body = http.stream()
    try:
        key = request.query.get("experimentId") or request.query.get("experimentKey")
        if key is not None:
            request.experiment(key, writable=True, status=400)
        with full_disk():
            async with received(body, http.headers.get("content-type", ""), arriving(request.journal)) as upload:
                return await take(request, upload)
    except (ApiError, StorageError):
        await drained(body)
        raise


def arriving(journal: Journal) -> Path:
    """The folder beside the archives in which files are until they are whole; the next server removes it.

    Raises OSError.
    """
    folder = journal.path / f"{HIDDEN}uploads"
    folder.mkdir(exist_ok=True)
    return folder


async def drained(body: AsyncGenerator[bytes]) -> None:
    """Read a body to its end for nothing: a client that is still sending takes an early answer for a broken line."""
    async with aclosing(body):
        async for _ in body:
            pass


def _boundary(content_type: str) -> bytes:
    kind, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise ApiError(400, "an upload is multipart/form-data with a boundary")
    return boundary


class _Parts:
    """What the parser calls. Its file is made when the first bytes for it are written, and at the latest by `close`."""

    def __init__(self, boundary: bytes, folder: Path) -> None:
        self.upload = Upload()
        self.waiting = 0
        self._folder = folder
        self._file: BinaryIO | None = None
        self._chunks: list[bytes] = []
        self._texts: dict[str, bytearray] = {}
        self._header, self._value, self._disposition = bytearray(), bytearray(), b""
        self._name, self._is_file, self._has_file, self._ended = "", False, False, False
        self._left, self._parts = MOST_TEXT, 0
        try:
            self._parser = python_multipart.MultipartParser(boundary, self._callbacks())
        except FormParserError as exc:
            raise ApiError(400, f"the upload is broken: {exc}") from exc

    def feed(self, chunk: bytes) -> None:
        try:
            self._parser.write(chunk)
        except FormParserError as exc:
            raise ApiError(400, f"the upload is broken: {exc}") from exc

    def finish(self) -> None:
        """The body has ended, and so must its last part have."""
        if not self._ended:
            raise ApiError(400, "the upload is cut short")
        self.upload.texts = {name: text.decode("utf-8", "replace") for name, text in self._texts.items()}

    def write(self) -> None:
        """Put what is waiting into the file. Blocks."""
        if self._file is None:
            path = self._folder / f"{PREFIX}{secrets.token_hex(8)}"
            self._file, self.upload.path = open_regular(path, "xb", 0), path
        write_all(self._file.fileno(), self._chunks, self.upload.size)
        self.upload.size += self.waiting
        self._chunks, self.waiting = [], 0

    def close(self) -> None:
        """Everything is written. Blocks."""
        if self._has_file:
            self.write()
        if self._file is not None:
            self._file.close()

    def discard(self) -> None:
        """The file is gone, unless it was taken away."""
        if self._file is not None:
            self._file.close()
        if self.upload.path is not None:
            self.upload.path.unlink(missing_ok=True)

    # -- what the parser calls -----------------------------------------------------------------------------------------

    def _callbacks(self) -> MultipartCallbacks:
        return {
            "on_part_begin": self._part_begins,
            "on_header_field": lambda chunk, start, end: self._header.extend(chunk[start:end]),
            "on_header_value": lambda chunk, start, end: self._value.extend(chunk[start:end]),
            "on_header_end": self._header_ends,
            "on_headers_finished": self._headers_end,
            "on_part_data": self._bytes,
            "on_end": self._all_ends,
        }

    def _part_begins(self) -> None:
        self._parts += 1
        self._disposition = b""
        if self._parts > MOST_PARTS:
            raise ApiError(400, f"the upload has more than {MOST_PARTS} parts")

    def _header_ends(self) -> None:
        if bytes(self._header).lower() == b"content-disposition":
            self._disposition = bytes(self._value)
        self._header, self._value = bytearray(), bytearray()

    def _headers_end(self) -> None:
        _, options = parse_options_header(self._disposition)
        if b"name" not in options:
            raise ApiError(400, "a part of the upload has no name")
        self._name = _text(options[b"name"])
        self._is_file = self._name in FILES
        if self._is_file and self._has_file:
            raise ApiError(400, "the upload has several files")
        if self._is_file:
            self._has_file, self.upload.file_name = True, _text(options.get(b"filename", b"")) or None
        else:
            self._texts[self._name] = bytearray()

    def _bytes(self, chunk: bytes, start: int, end: int) -> None:
        if self._is_file:
            self._chunks.append(chunk[start:end])
            self.waiting += end - start
            return
        self._left -= end - start
        if self._left < 0:
            raise ApiError(413, "the upload says too much beside its file")
        self._texts[self._name].extend(chunk[start:end])

    def _all_ends(self) -> None:
        self._ended = True


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")
