"""What `experiments.csv` asks for others and tags, by which server: its calls, and that its cells are the files'."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from cometfs.server import sample_directory
from cometfs.server.catalog.catalog import Catalog, open_directory
from cometfs.vfs.engine.vfs import Vfs
from cometfs.vfs.sources import logged_columns
from cometfs.vfs.sources.experiment import EXPERIMENTS
from tests.inprocess.conftest import Wire, at, mounted, names, read

PROJECT = "vision-lab/digits"
TABLE = f"{PROJECT}/summary/experiments.csv"
SEARCH, OTHERS, TAGS, QUERY = "experiments/search", "experiment/log-other", "experiment/tags", "project/query"
COPIES = 6

Edit = Callable[[dict[str, Any]], None]


class Missing(Wire):
    """One that lacks endpoints."""

    def __init__(self, index: Catalog) -> None:
        super().__init__(index)
        self.lacks: dict[str, httpx.Response] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await super().handle_async_request(request)
        return self.lacks.get(request.url.path.removeprefix("/api/rest/v2/"), response)


@pytest.fixture(scope="module")
def many() -> Catalog:
    """The sample, every archive so many times: 30 experiments of a project. None has an other that is true or false."""
    return open_directory(sample_directory(), COPIES)


@pytest.fixture
def wire(many: Catalog) -> Missing:
    wire = Missing(many)
    wire.edits["project/column-names"] = _only_texts
    return wire


@pytest.fixture
async def vfs(wire: Missing, tmp_path: Path) -> AsyncIterator[Vfs]:
    async with mounted(wire, tmp_path) as opened:
        yield opened


def _only_texts(answer: dict[str, Any]) -> None:
    for column in answer["columns"]:
        if column["source"] == "log_other":
            column["type"] = "string"


def lacking(status: int, body: bytes = b"") -> httpx.Response:
    return httpx.Response(status, content=body)


async def rows(vfs: Vfs, wire: Missing) -> tuple[dict[str, dict[str, str]], Counter[str]]:
    """The table by directory, and what it asked."""
    wire.asked.clear()
    written = (await read(vfs, TABLE)).decode().splitlines()
    return {row["directory"]: row for row in csv.DictReader(written)}, Counter(wire.asked)


async def check(vfs: Vfs, table: dict[str, dict[str, str]]) -> None:
    """The cells for others and tags are what the files of each experiment say, in another mount."""
    directories = [name for name, node in (await children(vfs)).items() if node]
    assert sorted(table) == sorted(directories)
    for name, row in table.items():
        files = await names(vfs, f"{PROJECT}/{name}")
        tags = (await read(vfs, f"{PROJECT}/{name}/tags.txt")).decode().splitlines() if "tags.txt" in files else []
        assert row["tags"].split(";") == (sorted(tags) or [""])
        others = json.loads(await read(vfs, f"{PROJECT}/{name}/others.json"))
        shown = {column.removeprefix("other."): cell for column, cell in row.items() if column.startswith("other.")}
        assert {column: cell for column, cell in shown.items() if cell} == {key: _text(v) for key, v in others.items()}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


async def children(vfs: Vfs) -> dict[str, Any]:
    listing, _ = await vfs.listings.children(await at(vfs, PROJECT))
    return {name: node.at.experiment for name, node in listing.nodes.items()}


@pytest.fixture
async def files(many: Catalog, tmp_path: Path) -> AsyncIterator[Vfs]:
    async with mounted(Wire(many), tmp_path / "files") as opened:
        yield opened


async def test_a_search_tells_others_and_tags_of_all(vfs: Vfs, wire: Missing, files: Vfs) -> None:
    """One call, and few that verify it."""
    table, asked = await rows(vfs, wire)
    assert asked[SEARCH] == 1
    assert asked[QUERY] == 0
    assert asked[OTHERS] <= 5
    assert asked[TAGS] <= 3
    await check(files, table)


async def test_a_page_of_what_is_at_hand_does_not_end_a_search(
    vfs: Vfs, wire: Missing, files: Vfs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The experiments that are to be asked for may stand on the last pages alone."""
    monkeypatch.setattr(logged_columns, "PAGE", 10)
    listing, _ = await vfs.listings.children(await at(vfs, PROJECT))
    places = {node.at.key[0]: node.at for node in listing.nodes.values() if node.at.experiment}
    project = next(iter(places.values())).project
    assert project
    for row in await vfs._answers.api.search_experiments(project["projectId"], limit=10):
        await vfs._answers.ask(logged_columns.OTHERS_BY_NAME, places[row["experimentKey"]])
    table, asked = await rows(vfs, wire)
    assert asked[SEARCH] == 3
    assert asked[OTHERS] <= 5
    await check(files, table)


@pytest.mark.parametrize(
    "refusal",
    [lacking(404), lacking(404, b'{"msg": "no", "code": 404}'), lacking(400, b'{"msg": "no"}'), lacking(400, b"no")],
    ids=["404", "404 of Comet's", "400 of Comet's", "400"],
)
async def test_without_a_search_an_experiment_costs_one_call(
    vfs: Vfs, wire: Missing, files: Vfs, refusal: httpx.Response
) -> None:
    """There is one such look at a server; tags cost a query each, as there are fewer of them."""
    wire.lacks[SEARCH] = refusal
    table, asked = await rows(vfs, wire)
    assert asked[SEARCH] == 1
    assert asked[OTHERS] == len(table)
    assert 0 < asked[QUERY] < len(table)
    assert asked[TAGS] == 0
    await check(files, table)
    wire.asked.clear()
    await read(vfs, "tabular/wine-cultivars/summary/experiments.csv")
    assert SEARCH not in wire.asked


def _without_columns(answer: dict[str, Any]) -> None:
    answer["experiments"] = [{"experimentKey": row["experimentKey"]} for row in answer["experiments"]]


async def test_a_search_that_has_keys_alone_is_no_reason_to_warn(vfs: Vfs, wire: Missing, files: Vfs) -> None:
    wire.edits[SEARCH] = _without_columns
    table, asked = await rows(vfs, wire)
    assert asked[SEARCH] == 1
    assert asked[OTHERS] == len(table)
    await check(files, table)


def _cuts_long_texts(answer: dict[str, Any]) -> None:
    longest = max(len(str(value)) for row in answer["experiments"] for value in _others_in(row).values())
    for row in answer["experiments"]:
        row.update({field: str(value)[: longest - 1] for field, value in _others_in(row).items()})


def _forgets_a_tag(answer: dict[str, Any]) -> None:
    tagged = [row for row in answer["experiments"] if "wide--tag" in row]
    for row in tagged:
        del row["wide--tag"]


def _has_old_texts(answer: dict[str, Any]) -> None:
    for row in answer["experiments"]:
        row.update(dict.fromkeys(_others_in(row), "old"))


def _others_in(row: dict[str, Any]) -> dict[str, Any]:
    return {field: value for field, value in row.items() if field.endswith("--log_other")}


@pytest.mark.logs("Comet's experiments/search tells other than")
@pytest.mark.parametrize("lie", [_has_old_texts, _cuts_long_texts, _forgets_a_tag])
async def test_a_search_that_tells_otherwise_is_not_believed(
    vfs: Vfs, wire: Missing, files: Vfs, lie: Edit, caplog: pytest.LogCaptureFixture
) -> None:
    """That is said once, and it is not asked again."""
    wire.edits[SEARCH] = lie
    table, asked = await rows(vfs, wire)
    assert asked[SEARCH] == 1
    assert asked[OTHERS] == len(table)
    await check(files, table)
    assert sum("tells other than" in record.getMessage() for record in caplog.records) == 1


@pytest.mark.parametrize("search", [True, False])
async def test_another_table_costs_what_has_changed(wire: Missing, tmp_path: Path, search: bool) -> None:
    """One experiment got a new name: it is asked for, and no other, by a mount that has the cache of the last one."""
    if not search:
        wire.lacks[SEARCH] = lacking(404)
    async with mounted(wire, tmp_path) as vfs:
        table, _ = await rows(vfs, wire)
    async with mounted(wire, tmp_path) as vfs:
        assert await rows(vfs, wire) == (table, Counter())
    key = table["mlp-baseline"]["key"]
    wire.edits["experiments"] = lambda answer: [
        row.update(experimentName="other name") for row in answer["experiments"] if row["experimentKey"] == key
    ]
    async with mounted(wire, tmp_path) as vfs:
        await vfs._answers.drop_all(lambda held: isinstance(held, tuple) and EXPERIMENTS.name in held[:2])
        wire.about.clear()
        again, asked = await rows(vfs, wire)
    assert again.keys() ^ table.keys() == {"mlp-baseline", "other name"}
    about = [question for question in wire.about if question[0].startswith("experiment/")]
    assert {question for question, _ in about} == {"experiment/parameters", "experiment/metrics/summary", OTHERS, TAGS}
    assert all(f"experimentKey={key}" in query for _, query in about), about
    assert asked.total() == len(about) + 1, asked


async def test_more_tags_than_experiments_cost_a_call_for_each_experiment(vfs: Vfs, wire: Missing, files: Vfs) -> None:
    """And no query."""
    wire.lacks[SEARCH] = lacking(404)
    added = [{"name": f"t{n}", "id": f"t{n}--tag", "type": "boolean", "source": "tag"} for n in range(5 * COPIES)]
    wire.edits["project/column-names"] = lambda answer: answer["columns"].extend(added)
    table, asked = await rows(vfs, wire)
    assert asked[QUERY] == 0
    assert asked[TAGS] == len(table)
    await check(files, table)


async def test_a_server_without_queries_has_the_table(vfs: Vfs, wire: Missing, files: Vfs) -> None:
    wire.lacks |= {SEARCH: lacking(404), QUERY: lacking(404), "experiment/metrics/get-all": lacking(404)}
    table, asked = await rows(vfs, wire)
    assert asked[TAGS] == asked[OTHERS] == len(table)
    await check(files, table)
