"""Where the API key and the address are found: arguments, the environment, ``.env`` and Comet's own files.

The order is Comet's: argument, environment, ``./.env``, the file that COMET_CONFIG names, ``./.comet.config``, the one
on a mounted drive, ``~/.comet.config``. Each setting is looked for on its own.

Not here: options of commands (`cometfs.config`); what an address means (`address`).
"""

from __future__ import annotations

import base64
import binascii
import configparser
import io
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from cometfs.comet.network import Network, find_network
from cometfs.errors import SetupError
from cometfs.host.home import home as home_directory

DEFAULT_URL = "https://www.comet.com/clientlib/"

FILE = ".comet.config"

DRIVE = Path("/content/drive/MyDrive")
"""Where notebooks on Google's machines keep what shall last; Comet's own client looks there."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a call needs to know."""

    api_key: str = field(repr=False)
    url: str
    key_files: tuple[Path, ...] = field(default=(), compare=False)
    """Files with a key in them that were read; the key may be from elsewhere."""
    network: Network = field(default_factory=Network, compare=False)
    key_from: str = field(default="", compare=False)
    """The variable or the file that the key is from; empty: it was given."""
    url_from: str = field(default="", compare=False)
    """The same of the address."""


def find_settings(
    api_key: str | None = None,
    url: str | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    home: Path | None = None,
    address_elsewhere: bool = True,
) -> Settings:
    """The settings in force; `environ`, `cwd` and `home` are this process's unless given.

    `address_elsewhere`: whether an address is looked for there, too, where none is given.

    Raises SetupError: no key anywhere, a key that cannot be one, a file that cannot be read.
    """
    surroundings = _Surroundings(
        os.environ if environ is None else environ,
        cwd or Path(),
        home or home_directory(),
    )
    key, key_from = _given(api_key) or surroundings.find("COMET_API_KEY")
    if not key:
        raise SetupError(
            "No Comet API key was found: set COMET_API_KEY, or write it to ~/.comet.config"
            " as a line api_key=... below a line [comet]"
        )
    carried = _address_in(_sendable(key))
    address, url_from = _given(url) or (surroundings.find("COMET_URL_OVERRIDE") if address_elsewhere else (None, ""))
    if not address:
        address, url_from = (carried, "the API key") if carried else (DEFAULT_URL, "default")
    return Settings(key, address, tuple(surroundings.key_files), surroundings.network(), key_from, url_from)


def _given(value: str | None) -> tuple[str, str] | None:
    """A value that needs not be looked for, as one that was found."""
    tidy = _tidy(value)
    return (tidy, "") if tidy else None


class _Surroundings:
    """The sources of settings, in their order, each read when it is wanted."""

    def __init__(self, environ: Mapping[str, str], cwd: Path, home: Path | None) -> None:
        self._environ, self._cwd, self._home = environ, cwd, home
        self.key_files: list[Path] = []
        self._sources: list[tuple[str, Mapping[str, str]]] = []
        self._coming = self._all()

    def find(self, name: str) -> tuple[str | None, str]:
        """The first value of `name`, by its name in the environment, that is not empty; and the file that has it."""
        for file, source in self._known():
            if found := _tidy(source.get(name)):
                return found, file or name
        return None, ""

    def network(self) -> Network:
        """From every source: a file that was not needed so far may be damaged."""
        return find_network(self._find_in_sound_ones, self._environ, self._cwd)

    def _find_in_sound_ones(self, name: str) -> str | None:
        try:
            return self.find(name)[0]
        except SetupError:
            return None

    def _known(self) -> Iterator[tuple[str, Mapping[str, str]]]:
        yield from self._sources
        for source in self._coming:
            self._sources.append(source)
            yield source

    def _all(self) -> Iterator[tuple[str, Mapping[str, str]]]:
        yield "", self._environ
        env = self._cwd / ".env"
        yield self._noted(env, _parsed_env(_text(env) or ""))
        for path in self._files():
            yield self._noted(path, _parsed_ini(path, _text(path) or ""))

    def _noted(self, path: Path, source: Mapping[str, str]) -> tuple[str, Mapping[str, str]]:
        if _tidy(source.get("COMET_API_KEY")):
            self.key_files.append(path.absolute())
        return os.fspath(path), source

    def _files(self) -> Iterator[Path]:
        named = _tidy(self._environ.get("COMET_CONFIG")) or _tidy(self._environ.get("COMET_INI"))
        if named and (path := self._at_home(named)):
            yield path / FILE if os.path.isdir(path) else path  # noqa: PTH112  # Path.is_dir raises where it may not look
        yield from (folder / FILE for folder in (self._cwd, DRIVE, self._home) if folder)

    def _at_home(self, named: str) -> Path | None:
        if not named.startswith("~/"):
            return self._cwd / named
        return self._home / named[2:] if self._home else None


def _text(path: Path) -> str | None:
    """The content of a file; None where there is none, or none that can be seen: another user's home, a dead mount."""
    if not os.path.exists(path):  # noqa: PTH110  # Path.exists raises where it may not look
        return None
    try:
        return path.read_text(encoding="utf-8-sig", errors="replace")
    except IsADirectoryError:
        return None
    except OSError as exc:
        raise SetupError(f"Cannot read {path}: {(exc.strerror or '').lower()}") from exc


def _parsed_env(text: str) -> dict[str, str]:
    """``KEY=VALUE`` lines, as python-dotenv reads them; lines that are none are skipped.

    Nothing is interpolated: a ``$`` may be part of a key. The environment of this process stays as it is.
    """
    if not text:
        return {}
    from dotenv import dotenv_values  # a start without ./.env does not pay for it

    return {name: value or "" for name, value in dotenv_values(stream=io.StringIO(text), interpolate=False).items()}


def _parsed_ini(path: Path, text: str) -> dict[str, str]:
    """By names in the environment: ``api_key`` in ``[comet]`` and ``key`` in ``[comet_api]`` are COMET_API_KEY."""
    parser = configparser.ConfigParser(interpolation=None, strict=False, allow_no_value=True)
    try:
        parser.read_string(text)
    except configparser.Error:
        # Without the parser's own words: it quotes the line, and the line may be the key.
        raise SetupError(
            f"{path} is not in the form of a Comet configuration: [comet], then lines name=value"
        ) from None
    return {
        f"{section}_{name}".upper().replace(".", "_"): value or ""
        for section in parser.sections()
        for name, value in parser.items(section)
    }


def _tidy(value: str | None) -> str | None:
    """Without space and quotes around it; None if nothing is left."""
    value = (value or "").strip()
    if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
        value = value[1:-1].strip()
    return value or None


def _sendable(key: str) -> str:
    if not key.isascii() or not key.isprintable():
        raise SetupError("The API key holds characters that no key has; copy it again from Comet's settings page")
    return key


def _address_in(key: str) -> str | None:
    """The address that a smart key carries: behind its ``*`` is JSON in base64, with ``baseUrl``."""
    _, star, tail = key.partition("*")
    if not star:
        return None
    try:
        padded = tail + "=" * (-len(tail) % 4)
        payload = msgspec.json.decode(
            base64.b64decode(padded, altchars="-_" if set(tail) & set("-_") else None, validate=True)
        )
        base = payload.get("baseUrl")
    except (binascii.Error, ValueError, AttributeError, msgspec.MsgspecError):
        raise SetupError("The API key is damaged behind its '*'; copy it again, whole") from None
    return f"{base.rstrip('/')}/clientlib/" if isinstance(base, str) and base else None
