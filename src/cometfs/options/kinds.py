"""What the value of an option may be: how it is read from a word, and which values of a file it takes."""

from __future__ import annotations

import grp
import math
import os
import pwd
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click
from click.shell_completion import CompletionItem

from cometfs.errors import SetupError
from cometfs.shared.address import checked_address
from cometfs.text.printable import without_password

if TYPE_CHECKING:
    _IntegerType = click.ParamType[int]
else:
    _IntegerType = click.ParamType  # older ones are not generic


class Kind(NamedTuple):
    """A type of click's, the types that TOML may have for it, and how a sentence calls it."""

    parsed: click.ParamType[Any]
    in_files: tuple[type, ...]
    word: str
    of_machine: bool = False
    """Whether a value is right on one machine and wrong on another: then it is checked when it is used."""

    def written(self, value: Any) -> Any:
        """A value as a file would have it, but without what is secret in an address."""
        if isinstance(value, str):
            return without_password(value)
        if isinstance(value, Path):
            return str(value)
        return f"{value:03o}" if self is UMASK and value is not None else value


class _Path(click.Path):
    """A path that is only parsed. click would stat it, and a mount whose daemon is dead or stopped answers with an
    error or never.
    """

    def convert(self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None) -> Path:
        if not os.fspath(value):
            self.fail("an empty path names nothing", param, ctx)
        return Path(value)


class _Mounted(_Path):
    """A path that is a mountpoint, or lies in a mount: shells are offered the mounts that there are."""

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from cometfs.fuse.mountinfo import mounts

        places = [os.fspath(mount.path) for mount in mounts() if mount.ours]
        spelt = [word for place in places for word in _spellings(place) if word.startswith(incomplete)]
        return [CompletionItem(word) for word in spelt] or super().shell_complete(ctx, param, incomplete)


def _spellings(place: str) -> list[str]:
    """A path as it is typed: from the root, from home, from here."""
    home, here = os.path.expanduser("~"), os.path.relpath(place)  # noqa: PTH111
    short = [f"~{place.removeprefix(home)}"] if place.startswith(f"{home}/") else []
    return [place, *short, here, f"./{here}"]


class _Name(click.types.StringParamType):
    """One of several, which a variable of the environment separates by commas."""

    def split_envvar_value(self, rv: str) -> list[str]:
        return [name for part in rv.split(",") if (name := part.strip())]


class _Shared(click.types.StringParamType):
    """An address of Redis or Valkey."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return checked_address(super().convert(value, param, ctx))
        except SetupError as error:
            self.fail(str(error), param, ctx)


class _Seconds(click.FloatRange):
    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        found = super().convert(value, param, ctx)
        if not math.isfinite(found):
            self.fail(f"{value} is no time", param, ctx)
        return found


class _Size(_IntegerType):
    name = "size"

    def convert(self, value: str | int, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        try:
            return size_in_bytes(value)
        except SetupError as error:
            self.fail(str(error), param, ctx)


class _Id(_IntegerType):
    """A user or a group, by number or by name."""

    def __init__(self, name: str, of_name: Callable[[str], int]) -> None:
        self.name = name
        self._of_name = of_name

    def convert(self, value: str | int, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            found = value if isinstance(value, int) else int(value) if value.isdecimal() else self._of_name(value)
        except KeyError:
            self.fail(f"there is no {self.name} {value!r} on this machine", param, ctx)
        if not 0 <= found <= _LARGEST_ID:
            self.fail(f"{value} is the number of no {self.name}", param, ctx)
        return found


_LARGEST_ID = 2**32 - 2
"""The next one stands for no user in system calls."""


class _Umask(_IntegerType):
    name = "umask"

    def convert(self, value: str | int, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        if not re.fullmatch("(0o)?[0-7]{1,4}", value) or int(value, 8) > 0o777:
            self.fail(f"{value!r} is no umask: write it in octal digits, like 022", param, ctx)
        return int(value, 8)


def _user(name: str) -> int:
    return pwd.getpwnam(name).pw_uid


def _group(name: str) -> int:
    return grp.getgrnam(name).gr_gid


_UNITS = {
    "": 1,
    "K": 10**3,
    "M": 10**6,
    "G": 10**9,
    "T": 10**12,
    "KI": 1 << 10,
    "MI": 1 << 20,
    "GI": 1 << 30,
    "TI": 1 << 40,
}


def size_in_bytes(text: str) -> int:
    """Bytes from "500M", "10 GB", "2GiB", "1e9". Raises SetupError."""
    found = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?(?:e[0-9]+)?)\s*([kmgt]i?)?b?\s*", text, re.IGNORECASE)
    if found is None:
        raise SetupError(f"{text!r} is no size: write it as 500M, 10G or 2GiB")
    return int(float(found[1]) * _UNITS[(found[2] or "").upper()])


PLACE = _Path()

MOUNTED = _Mounted()

FLAG = Kind(click.BOOL, (bool,), "true or false")
TEXT = Kind(click.STRING, (str,), "a text")
SHARED = Kind(_Shared(), (str,), "an address like redis://HOST:6379/0")
PATH = Kind(PLACE, (str,), "a path")
NAMES = Kind(_Name(), (list,), "a list of names")
SIZE = Kind(_Size(), (str, int), "a size like 500M")
USER = Kind(_Id("user", _user), (str, int), "the name or the number of a user", of_machine=True)
GROUP = Kind(_Id("group", _group), (str, int), "the name or the number of a group", of_machine=True)
UMASK = Kind(_Umask(), (str,), 'octal digits in quotes, like "022"')


def whole(least: int) -> Kind:
    """Whole numbers from `least` on."""
    return Kind(click.IntRange(min=least), (int,), "a whole number")


def seconds(least: float, *, more: bool = False) -> Kind:
    """Seconds from `least` on; `more`: above it."""
    return Kind(_Seconds(min=least, min_open=more), (int, float), "a number of seconds")


def one_of(*choices: str) -> Kind:
    """One of some words."""
    return Kind(click.Choice(choices), (str,), "one of " + ", ".join(choices))
