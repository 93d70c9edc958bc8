"""Takes secrets out of texts: by their values, wherever they stand, and by their form.

Their values are those of all settings of this user, in force or not. Not here: which texts (bundle.py).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from cometfs.comet import settings
from cometfs.options import files
from cometfs.render.redact import redact_text

NAMED = re.compile(r"key(?!_?file)|token|secret|passw|credential|header_value|authorization", re.IGNORECASE)
"""Names of what is never shown, whatever it holds."""

_LINE = re.compile(r"^[^=:\n]*?(?P<name>[\w.-]+)\s*[=:]\s*(?P<value>[^\n]*)$", re.MULTILINE)

_USER = re.compile(r"(?<=://)[^/\s@\"']+(?=@)")
"""A user and a password in an address."""

_FIELD = re.compile(
    r"((?:api[_-]?key|authorization|token|password|secret)[\"']?\s*[:=]\s*[\"']?)[^\s\"',;{}\[\]&]+", re.IGNORECASE
)

_KEY = re.compile(r"(?<![A-Za-z0-9])(?=[A-Za-z]*\d)(?=\d*[A-Za-z])[A-Za-z0-9]{25}(\*[\w+/=-]+)?(?![A-Za-z0-9])")
"""What looks like a key of Comet's; keys of experiments have 32 characters."""

TAKEN_OUT = "[removed]"

SHORTEST = 4
"""Characters of a secret that is looked for by its value: less would take words apart."""


class Scrubber:
    """One for all texts."""

    def __init__(self, secrets: Iterable[str]) -> None:
        found = {secret for secret in secrets if len(secret) >= SHORTEST}
        self._secrets = sorted(found, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, TAKEN_OUT)
        text = _USER.sub(TAKEN_OUT, redact_text(text))
        return _KEY.sub(TAKEN_OUT, _FIELD.sub(rf"\1{TAKEN_OUT}", text))


def known(environ: Mapping[str, str], key_files: Iterable[Path]) -> Iterator[str]:
    """All secrets of this user's settings, with their pieces: what stands behind a `*` is another form of a key."""
    for value in _values(environ, key_files):
        tidy = value.strip().strip("\"'")
        yield tidy
        yield from tidy.split("*")


def _values(environ: Mapping[str, str], key_files: Iterable[Path]) -> Iterator[str]:
    for name, value in environ.items():
        if NAMED.search(name):
            yield value
        yield from _users(value)
    for path in _files(environ):
        text = _text(path)
        yield from _users(text)
        yield from (found["value"] for found in _LINE.finditer(text) if NAMED.search(found["name"]))
    yield from map(_text, key_files)


def _users(text: str) -> Iterator[str]:
    for user in _USER.findall(text):
        yield user
        yield user.rpartition(":")[2]


def _files(environ: Mapping[str, str]) -> list[Path]:
    """Those in which a key may stand."""
    named = [Path(environ[name]) for name in ("COMET_CONFIG", "COMET_INI") if environ.get(name)]
    folders = [Path(), *([Path(environ["HOME"])] if environ.get("HOME") else [])]
    beside = [folder / name for folder in (*folders, *named) for name in (".env", settings.FILE)]
    return [*named, *beside, *files.places()]


def _text(path: Path) -> str:
    try:
        return path.expanduser().read_text("utf-8", "replace")
    except (OSError, RuntimeError):
        return ""


def environment() -> dict[str, str]:
    """The variables that bear on cometfs."""
    shown = {name: value for name, value in os.environ.items() if _SHOWN.match(name)}
    return {name: TAKEN_OUT if NAMED.search(name) else value for name, value in sorted(shown.items())}


_SHOWN = re.compile(r"(COMET|XDG_|LC_|LANG|TMPDIR|SSL_CERT|CURL_CA|REQUESTS_CA|(HTTPS?|ALL|NO)_PROXY)", re.IGNORECASE)
