"""Curves, confusion matrices and histograms that cannot be shown cost only themselves."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from cometfs.comet.api import API
from cometfs.comet.http.transport import Transport
from cometfs.composition.assembly import Cache, open_vfs
from cometfs.errors import NotFound, Unreachable
from cometfs.server.catalog.catalog import open_directory
from cometfs.vfs.engine.vfs import Vfs
from cometfs.vfs.sources import logged_tables
from tests.inprocess.conftest import Wire, at, names, read
from tests.inprocess.test_refresh import refresh
from tests.support.archive_contents import write_logged_run

KEY = "c" * 32
RUN = "ws/p/run"
BODY = "experiment/asset/get-asset"

CURVE = {"x": [0, 1], "y": [0.5, 1]}
ODD: Mapping[str, bytes] = {
    "list": b"[[1, 2], [3, 4]]",
    "no-json": b"GIF89a",
    "null": b"null",
    "empty": b"",
    "words": b'{"x": "a", "y": "b"}',
}
"""What is no table of any kind."""


def histogram(*counts: int) -> dict[str, Any]:
    return {
        "version": 2,
        "values": list(range(len(counts) + 1)),
        "index_values": [[i, c] for i, c in enumerate(counts)],
    }


def write_run(directory: Path, logged: Sequence[tuple[str, str, Any, bytes]]) -> None:
    write_logged_run(directory, KEY, logged)


class Gaps(Wire):
    """A Comet that lost some assets: 404 for each; or with no way to it."""

    def __init__(self, directory: Path) -> None:
        super().__init__(open_directory(directory))
        self.lost: set[str] = set()
        self.unreachable: set[str] = set()

    async def handle_async_request(self, request: Any) -> Any:
        asset = request.url.params.get("assetId", "")
        if asset in self.lost:
            request.url = request.url.copy_set_param("assetId", "nothing")
        before, self.failing = self.failing, self.failing or asset in self.unreachable
        try:
            return await super().handle_async_request(request)
        finally:
            self.failing = before


def sheet(body: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(body.decode())))


@asynccontextmanager
async def shown(wire: Wire, cache: Path | None = None) -> AsyncIterator[Vfs]:
    kept = None if cache is None else Cache(cache, 1 << 30)
    async with (
        API("key", "http://comet", transport=Transport(wire), deadline=2) as api,
        open_vfs(api, cache=kept) as vfs,
    ):
        yield vfs


@pytest.mark.parametrize(("folder", "kind"), [("curves", "curve"), ("confusion-matrix", "confusion-matrix")])
async def test_what_is_no_table_is_shown_as_it_is(folder: str, kind: str, tmp_path: Path) -> None:
    """As `.csv`, which its row promises; under its own name once that is known. Its neighbours are tables."""
    good = json.dumps(CURVE | {"matrix": [[1]]}).encode()
    runs = [(kind, f"{name}.json", 1, body) for name, body in ODD.items()] + [(kind, "good", 1, good)]
    write_run(tmp_path / "runs", runs)
    wire = Gaps(tmp_path / "runs")
    async with shown(wire, tmp_path / "cache") as vfs:
        assert sorted(await names(vfs, f"{RUN}/{folder}")) == sorted([*(f"{name}.csv" for name in ODD), "good.csv"])
        assert wire.asked.count(BODY) == 0, "to list a directory fetches no body"
        for name, body in ODD.items():
            assert await read(vfs, f"{RUN}/{folder}/{name}.csv") == body
        assert len(sheet(await read(vfs, f"{RUN}/{folder}/good.csv"))) > 1
        assert f"{next(iter(ODD))}.csv" in await names(vfs, f"{RUN}/{folder}"), "what was listed a moment ago is there"
    wire.asked.clear()
    async with shown(wire, tmp_path / "cache") as vfs:
        assert sorted(await names(vfs, f"{RUN}/{folder}")) == sorted([*(f"{name}.json" for name in ODD), "good.csv"])
        for name, body in ODD.items():
            assert await read(vfs, f"{RUN}/{folder}/{name}.json") == body
    assert wire.asked.count(BODY) <= 1, "all but the empty one, which its row does not tell from an unknown size"


async def test_what_is_found_out_at_the_same_time_is_all_known(tmp_path: Path) -> None:
    """Of many that are read abreast, none is forgotten."""
    write_run(tmp_path / "runs", [("curve", f"c{number}", 1, b"[]") for number in range(20)])
    wire = Gaps(tmp_path / "runs")
    async with shown(wire, tmp_path / "cache") as vfs, trio.open_nursery() as nursery:
        await names(vfs, f"{RUN}/curves")
        for number in range(20):
            nursery.start_soon(read, vfs, f"{RUN}/curves/c{number}.csv")
    async with shown(wire, tmp_path / "cache") as vfs:
        assert not [name for name in await names(vfs, f"{RUN}/curves") if name.endswith(".csv")]


async def test_a_refresh_lists_what_is_known(tmp_path: Path) -> None:
    """`touch` of the file and of its directory: its own name is there, and has its own bytes."""
    write_run(tmp_path, [("curve", "list", 1, b"[]")])
    async with shown(Gaps(tmp_path)) as vfs:
        assert await read(vfs, f"{RUN}/curves/list.csv") == b"[]"
        await refresh(vfs, f"{RUN}/curves/list.csv")
        await refresh(vfs, f"{RUN}/curves")
        assert await names(vfs, f"{RUN}/curves") == ["list"]
        assert await read(vfs, f"{RUN}/curves/list") == b"[]"


async def test_an_asset_that_is_gone_costs_only_itself(tmp_path: Path) -> None:
    """Its own file is an error; its directory, its neighbours and the table of all are not."""
    curve = json.dumps(CURVE).encode()
    write_run(tmp_path, [("curve", "gone", 1, curve), ("curve", "list", 1, b"[]"), ("curve", "there", 1, curve)])
    wire = Gaps(tmp_path)
    wire.lost = {"a0"}
    async with shown(wire) as vfs:
        with pytest.raises(NotFound):
            await read(vfs, f"{RUN}/curves/gone.csv")
        assert await names(vfs, f"{RUN}/curves") == ["gone.csv", "list.csv", "there.csv"]
        assert sheet(await read(vfs, f"{RUN}/curves/there.csv"))[1:] == [["0", "0.5"], ["1", "1"]]
        found = json.loads(await read(vfs, f"{RUN}/.api/experiment_curves.json"))
    assert [(row["assetId"], row["x"]) for row in found] == [("a0", None), ("a1", None), ("a2", [0, 1])]
    assert [row.get("name") for row in found] == ["gone", "list", None]


async def test_a_confusion_matrix_shows_all_rows(tmp_path: Path) -> None:
    """Of 2 x 3 with one label too."""
    body = json.dumps({"labels": ["cat"], "matrix": [[1, 2, 3], [4, 5, 6]]}).encode()
    write_run(tmp_path, [("confusion-matrix", "m.json", 1, body)])
    async with shown(Gaps(tmp_path)) as vfs:
        found = sheet(await read(vfs, f"{RUN}/confusion-matrix/m.csv"))
    assert [row[1:] for row in found] == [["cat", "1", "2"], ["1", "2", "3"], ["4", "5", "6"]]
    assert [row[0] for row in found[1:]] == ["cat", "1"]


async def test_what_is_too_big_for_a_table_is_listed_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From its row, where that has the size; else its first reader is told, and the next listing has it."""
    monkeypatch.setattr(logged_tables, "TABLE_BYTES", 100)
    big = json.dumps({"x": list(range(100)), "y": []}).encode()
    write_run(tmp_path, [("curve", "big.json", 1, big), ("curve", "small", 1, b'{"x": [1]}')])
    async with shown(Gaps(tmp_path)) as vfs:
        assert await names(vfs, f"{RUN}/curves") == ["big.json", "small.csv"]
        assert await read(vfs, f"{RUN}/curves/big.json") == big


def steps_of(found: list[list[str]]) -> list[tuple[str, str]]:
    return [(row[0], row[3]) for row in found[1:]]


class PiecesOnly(Gaps):
    """A Comet that lists the pieces, and nothing that is made of them: as while it has not joined them yet."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        assets = next(iter(open_directory(directory).projects.values())).experiments[0].record.assets

        def pieces(answer: Any) -> None:
            rows = {row["assetId"]: row for row in answer["assets"]}
            answer["assets"] = [rows.get(one.id) or next(iter(rows.values())) | row_of(one) for one in assets.values()]

        self.edits["experiment/asset/list"] = pieces


def row_of(asset: Any) -> dict[str, Any]:
    return {
        "assetId": asset.id,
        "fileName": asset.name,
        "type": asset.type,
        "step": asset.step,
        "fileSize": asset.size,
        "runContext": asset.context,
    }


async def test_pieces_of_a_histogram_are_one_table(tmp_path: Path) -> None:
    """Steps in order; a piece that is gone, or is none, is a row with its step alone. It costs a call a piece, once."""
    pieces = [(step, json.dumps(histogram(step, 1)).encode()) for step in (20, 3, 100)]
    logged = [("histogram3d", "w/h", step, body) for step, body in pieces]
    logged += [
        ("histogram3d", "w/h", 4, b"[1]"),
        ("histogram3d", "w/h", 5, b""),
        ("histogram3d", "other.json", 1, pieces[0][1]),
    ]
    write_run(tmp_path, logged)
    wire = PiecesOnly(tmp_path)
    wire.lost = {"a4"}
    async with shown(wire) as vfs:
        assert await names(vfs, f"{RUN}/histograms") == ["w", "other.csv"]
        assert wire.asked.count(BODY) == 0
        found = sheet(await read(vfs, f"{RUN}/histograms/w/h.csv"))
        assert found[:3] == [["step", "low", "high", "count"], ["3", "0", "1", "3"], ["3", "1", "2", "1"]]
        shown_steps = [
            ("3", "3"),
            ("3", "1"),
            ("4", ""),
            ("5", ""),
            ("20", "20"),
            ("20", "1"),
            ("100", "100"),
            ("100", "1"),
        ]
        assert steps_of(found) == shown_steps
        assert wire.asked.count(BODY) == 5
        await read(vfs, f"{RUN}/histograms/w/h.csv")
        assert wire.asked.count(BODY) == 5


async def test_a_piece_that_cannot_be_fetched_is_no_empty_row(tmp_path: Path) -> None:
    """The file is an error then: a table that lacks a step because of the network would be kept as the whole one."""
    body = json.dumps(histogram(1)).encode()
    write_run(tmp_path, [("histogram3d", "h", step, body) for step in (1, 2)])
    wire = PiecesOnly(tmp_path)
    wire.unreachable = {"a1"}
    async with shown(wire) as vfs:
        with pytest.raises(Unreachable):
            await read(vfs, f"{RUN}/histograms/h.csv")
        wire.unreachable = set()
        assert steps_of(sheet(await read(vfs, f"{RUN}/histograms/h.csv"))) == [("1", "1"), ("2", "1")]


async def test_a_combined_histogram_is_taken_for_its_pieces(tmp_path: Path) -> None:
    """Where Comet lists both, one file; with what is broken in it as its step alone, and all broken as it is."""
    combined = {"histograms": [{"step": 2, "histogram": histogram(2)}, {"step": 1, "histogram": None}]}
    nothing = b'{"histograms": [{"step": 1, "histogram": []}]}'
    write_run(
        tmp_path,
        [
            ("histogram3d", "h", 1, json.dumps(histogram(1)).encode()),
            ("histogram_combined_3d", "h", None, json.dumps(combined).encode()),
            ("histogram_combined_3d", "nothing", None, nothing),
            ("histogram_combined_3d", "none yet", None, b'{"histograms": []}'),
        ],
    )
    async with shown(PiecesOnly(tmp_path)) as vfs:
        assert await names(vfs, f"{RUN}/histograms") == ["h.csv", "nothing.csv", "none yet.csv"]
        assert steps_of(sheet(await read(vfs, f"{RUN}/histograms/h.csv"))) == [("1", ""), ("2", "2")]
        assert await read(vfs, f"{RUN}/histograms/nothing.csv") == nothing
        assert await read(vfs, f"{RUN}/histograms/none yet.csv") == b"step,low,high,count\n"


async def test_a_piece_alone_that_is_none_is_shown_as_it_is(tmp_path: Path) -> None:
    """There is no other step to show; its own name has its own bytes."""
    write_run(tmp_path / "runs", [("histogram3d", "h", 7, b"words")])
    wire = PiecesOnly(tmp_path / "runs")
    async with shown(wire, tmp_path / "cache") as vfs:
        assert await read(vfs, f"{RUN}/histograms/h.csv") == b"words"
    async with shown(wire, tmp_path / "cache") as vfs:
        assert await names(vfs, f"{RUN}/histograms") == ["h"]
        assert await read(vfs, f"{RUN}/histograms/h") == b"words"
        node = await at(vfs, f"{RUN}/histograms/h")
        assert (await vfs.attributes(node, await at(vfs, f"{RUN}/histograms"))).size == 5
