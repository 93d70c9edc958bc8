"""Tables and charts of a project that lack one experiment: its cells are empty, the last column says why."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
import trio.testing

from cometfs.comet.api import API
from cometfs.comet.http.transport import Transport
from cometfs.composition.assembly import open_vfs
from cometfs.errors import CometFSError, KeyRejected
from cometfs.lease import PARTIAL
from cometfs.server import sample_directory
from cometfs.server.catalog.catalog import Catalog, open_directory
from cometfs.vfs.engine.vfs import Vfs
from tests.inprocess.conftest import Wire, at, at_rest, mounted, read

PROJECT = "vision-lab/digits"
SUMMARY = f"{PROJECT}/summary"
KEY = "50d3a93fdfbc7f162d0165d3174ee601"
COPIES = 6
PARTS = {
    "experiment/parameters": "param.",
    "experiment/log-other": "other.",
    "experiment/metrics/summary": "metric.",
    "experiment/tags": "tags",
}
"""How the columns begin that an endpoint fills."""

Rows = dict[str, dict[str, str]]


class Partial(Wire):
    """One that answers about some experiments otherwise. Charts, queries and searches are too new for it."""

    def __init__(self, index: Catalog) -> None:
        super().__init__(index)
        self.refused: set[str] = set()
        """The keys of experiments."""
        self.endpoints: set[str] = set(PARTS)
        self.status = 403
        self.lacking = {"experiments/multi-metric-chart", "project/query", "experiments/search"}

        self.released = trio.Event()
        """Until then it answers no `endpoints` about those of `held`."""
        self.held: set[str] = set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await super().handle_async_request(request)
        if self.asked[-1] in self.endpoints and request.url.params.get("experimentKey") in self.held:
            await self.released.wait()
        refused = self.asked[-1] in self.endpoints and request.url.params.get("experimentKey") in self.refused
        return httpx.Response(self.status, json={"msg": "not \x1b[1myou", "code": self.status}) if refused else response


@pytest.fixture(scope="module")
def many() -> Catalog:
    return open_directory(sample_directory(), COPIES)


@pytest.fixture
def wire(index: Catalog) -> Partial:
    return Partial(index)


def rows_of(written: bytes) -> Rows:
    return {row["key"]: row for row in csv.DictReader(written.decode().splitlines())}


async def table(vfs: Vfs) -> Rows:
    return rows_of(await read(vfs, f"{SUMMARY}/experiments.csv"))


@pytest.fixture
async def whole(index: Catalog) -> Rows:
    """The table of a Comet that answers."""
    wire = Wire(index)
    async with API("key", "http://comet", transport=Transport(wire)) as api, open_vfs(api) as vfs:
        return await table(vfs)


async def test_a_whole_table_has_the_column_too(vfs: Vfs) -> None:
    """As the last one, so that a program need not ask whether it is there."""
    written = await read(vfs, f"{SUMMARY}/experiments.csv")
    head, *_ = csv.reader(written.decode().splitlines())
    assert head[-1] == "error"
    assert {row["error"] for row in rows_of(written).values()} == {""}
    lines = (await read(vfs, f"{SUMMARY}/experiments.jsonl")).splitlines()
    assert all(json.loads(line)["error"] is None for line in lines)


@pytest.mark.logs("a table has empty cells for 1 experiments")
@pytest.mark.parametrize("endpoint", PARTS)
async def test_what_one_experiment_lacks_costs_its_own_cells(
    vfs: Vfs, wire: Partial, whole: Rows, endpoint: str
) -> None:
    """Those that the question fills; the others of its row, and all other rows, are what they were."""
    wire.refused, wire.endpoints = {KEY}, {endpoint}
    found = await table(vfs)
    assert f"{endpoint} answered 403: not \\x1b[1myou" in found[KEY]["error"]
    for key, row in whole.items():
        lost = PARTS[endpoint] if key == KEY else "\0"
        for column, cell in row.items():
            if column.startswith(lost):
                assert found[key].get(column, "") == ""
            elif column != "error":
                assert found[key].get(column, "") == cell, (key, column)
    assert any(row.get(column) for row in whole.values() for column in row if column.startswith(PARTS[endpoint]))


@pytest.mark.logs("a table has empty cells for 1 experiments")
async def test_other_tables_say_it_too(vfs: Vfs, wire: Partial) -> None:
    """And share the answers: none of the three asks more than one."""
    wire.refused = {KEY}
    (error,) = {row["error"] for row in (await table(vfs)).values()} - {""}
    asked = len(wire.asked)
    lines = map(json.loads, (await read(vfs, f"{SUMMARY}/experiments.jsonl")).splitlines())
    assert {line["key"]: line["error"] for line in lines if line["error"]} == {KEY: error}
    page = (await read(vfs, f"{SUMMARY}/overview.html")).decode()
    assert "1 experiment with empty cells" in page
    assert "experiment/tags answered 403" in page
    assert len(wire.asked) == asked


@pytest.mark.logs("a table has empty cells for 1 experiments")
async def test_the_next_look_asks_for_what_failed_and_no_more(
    index: Catalog, whole: Rows, mock_clock: trio.testing.MockClock
) -> None:
    """What was answered is kept; a table that lacks something is not kept as if it were whole."""
    wire = Partial(index)
    wire.refused, wire.status = {KEY}, 491
    async with API("key", "http://comet", transport=Transport(wire)) as api, open_vfs(api) as vfs:
        before = await table(vfs)
        assert before[KEY]["error"]
        wire.refused.clear()
        wire.about.clear()
        mock_clock.jump(PARTIAL + 0.1)
        after = await table(vfs)
        assert after.keys() == whole.keys()
        assert {row["error"] for row in after.values()} == {""}
        assert {column: cell for column, cell in after[KEY].items() if cell} == {
            column: cell for column, cell in whole[KEY].items() if cell
        }
        assert {endpoint for endpoint, _ in wire.about} == set(PARTS)
        assert all(KEY in query for _, query in wire.about)
        await at_rest()


async def test_where_none_is_answered_there_is_no_table(vfs: Vfs, wire: Partial, whole: Rows) -> None:
    """A table of nothing but names would be read as one of experiments that logged nothing."""
    wire.refused = set(whole)
    with pytest.raises(CometFSError, match="answered 403"):
        await table(vfs)


async def test_an_outage_is_not_waited_for_a_thousand_times(many: Catalog, tmp_path: Path) -> None:
    """Where many fail and none is answered the table is given up, and so it is where the key is refused."""
    wire = Partial(many)
    wire.status = 403
    async with mounted(wire, tmp_path) as vfs:
        listing, _ = await vfs.listings.children(await at(vfs, PROJECT))
        wire.refused = {str(node.at.key[0]) for node in listing.nodes.values() if node.at.experiment}
        assert len(wire.refused) == 30
        with pytest.raises(CometFSError, match="answered 403"):
            await table(vfs)
        wire.refused.pop()
        wire.status = 401
        with pytest.raises(KeyRejected):
            await table(vfs)


@pytest.mark.logs("a table has empty cells for 1 experiments")
async def test_a_state_that_cannot_be_had_costs_a_cell(vfs: Vfs, wire: Partial, whole: Rows) -> None:
    """Of an older server, whose listing does not tell it: the metadata of each experiment does."""

    def without_state(answer: Any) -> None:
        for row in answer["experiments"]:
            del row["running"]

    wire.edits["experiments"] = without_state
    wire.refused, wire.endpoints = {KEY}, {"experiment/metadata"}
    found = await table(vfs)
    assert {key: row["state"] for key, row in found.items()} == {
        key: "" if key == KEY else row["state"] for key, row in whole.items()
    }
    assert "experiment/metadata answered 403" in found[KEY]["error"]


POINTS, METRIC = "experiment/metrics/get-metric", "validate_loss"
CHART = f"{PROJECT}/charts/{METRIC}"
DIRECTORY = "mlp-baseline"
"""Of `KEY`."""


def columns_of(written: bytes) -> dict[str, list[str]]:
    head, *rows = csv.reader(written.decode().splitlines())
    return {name: [row[number] for row in rows] for number, name in enumerate(head)}


@pytest.mark.logs(f"a chart of '{METRIC}' lacks 1 experiments")
async def test_a_chart_of_one_that_fails_has_an_empty_column(
    index: Catalog, mock_clock: trio.testing.MockClock
) -> None:
    """The others are what they were, and so is the head, but for the last column; the picture says it as well."""
    wire = Partial(index)
    async with API("key", "http://comet", transport=Transport(wire)) as api, open_vfs(api) as vfs:
        whole = columns_of(await read(vfs, f"{CHART}.csv"))
        assert "error" not in whole
        assert any(whole[DIRECTORY])
    wire.refused, wire.endpoints = {KEY}, {POINTS}
    async with API("key", "http://comet", transport=Transport(wire)) as api, open_vfs(api) as vfs:
        found = columns_of(await read(vfs, f"{CHART}.csv"))
        asked = len(wire.asked)
        assert f"{METRIC} (not to be had: {DIRECTORY})" in (await read(vfs, f"{CHART}.svg")).decode()
        assert len(wire.asked) == asked
        assert list(found) == [*whole, "error"]
        assert not any(found.pop(DIRECTORY))
        error, *empty = found.pop("error")
        assert not any(empty)
        assert error.startswith(f"{DIRECTORY}: ")
        assert f"{POINTS} answered 403: not \\x1b[1myou" in error
        values = {name: dict(zip(whole["step"], whole[name], strict=True)) for name in found}
        assert found == {name: [values[name][step] for step in found["step"]] for name in found}
        wire.refused.clear()
        mock_clock.jump(PARTIAL + 0.1)
        assert columns_of(await read(vfs, f"{CHART}.csv")) == whole
        await at_rest()


async def best_of(vfs: Vfs) -> dict[str, str]:
    return {
        which: (await vfs.readlink(await at(vfs, f"{PROJECT}/views/best/{METRIC}/{which}"))).rpartition("/")[2]
        for which in ("min", "max")
    }


async def test_the_best_is_known_where_one_has_no_points(vfs: Vfs, wire: Partial, index: Catalog) -> None:
    """From its summary, whichever it is."""
    async with API("key", "http://comet", transport=Transport(Partial(index))) as api, open_vfs(api) as other:
        true = await best_of(other)
        children, _ = await other.listings.children(await at(other, PROJECT))
        keys = {name: str(node.at.key[0]) for name, node in children.nodes.items() if node.at.experiment}
    wire.refused, wire.endpoints = {keys[name] for name in true.values()}, {POINTS}
    assert await best_of(vfs) == true


@pytest.mark.logs(f"the best by '{METRIC}' is known but for 1 experiments")
async def test_the_best_of_the_others_is_shown_and_logged(vfs: Vfs, wire: Partial, index: Catalog) -> None:
    """Where nothing at all is known of one."""
    async with API("key", "http://comet", transport=Transport(Partial(index))) as api, open_vfs(api) as other:
        true = await best_of(other)
        children, _ = await other.listings.children(await at(other, PROJECT))
    wire.refused = {str(children.nodes[true["min"]].at.key[0])}
    wire.endpoints = {POINTS, "experiment/metrics/summary"}
    assert (await best_of(vfs))["min"] not in {true["min"], "README.md"}


async def test_a_chart_of_which_nothing_can_be_had_is_an_error(vfs: Vfs, wire: Partial, whole: Rows) -> None:
    wire.refused, wire.endpoints = set(whole), {POINTS, "experiment/metrics/summary"}
    for path in (f"{CHART}.csv", f"{CHART}.svg"):
        with pytest.raises(CometFSError, match="answered 403"):
            await read(vfs, path)
    with pytest.raises(CometFSError, match="answered 403"):
        await best_of(vfs)


async def test_what_comes_after_its_reader_gave_up_is_kept(
    index: Catalog, tmp_path: Path, whole: Rows, mock_clock: trio.testing.MockClock
) -> None:
    """The next reader has it, without a call, where all has come; one that comes before waits for the same calls."""
    wire = Partial(index)
    wire.held = {KEY}
    async with mounted(wire, tmp_path) as vfs, trio.open_nursery() as readers:
        path = await at(vfs, f"{SUMMARY}/experiments.csv")
        with trio.CancelScope() as deadline:
            readers.start_soon(_cancel_at_rest, deadline)
            await vfs.files.open(path)
        assert deadline.cancelled_caught
        asked = list(wire.asked)
        readers.start_soon(_release_at_rest, wire)
        assert (await table(vfs)).keys() == whole.keys()
        new = len(wire.asked) - len(asked)
        await table(vfs)
        assert len(wire.asked) == len(asked) + new
        about = [(endpoint, query) for endpoint, query in wire.about if endpoint in PARTS]
        assert len(about) == len(set(about)), "asked twice"


async def _cancel_at_rest(deadline: trio.CancelScope) -> None:
    await at_rest()
    deadline.cancel()


async def _release_at_rest(wire: Partial) -> None:
    await at_rest()
    wire.released.set()
