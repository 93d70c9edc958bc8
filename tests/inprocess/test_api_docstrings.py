"""The docstrings of `API`: examples are true of the sample, and endpoints and SDK methods are those that they name."""

from __future__ import annotations

import ast
import doctest
import functools
import inspect
import io
import re
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import cometfs
from cometfs import API
from cometfs.comet.answers import predicates
from cometfs.comet.http.transport import Transport
from cometfs.comet.writes.change_api import ChangeAPI
from cometfs.composition.assembly import open_vfs
from cometfs.errors import NotFound
from cometfs.server import sample_directory
from cometfs.server.catalog.catalog import Catalog, open_directory
from cometfs.server.http.app import make_app
from cometfs.server.storage.journal import Journal
from cometfs.server.storage.lock import lock

SDK = (Path(__file__).parents[1] / "recorded/sdk-methods.txt").read_text().split()
PUBLIC = [name for name in dir(API) if not name.startswith("_")]
SENTENCE = "the errors of every call (`API`)."
OLDER = ("experiment/metrics/get-all", "experiment/asset/get-by-name")
"""Endpoints that older servers lack."""

PLAIN = {"self", "experiment_key", "workspace", "project"}
"""Arguments that are the same for all methods: the class says what they are."""

CHECKER = doctest.OutputChecker()
LENIENT = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@functools.cache
def sample() -> Catalog:
    return open_directory(sample_directory())


def docstring(name: str) -> str:
    return inspect.getdoc(getattr(API, name)) or ""


def field(name: str, word: str) -> str:
    """What follows `Endpoint:` or `SDK:`, with the lines that continue it."""
    found = re.search(rf"^{word}: (.*(?:\n    .*)*)", docstring(name), re.MULTILINE)
    assert found, f"{name} has no line '{word}:'"
    return found[1]


def endpoints(name: str) -> set[tuple[str, str]]:
    return {
        (method, path) for method, path in re.findall(r"\b(GET|POST)\s+([a-z-]+(?:/[a-z-]+)*)", field(name, "Endpoint"))
    }


def changeable(folder: Path) -> Any:
    """The embedded Comet with a copy of the sample that can be changed."""
    for archive in sample_directory().glob("*.zip"):
        shutil.copy(archive, folder)
    index = open_directory(folder)
    return make_app(index, journal=Journal(index, lock(folder)))


class Wire(httpx.AsyncBaseTransport):
    """The embedded Comet with the sample; `lacking` endpoints are not there. Keeps what was asked."""

    def __init__(self, lacking: tuple[str, ...] = (), writable: Path | None = None) -> None:
        """`writable`: where a copy of the sample is kept that can be changed."""
        self._app = httpx.ASGITransport(make_app(sample()) if writable is None else changeable(writable))
        self._lacking = lacking
        self.asked: set[tuple[str, str]] = set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        endpoint = request.url.path.removeprefix("/api/rest/v2/")
        self.asked.add((request.method, endpoint))
        if endpoint in self._lacking:
            return httpx.Response(404, text="no such page")
        return await self._app.handle_async_request(request)

    def api(self) -> API:
        return API("key", "http://127.0.0.1:8080", transport=Transport(self))


async def run_examples(text: str, wire: Wire) -> None:
    """Every example of a docstring, against what it says that comes out."""
    async with wire.api() as api:
        names = {
            "API": API,
            "open_vfs": open_vfs,
            "api": api,
            "key": "50d3a93fdfbc7f162d0165d3174ee601",
            "project_id": "4562ae01cf5b4244acc558d3f0e35470",
            "io": io,
            "zipfile": zipfile,
            **vars(predicates),
        }
        for example in doctest.DocTestParser().get_examples(text):
            out = await shown(example.source, names)
            assert CHECKER.check_output(example.want, out, LENIENT), f"{example.source}{out}instead of {example.want}"


async def shown(source: str, names: dict[str, Any]) -> str:
    """What an interactive Python prints: the last value, also where it stands in an `async with`."""
    tree = ast.parse(source)
    last = tree.body[-1]
    block = last.body if isinstance(last, ast.AsyncWith) else tree.body
    if isinstance(block[-1], ast.Expr):
        block[-1] = ast.copy_location(ast.Assign([ast.Name("_shown", ast.Store())], block[-1].value), block[-1])
    names["_shown"] = None
    code = compile(ast.fix_missing_locations(tree), "<docstring>", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    result = eval(code, names)
    if inspect.isawaitable(result):
        await result
    return "" if names["_shown"] is None else f"{names['_shown']!r}\n"


@pytest.mark.parametrize("name", PUBLIC)
async def test_examples_are_true_and_endpoints_are_those_asked(name: str, tmp_path: Path) -> None:
    """Of the sample; and what only older servers are asked is asked where the newer endpoints are missing."""
    wire, older = Wire(writable=tmp_path if hasattr(ChangeAPI, name) else None), Wire(lacking=OLDER)
    if name.startswith("get_"):  # they read what the example of `store` stored
        await run_examples(docstring("store"), wire)
        wire.asked.clear()
    await run_examples(docstring(name), wire)
    assert wire.asked <= endpoints(name)
    if wire.asked != endpoints(name):
        await run_examples(docstring(name), older)
    assert wire.asked | older.asked == endpoints(name)


async def test_the_example_of_open_vfs_is_true() -> None:
    """And every argument is explained."""
    text = inspect.getdoc(open_vfs) or ""
    await run_examples(text, Wire())
    assert [argument for argument in inspect.signature(open_vfs).parameters if f"- `{argument}`: " not in text] == []


def test_what_the_package_gives_is_explained() -> None:
    """In its docstring; and every argument of `API` in that of the class."""
    assert [name for name in cometfs.__all__ if f"- `{name}`: " not in (cometfs.__doc__ or "")] == []
    arguments = set(inspect.signature(API).parameters)
    explained = [line for line in (inspect.getdoc(API) or "").splitlines() if line.startswith("- `")]
    assert {argument for argument in arguments if not any(f"`{argument}`" in line for line in explained)} == set()


@pytest.mark.parametrize("name", PUBLIC)
def test_a_docstring_says_what_is_needed_to_use_the_method(name: str) -> None:
    """Each argument, an example, errors, endpoint, and the method of the SDK's page."""
    text, method = docstring(name), getattr(API, name)
    spelled = "".join(
        f"_{letter.lower()}" if letter.isupper() else letter for letter in field(name, "SDK").replace("URL", "Url")
    )
    assert spelled == name if name in SDK else spelled.startswith("none")
    if field(name, "Endpoint") == "none":
        return
    assert "\n    >>> " in text
    assert SENTENCE in " ".join(text.split()) or "Raises as `store` does." in text
    given = set(inspect.signature(method).parameters) - PLAIN
    assert {argument for argument in given if f"`{argument}`" not in text} == set()


def unknown(name: str) -> Iterator[str]:
    for argument in inspect.signature(getattr(API, name)).parameters.values():
        if (
            argument.name != "self"
            and argument.default is argument.empty
            and argument.kind is not argument.VAR_POSITIONAL
        ):
            yield "nothing"


@pytest.mark.parametrize("name", [name for name in PUBLIC if "Raises NotFound" in docstring(name)])
async def test_what_is_said_not_to_be_found_is_not_found(name: str, tmp_path: Path) -> None:
    """All arguments that must be given are names of nothing."""
    async with Wire(writable=tmp_path if hasattr(ChangeAPI, name) else None).api() as api:
        called = api.experiment_asset if name == "stream_asset" else getattr(api, name)  # that reads what it streams
        with pytest.raises(NotFound):
            await called(*(["nothing"] if name == "get" else unknown(name)))
