"""Histograms of the embedded Comet: one asset for all pieces of a name, as Comet's own clients read it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx

from tests.inprocess.test_logged_tables import KEY, histogram, write_run
from tests.inprocess.test_server_app import REST, answer, asking

COMBINED, PIECE = "histogram_combined_3d", "histogram3d"
EXPERIMENT = {"experimentKey": KEY}


async def listed(client: httpx.AsyncClient, **query: Any) -> list[Any]:
    rows = (await answer(client, "experiment/asset/list", **EXPERIMENT, **query))["assets"]
    return [(row["type"], row["fileName"], row["step"]) for row in rows]


async def body(client: httpx.AsyncClient, row: Any) -> bytes:
    reply = await client.get(f"{REST}experiment/asset/get-asset", params={**EXPERIMENT, "assetId": row["assetId"]})
    assert (reply.status_code, len(reply.content)) == (200, row["fileSize"]), "its size is the listed one"
    return reply.content


async def test_pieces_are_listed_as_one_asset(tmp_path: Path) -> None:
    """Where the first of them was logged; by themselves only where their type is asked for."""
    piece = json.dumps(histogram(1)).encode()
    logged = [("asset", "a", 1, b"a"), *((PIECE, "h", step, piece) for step in (2, 1)), ("asset", "z", 1, b"z")]
    write_run(tmp_path, [*logged, (PIECE, "other", 5, piece), (COMBINED, "theirs", None, b"{}")])
    async with asking(tmp_path) as client:
        assert await listed(client) == [
            ("asset", "a", 1),
            (COMBINED, "h", None),
            ("asset", "z", 1),
            (COMBINED, "other", None),
            (COMBINED, "theirs", None),
        ]
        assert [name for _, name, _ in await listed(client, type=COMBINED)] == ["h", "other", "theirs"]
        assert await listed(client, type=PIECE) == [(PIECE, "h", 2), (PIECE, "h", 1), (PIECE, "other", 5)]
        named = await answer(client, "experiment/asset/get-by-name", **EXPERIMENT, assetName="h")
        (row,) = named["assets"]
        assert (row["type"], row["histogram"]) == (COMBINED, True)
        assert [one["step"] for one in json.loads(await body(client, row))["histograms"]] == [1, 2]
        piece_id = (await answer(client, "experiment/asset/list", **EXPERIMENT, type=PIECE))["assets"][0]
        assert await body(client, piece_id) == piece


async def test_it_has_the_steps_in_order_and_each_piece_as_it_was_logged(tmp_path: Path) -> None:
    """What is no histogram is left out, and the size is still the listed one."""
    pieces: list[tuple[Any, bytes]] = [
        (10, json.dumps(histogram(10, 2)).encode()),
        (None, json.dumps(histogram(0)).encode()),
        (9, b"no json"),
        (2.5, b' {"version": 2,\n "index_values": [[0, 1.50]], "offset": NaN} '),
        (-1, b""),
        (4, b"[1]"),
    ]
    write_run(tmp_path, [(PIECE, "h", step, one) for step, one in pieces])
    async with asking(tmp_path) as client:
        (row,) = (await answer(client, "experiment/asset/list", **EXPERIMENT))["assets"]
        found = await body(client, row)
    steps = [(one["step"], one["histogram"]) for one in json.loads(found)["histograms"]]
    assert [step for step, _ in steps] == [2.5, 10, None]
    assert steps[1][1] == histogram(10, 2)
    assert b'"index_values": [[0, 1.50]]' in found


async def test_of_nothing_that_can_be_read_there_is_an_empty_list(tmp_path: Path) -> None:
    """An asset all the same, for it is listed."""
    write_run(tmp_path, [(PIECE, "h", 1, b"")])
    async with asking(tmp_path) as client:
        (row,) = (await answer(client, "experiment/asset/list", **EXPERIMENT))["assets"]
        assert json.loads(await body(client, row)) == {"histograms": []}
