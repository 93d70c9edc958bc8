"""Bodies of uploads: what is received, what is refused, and that nothing is left behind."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cometfs.server.errors import ApiError
from cometfs.server.write_api.multipart import MOST_PARTS, MOST_TEXT, Upload, received

BOUNDARY = "0123abcd"
TYPE = f"multipart/form-data; boundary={BOUNDARY}"


def part(name: str, content: bytes, file_name: str | None = None) -> bytes:
    told = f'Content-Disposition: form-data; name="{name}"' + (f'; filename="{file_name}"' if file_name else "")
    return b"--" + BOUNDARY.encode() + b"\r\n" + told.encode() + b"\r\n\r\n" + content + b"\r\n"


END = f"--{BOUNDARY}--\r\n".encode()


async def pieces(body: bytes, size: int) -> AsyncIterator[bytes]:
    for at in range(0, len(body), size):
        yield body[at : at + size]


async def receive(body: bytes, folder: Path, size: int = 1 << 16, kind: str = TYPE) -> tuple[Upload, bytes]:
    async with received(pieces(body, size), kind, folder) as upload:
        return upload, upload.path.read_bytes() if upload.path else b""


@pytest.mark.parametrize("size", [1, 7, 1 << 16, 1 << 22])
async def test_parts_are_told_apart(tmp_path: Path, size: int) -> None:
    """Whatever pieces a body comes in: a file that holds most of a boundary, and text before and behind it."""
    content = random.Random(1).randbytes(20_000) + f"\r\n--{BOUNDARY[:-1]}\r\n\r\n".encode() + b"\r"
    body = part("before", "é".encode()) + part("file", content, "a é.bin") + part("metadata", b'{"k":1}') + END
    upload, got = await receive(body, tmp_path, size)
    assert got == content
    assert (upload.size, upload.file_name) == (len(content), "a é.bin")
    assert upload.texts == {"before": "é", "metadata": '{"k":1}'}
    assert list(tmp_path.iterdir()) == []


async def test_a_large_file_is_not_held(tmp_path: Path) -> None:
    """Most of it is on the disk before its end has come."""
    chunk, count, sizes = bytes(1 << 20), 40, []

    async def body() -> AsyncIterator[bytes]:
        yield part("file", b"")[:-2]
        for _ in range(count):
            yield chunk
            sizes.append(sum(path.stat().st_size for path in tmp_path.iterdir()))
        yield b"\r\n" + END

    async with received(body(), TYPE, tmp_path) as upload:
        assert upload.size == count << 20
        assert upload.file().stat().st_size == count << 20
    assert sizes == [number << 20 for number in range(1, count + 1)]


async def test_an_empty_file_is_a_file(tmp_path: Path) -> None:
    """Comet takes them, and so do archives."""
    upload, got = await receive(part("file", b"", "file") + END, tmp_path)
    assert (upload.path is not None, upload.size, got) == (True, 0, b"")


async def test_no_file_is_told(tmp_path: Path) -> None:
    """A link is text, though its part has a name for a file."""
    upload, _ = await receive(part("link", b"s3://b/k", "link") + END, tmp_path)
    assert (upload.texts, upload.path) == ({"link": "s3://b/k"}, None)
    with pytest.raises(ApiError, match="has no file"):
        upload.file()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (part("file", b"x" * (3 << 20), "f"), 400),
        (part("file", b"x" * (3 << 20), "f")[:-5], 400),
        (b"", 400),
        (b"no parts at all", 400),
        (part("file", b"x", "f") + part("file", b"y", "f") + END, 400),
        (part("file", b"x" * (3 << 20), "f") + part("metadata", b"x" * (MOST_TEXT + 1)) + END, 413),
        (part("x", b"") * (MOST_PARTS + 1) + END, 400),
        (f"--{BOUNDARY}\r\nX: y\r\n\r\nz\r\n".encode() + END, 400),
        (part("file", b"x", "f").replace(b"\r\n", b"\r\nX: " + b"y" * 100_000 + b"\r\n", 1) + END, 400),
    ],
)
async def test_what_is_broken_is_refused_and_leaves_nothing(tmp_path: Path, body: bytes, status: int) -> None:
    """Cut short, of no form, of too many words."""
    with pytest.raises(ApiError) as caught:
        await receive(body, tmp_path)
    assert caught.value.status == status
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "kind", ["", "application/json", "multipart/form-data", "multipart/form-data; boundary=" + "x" * 500]
)
async def test_other_kinds_of_bodies_are_refused(tmp_path: Path, kind: str) -> None:
    """By their type, before anything is read."""
    with pytest.raises(ApiError):
        await receive(END, tmp_path, kind=kind)


async def test_a_body_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    """The client goes away in the middle of a file."""

    async def body() -> AsyncIterator[bytes]:
        yield part("file", b"x" * (3 << 20), "f")[:-2]
        raise ConnectionError

    with pytest.raises(ConnectionError):
        async with received(body(), TYPE, tmp_path):
            pass
    assert list(tmp_path.iterdir()) == []


async def test_a_file_that_was_taken_stays(tmp_path: Path) -> None:
    """Its receiver renames it."""
    async with received(pieces(part("file", b"x", "f") + END, 10), TYPE, tmp_path) as upload:
        upload.file().rename(tmp_path / "mine")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
