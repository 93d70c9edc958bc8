"""Configuration files: where they are, what may be in them, and where in them a value is.

Not here: which value is in force where several places have one (sources.py).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from cometfs.errors import SetupError
from cometfs.host.home import expand, home
from cometfs.options.kinds import NAMES, PATH
from cometfs.options.table import MOUNT, Option
from cometfs.options.template import template
from cometfs.text.printable import without_password

SYSTEM = Path("/etc/cometfs/config.toml")
"""For all users of a machine."""

PROFILES = "profiles"
"""The table whose tables are profiles."""

KEYS: Mapping[str, Option] = {option.name: option for option in MOUNT}


@dataclass(frozen=True)
class Found:
    """A value, and where it is."""

    value: Any = field(repr=False)
    file: Path
    line: int | None
    profile: str | None = None

    @property
    def place(self) -> str:
        """As editors take it: FILE:LINE."""
        return f"{self.file}:{self.line}" if self.line else str(self.file)


Values = Mapping[str, Found]


@dataclass(frozen=True)
class File:
    """What a file says: for every mount, and by profile."""

    path: Path
    values: Values
    profiles: Mapping[str, Values]

    @property
    def secret(self) -> str | None:
        """What is in it that others must not read."""
        values = [found for layer in (self.values, *self.profiles.values()) for found in layer.items()]
        if any(key == "api_key" for key, _ in values):
            return "an API key"
        texts = [found.value for _, found in values if isinstance(found.value, str)]
        return "a password" if any(without_password(text) != text for text in texts) else None

    @property
    def key_files(self) -> list[Path]:
        """The files with keys that it names, of all its profiles."""
        found = [layer.get("api_key_file") for layer in (self.values, *self.profiles.values())]
        return [expand(Path(one.value)) for one in found if one is not None]


def named_file() -> Path | None:
    """The file that COMETFS_CONFIG names in the place of the user's."""
    named = os.environ.get("COMETFS_CONFIG", "")
    return expand(Path(named)) if named else None


def user_file() -> Path | None:
    """The user's own file, there or not; None where no home is known."""
    if named := named_file():
        return named
    folder = os.environ.get("XDG_CONFIG_HOME", "")
    if folder.startswith("/"):
        return Path(folder) / "cometfs/config.toml"
    found = home()
    return found / ".config/cometfs/config.toml" if found else None


def places() -> list[Path]:
    """The machine's file and the user's, there or not."""
    return [path for path in (SYSTEM, user_file()) if path]


def read_files() -> list[File]:
    """Those that are there. Raises SetupError."""
    return [parse(path, text) for path in places() if (text := _text(path)) is not None]


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        missing = isinstance(error, FileNotFoundError | NotADirectoryError)
        if missing and path != named_file():
            return None
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise SetupError(f"cannot read the configuration {path}: {reason}") from error


def profiles(files: Iterable[File]) -> list[str]:
    """The names of all profiles."""
    return list(dict.fromkeys(name for file in files for name in file.profiles))


def own_file() -> Path:
    """The user's file; made, for that user alone, where there is none. Raises SetupError."""
    path = user_file()
    if path is None:
        raise SetupError("no place for a configuration file: set HOME or COMETFS_CONFIG")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(path, "x", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(template())
    except FileExistsError:
        pass
    except OSError as error:
        raise SetupError(f"cannot write the configuration {path}: {error.strerror}") from error
    return path


def parse(path: Path, text: str) -> File:
    """What `text` says, checked. Raises SetupError, which names the line and never quotes a value."""
    import tomllib

    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SetupError(f"{path} is no TOML: {error}") from None
    lines = Lines(path, text)
    profiles = found.pop(PROFILES, {})
    if not isinstance(profiles, dict) or not all(isinstance(one, dict) for one in profiles.values()):
        raise SetupError(f"{lines.place((PROFILES,))}: profiles are tables: [profiles.NAME]")
    return File(
        path,
        _checked(found, lines, None),
        {name: _checked(values, lines, name) for name, values in profiles.items()},
    )


def _checked(table: Mapping[str, Any], lines: Lines, profile: str | None) -> dict[str, Found]:
    above = () if profile is None else (PROFILES, profile)
    found = {}
    for key, value in table.items():
        place = lines.place((*above, key))
        option = KEYS.get(key)
        if option is None:
            raise SetupError(f"{place}: there is no option {key!r}{nearest(key, [*KEYS, PROFILES])}")
        found[key] = Found(_value(option, value, place, lines.path), lines.path, lines.of((*above, key)), profile)
    if "api_key" in found and "api_key_file" in found:
        raise SetupError(f"{found['api_key'].place}: api_key and api_key_file both name the key: keep one of them")
    return found


def nearest(word: str, known: list[str]) -> str:
    """The known word that may be meant, as the end of a sentence; else all of them."""
    import difflib

    close = difflib.get_close_matches(word, known, 1)
    return f": do you mean {close[0]!r}?" if close else f": choose one of {', '.join(known)}" if known else ""


def _value(option: Option, value: Any, place: str, file: Path) -> Any:
    """As click takes it: a path that is relative is meant from the file's directory. Raises SetupError."""
    if not _fits(option, value):
        raise SetupError(f"{place}: {option.name} is {option.kind.word}")
    if isinstance(value, str) and not value.strip():
        raise SetupError(f"{place}: {option.name} is empty: leave the line out")
    try:
        for one in () if option.kind.of_machine else value if option.kind is NAMES else (value,):
            option.kind.parsed.convert(one, None, None)
    except click.BadParameter as error:
        raise SetupError(f"{place}: {option.name}: {error.message}") from None
    if option.kind is not PATH or value.startswith("~"):
        return value
    return os.path.join(file.parent, value)  # noqa: PTH118  # a word of the command line is text, too


def _fits(option: Option, value: Any) -> bool:
    """True and false are integers of Python's, and no numbers of a file's."""
    if isinstance(value, bool):
        return bool in option.kind.in_files
    if option.kind is NAMES:
        return isinstance(value, list) and all(isinstance(one, str) for one in value)
    return isinstance(value, option.kind.in_files)


class Lines:
    """Which line of a file has which key: tomllib does not say."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self._lines: dict[tuple[str, ...], int] = {}
        table: tuple[str, ...] = ()
        for number, line in enumerate(text.splitlines(), 1):
            if line.lstrip().startswith("["):
                table = keys = _keys(line)
            else:
                key, equals, _ = line.partition("=")
                keys = (*table, *_keys(f"{key}= 0")) if equals else ()
            for length in range(1, len(keys) + 1):
                self._lines.setdefault(keys[:length], number)

    def of(self, keys: tuple[str, ...]) -> int | None:
        """The line of a key, or of the table that holds it."""
        longest = (self._lines.get(keys[:length]) for length in range(len(keys), 0, -1))
        return next(filter(None, longest), None)

    def place(self, keys: tuple[str, ...]) -> str:
        line = self.of(keys)
        return f"{self.path}:{line}" if line else str(self.path)


def _keys(line: str) -> tuple[str, ...]:
    """The parts of the key in a line of TOML; none where that is the middle of something."""
    import tomllib

    try:
        found: Any = tomllib.loads(line)
    except tomllib.TOMLDecodeError:
        return ()
    return tuple(_path(found))


def _path(found: Any) -> Iterator[str]:
    while isinstance(found, dict) and found:
        key, found = next(iter(found.items()))
        yield key
