"""What is told that reading costs, against the calls that it then makes: to the call where the listings are at hand."""

from __future__ import annotations

import pytest

from cometfs.vfs.engine.vfs import Vfs
from cometfs.walking.comet_tree import CometTree
from cometfs.warming.reading import Reading, Result
from tests.inprocess.conftest import BASELINE, FOREST, Wire, at, names

LISTED = ("assets", "metrics")


async def read_whole(vfs: Vfs, path: str) -> Result:
    result = Result()
    await Reading(CometTree(vfs, await at(vfs, path)), result).run()
    assert result.failed == {}
    return result


@pytest.mark.parametrize(
    "path",
    [
        BASELINE,
        FOREST,
        f"{BASELINE}/metrics",
        f"{BASELINE}/plots",
        f"{BASELINE}/images",
        f"{BASELINE}/histograms",
        f"{FOREST}/curves",
        f"{BASELINE}/git",
        f"{BASELINE}/params.json",
        f"{BASELINE}/metadata.json",
        "vision-lab/digits/notes.md",
        "vision-lab/digits/views",
    ],
)
async def test_what_is_told_is_what_it_takes(vfs: Vfs, wire: Wire, path: str) -> None:
    """Of an experiment and of parts of it; afterwards nothing is left to pay."""
    experiment = "/".join(path.split("/")[:3])
    for name in LISTED if path.startswith((BASELINE, FOREST)) else ():
        await names(vfs, f"{experiment}/{name}")
    if path.endswith("views"):
        await names(vfs, "vision-lab/digits/charts")
    node = await at(vfs, path)
    told = await vfs.cost([node], 0)
    before = len(wire.asked)
    assert (told.spent, told.unknown) == (0, ())
    await read_whole(vfs, path)
    taken = len(wire.asked) - before
    # Charts are verified by a metric or two alone.
    assert abs(told.calls - taken) <= (2 if path.endswith("views") else 0), (told, wire.asked[-taken:])
    again = await vfs.cost([node], 0)
    assert again.at_hand == again.files or path.endswith("views")


@pytest.mark.parametrize(("path", "calls"), [("vision-lab/digits", 100), ("tabular", 100), ("vision-lab", 20)])
async def test_where_experiments_differ_it_is_in_the_range(vfs: Vfs, wire: Wire, path: str, calls: int) -> None:
    """One run of the sample has 20,000 steps, others a few; with listings asked for of some experiments alone, too."""
    node = await at(vfs, path)
    before = len(wire.asked)
    told = await vfs.cost([node], calls)
    assert told.spent == len(wire.asked) - before <= calls
    before, had = len(wire.asked), vfs.api.traffic.bytes
    await read_whole(vfs, path)
    taken, came = len(wire.asked) - before, vfs.api.traffic.bytes - had
    assert told.calls_range[0] <= taken <= told.calls_range[1]
    assert told.bytes_range[0] <= came <= told.bytes_range[1]
    assert told.calls_range[1] <= 1.3 * told.calls or told.looked_into


async def test_what_several_share_is_counted_once(vfs: Vfs) -> None:
    """The tables of a project and its experiments are made of the same answers."""
    nodes = [await at(vfs, path) for path in ("vision-lab/digits", "vision-lab/digits/summary", BASELINE)]
    await vfs.cost(nodes, 100)
    alone = [(await vfs.cost([node], 0)).calls for node in nodes]
    assert (await vfs.cost(nodes, 0)).calls == alone[0] < sum(alone)


async def test_of_a_big_project_some_listings_are_asked_for(vfs: Vfs, wire: Wire) -> None:
    """Those that tell most, and what they bring is at hand: to ask again costs less."""
    node = await at(vfs, "vision-lab/digits")
    first = await vfs.cost([node], 7)
    assert first.spent == 7
    assert first.looked_into
    before = len(wire.asked)
    again = await vfs.cost([node], 100)
    assert again.looked_into == {}
    assert len(set(wire.about[before:]) & set(wire.about[:before])) == 0


async def test_no_listing_and_no_calls_is_said(vfs: Vfs) -> None:
    """What is in directories of which nothing is known is not counted, and named."""
    told = await vfs.cost([await at(vfs, BASELINE)], 0)
    assert "<asset>" in told.unknown
