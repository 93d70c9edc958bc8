"""An archive for a bug report: versions, settings and where they are from, findings, and what mounts say of themselves.

Not here: what is found (looking.py), and what is taken out of all of it (secrets.py).
"""

from __future__ import annotations

import io
import json
import os
import platform
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from cometfs import folders
from cometfs._version import __version__
from cometfs.doctor.local import secrets
from cometfs.doctor.local.finding import Finding, as_objects, lines
from cometfs.errors import SetupError
from cometfs.status import overview
from cometfs.vfs.layout import ERRORS, STATUS

LIBRARIES = ("pyfuse3", "trio", "httpx", "httpcore", "msgspec", "rich", "click", "hypercorn", "starlette")

TAIL = 64 << 10
"""Bytes of the end of a log."""


def write(file: Path, found: Sequence[Finding], settings: Mapping[str, Any], key_files: Sequence[Path]) -> list[str]:
    """Writes the archive; returns the names of what is in it. Raises SetupError. `settings`: with their places;
    `key_files`: files that are a key."""
    scrub = secrets.Scrubber(secrets.known(os.environ, key_files))
    members = {name: scrub(text) for name, text in _members(found, settings)}
    try:
        with file.open("wb") as opened:
            os.fchmod(opened.fileno(), 0o600)
            with tarfile.open(fileobj=opened, mode="w:gz") as archive:
                for name, text in members.items():
                    _add(archive, f"cometfs-report/{name}", text.encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise SetupError(f"cannot write the archive {file}: {error.strerror}; name another --bundle") from error
    return list(members)


def _add(archive: tarfile.TarFile, name: str, body: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mtime, member.mode = len(body), int(time.time()), 0o600
    archive.addfile(member, io.BytesIO(body))


def _members(found: Sequence[Finding], settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "versions.json", _json(_versions())
    yield "settings.json", _json(settings)
    yield "environment.json", _json(secrets.environment())
    yield "doctor.json", _json(as_objects(found))
    yield "doctor.txt", "\n".join(lines(found)) + "\n"
    for number, seen in enumerate(overview.of_user(STATUS)):
        yield f"mount-{number}/status.json", _json(seen.says or {"state": seen.state})
        if seen.says:
            yield f"mount-{number}/errors.log", _tail(lambda place=seen.mountpoint: place / ERRORS)  # type: ignore[misc]
        yield f"mount-{number}/daemon.log", _tail(lambda place=seen.mountpoint: folders.log_path(place))  # type: ignore[misc]


def _versions() -> dict[str, Any]:
    return {
        "cometfs": __version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "os": _tail(lambda: Path("/etc/os-release")),
        "libraries": {name: _version_of(name) for name in LIBRARIES},
    }


def _version_of(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _tail(path: Callable[[], Path]) -> str:
    """The end of a text; empty where it cannot be read."""
    try:
        return path().read_bytes()[-TAIL:].decode("utf-8", "replace")
    except (OSError, SetupError):
        return ""


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, default=str) + "\n"
