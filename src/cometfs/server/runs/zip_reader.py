"""The members of one archive: which there are, how long they are, and their bytes on request.

An archive is a zip as comet_ml's ``OfflineExperiment`` writes it (flat, stored uncompressed), or a folder that holds
the same members. Only a table of names, places and sizes stays in memory. A zip that was cut short has lost its
directory; its members are then found by walking from one local header to the next. A compressed member is
unpacked as it is read, and never as a whole: a small archive may hold much.

A member's name never becomes a path: names are looked up in that table, so ``../x`` names nothing. No file is opened
that is not a regular one.

Not here: what the members mean.
"""

from __future__ import annotations

import io
import lzma
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from cometfs.compat.zip_directory import size_of_directory
from cometfs.host.files import open_regular, status_of

MESSAGES = "messages.json"
EXPERIMENT = "experiment.json"

LONGEST_DIRECTORY = 16 << 20
"""Bytes of a zip's table of members: some 200,000 of them, which take ten times as much in memory."""

LONGEST_HEADING = 16 << 20
"""Bytes of a member that is read as a whole."""

_LOCAL_HEADER = struct.Struct("<4s5H3L2H")
_LOCAL_MAGIC = b"PK\x03\x04"
_HAS_DESCRIPTOR = 0x08
_IS_UTF8 = 0x800
_ZIP64 = 0xFFFFFFFF


_ZIP_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
)
"""What `zipfile` raises for archives that are broken, encrypted, or packed in a way that it does not know."""


class BrokenArchive(Exception):
    """Nothing can be read from this archive; the text says why."""


@dataclass(frozen=True, slots=True)
class Member:
    """A member and where it is: `start` is its first byte in the zip, or None when only ``zipfile`` can unpack it."""

    name: str
    size: int
    start: int | None = None


class Archive:
    """One zip or folder. `truncated`: its end is missing."""

    def __init__(self, path: Path, members: dict[str, Member], *, truncated: bool = False) -> None:
        self.path = path
        self.members = members
        self.truncated = truncated

    def open(self, name: str) -> BinaryIO:
        """A seekable reader of a member's bytes. Raises KeyError for a name that is no member, and OSError, as does
        the reader.
        """
        member = self.members[name]
        if self.path.is_dir():
            return open_regular(self.path / name)
        if member.start is None:
            return _buffered(_Unpacked(self.path, name))
        return _buffered(_Window(open_regular(self.path, "rb", 0), member.start, member.size))

    def read(self, name: str) -> bytes:
        """All bytes of a member that is short. Raises OSError, also where it is not."""
        with self.open(name) as reader:
            content = reader.read(LONGEST_HEADING + 1)
        if len(content) > LONGEST_HEADING:
            raise OSError(None, f"{name} has more than {LONGEST_HEADING} bytes")
        return content


def open_archive(path: Path) -> Archive:
    """The archive at `path`, its table read. Raises BrokenArchive when it is none, and OSError."""
    if path.is_dir():
        return Archive(path, _folder_members(path))
    try:
        return Archive(path, _zip_members(path))
    except _ZIP_ERRORS as exc:
        salvaged = _walk_headers(path)
        if not salvaged:
            raise BrokenArchive(f"no zip: {exc}") from exc
        return Archive(path, salvaged, truncated=True)


def _folder_members(path: Path) -> dict[str, Member]:
    """Regular files only: a link could name any file of this machine."""
    found = ((entry.name, status_of(entry)) for entry in path.iterdir())
    files = ((name, status) for name, status in found if status is not None and stat.S_ISREG(status.st_mode))
    return {name: Member(name, status.st_size) for name, status in files}


def _zip_members(path: Path) -> dict[str, Member]:
    with open_regular(path) as file:
        if size_of_directory(file) > LONGEST_DIRECTORY:
            raise BrokenArchive(f"its table of members has more than {LONGEST_DIRECTORY} bytes")
        with zipfile.ZipFile(file) as archive:
            return {entry.filename: _zip_member(file, entry) for entry in archive.infolist() if not entry.is_dir()}


def _zip_member(file: BinaryIO, entry: zipfile.ZipInfo) -> Member:
    if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 0x1:
        return Member(entry.filename, entry.file_size)
    file.seek(entry.header_offset)
    header = file.read(_LOCAL_HEADER.size)
    if len(header) < _LOCAL_HEADER.size or not header.startswith(_LOCAL_MAGIC):
        raise zipfile.BadZipFile(f"bad header of {entry.filename!r}")
    name_length, extra_length = _LOCAL_HEADER.unpack(header)[-2:]
    return Member(
        entry.filename, entry.file_size, entry.header_offset + _LOCAL_HEADER.size + name_length + extra_length
    )


def _walk_headers(path: Path) -> dict[str, Member]:
    """Members of a zip without its directory: the whole ones, and of ``messages.json`` as much as is there.

    Half an asset would be a wrong asset; half a log is the log of a run's first half.
    """
    found: dict[str, Member] = {}
    end = path.stat().st_size
    with open_regular(path) as file:
        at = 0
        while (member := _local_member(file, at)) and member.start is not None:
            at = member.start + member.size
            if at <= end:
                found[member.name] = member
            elif member.name == MESSAGES:
                found[member.name] = Member(MESSAGES, max(0, end - member.start), member.start)
    return found


def _local_member(file: BinaryIO, at: int) -> Member | None:
    """The stored member whose local header is at `at`; None when there is none or its length is not there."""
    file.seek(at)
    raw = file.read(_LOCAL_HEADER.size)
    if len(raw) < _LOCAL_HEADER.size or not raw.startswith(_LOCAL_MAGIC):
        return None
    _, _, flags, method, _, _, _, size, _, name_length, extra_length = _LOCAL_HEADER.unpack(raw)
    if method != zipfile.ZIP_STORED or flags & _HAS_DESCRIPTOR or size == _ZIP64:
        return None
    name = file.read(name_length).decode("utf-8" if flags & _IS_UTF8 else "cp437", "replace")
    return Member(name, size, at + _LOCAL_HEADER.size + name_length + extra_length)


def _buffered(raw: io.RawIOBase) -> BinaryIO:
    return cast(BinaryIO, io.BufferedReader(raw, 1 << 16))


@contextmanager
def _as_os_error(name: str) -> Iterator[None]:
    try:
        yield
    except _ZIP_ERRORS as exc:
        raise OSError(None, f"{name} cannot be unpacked: {exc}") from exc


class _Unpacked(io.RawIOBase):
    """A compressed member: comet_ml writes none, other zip tools may. To go back is to unpack from its beginning."""

    def __init__(self, path: Path, name: str) -> None:
        self._name, self._file = name, open_regular(path)
        try:
            with _as_os_error(name):
                self._member = zipfile.ZipFile(self._file).open(name)  # noqa: SIM115  it ends with the file
        except OSError:
            self._file.close()
            raise

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        with _as_os_error(self._name):
            return self._member.seek(offset, whence)

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # the stub's Buffer cannot be sliced
        with _as_os_error(self._name):
            chunk = self._member.read(len(buffer))
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def close(self) -> None:
        self._file.close()
        super().close()


class _Window(io.RawIOBase):
    """`size` bytes of a file from `start` on, as a file of their own; closing it closes the file."""

    def __init__(self, file: BinaryIO, start: int, size: int) -> None:
        self._file, self._start, self._size, self._at = file, start, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, origin + offset)
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # the stub's Buffer cannot be sliced
        room = max(0, min(len(buffer), self._size - self._at))
        self._file.seek(self._start + self._at)
        chunk = self._file.read(room)
        buffer[: len(chunk)] = chunk
        self._at += len(chunk)
        return len(chunk)

    def close(self) -> None:
        self._file.close()
        super().close()
