"""What the value of an option may be: how it is read from a word, and which values of a file it takes."""

from __future__ import annotations

import math
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from cometfs.errors import SetupError

if TYPE_CHECKING:
    _IntegerType = click.ParamType[int]
else:
    _IntegerType = click.ParamType  # older ones are not generic


class Kind(NamedTuple):
    """A type of click's, the types that TOML may have for it, and how a sentence calls it."""

    parsed: click.ParamType[Any]
    in_files: tuple[type, ...]
    word: str


class _Path(click.Path):
    """A path that is only parsed. click would stat it, and a mount whose daemon is dead or stopped answers with an
    error or never.
    """

    def convert(self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None) -> Path:
        if not os.fspath(value):
            self.fail("an empty path names nothing", param, ctx)
        return Path(value)


class _Name(click.types.StringParamType):
    """One of several, which a variable of the environment separates by commas."""

    envvar_list_splitter = ","


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

FLAG = Kind(click.BOOL, (bool,), "true or false")
TEXT = Kind(click.STRING, (str,), "a text")
PATH = Kind(PLACE, (str,), "a path")
NAMES = Kind(_Name(), (list,), "a list of names")
SIZE = Kind(_Size(), (str, int), "a size like 500M")


def whole(least: int) -> Kind:
    """Whole numbers from `least` on."""
    return Kind(click.IntRange(min=least), (int,), "a whole number")


def seconds(least: float, *, more: bool = False) -> Kind:
    """Seconds from `least` on; `more`: above it."""
    return Kind(_Seconds(min=least, min_open=more), (int, float), "a number of seconds")


def one_of(*choices: str) -> Kind:
    """One of some words."""
    return Kind(click.Choice(choices), (str,), "one of " + ", ".join(choices))
