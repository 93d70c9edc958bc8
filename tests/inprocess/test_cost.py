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


async def test_a_whole_project_is_told_from_a_few_calls(vfs: Vfs, wire: Wire) -> None:
    """Within a tenth, with listings asked for of some experiments alone."""
    node = await at(vfs, "vision-lab/digits")
    before = len(wire.asked)
    told = await vfs.cost([node], 12)
    assert told.spent == len(wire.asked) - before <= 12
    assert told.looked_into
    before = len(wire.asked)
    await read_whole(vfs, "vision-lab/digits")
    assert abs(told.calls - (len(wire.asked) - before)) <= 0.1 * told.calls


async def test_no_listing_and_no_calls_is_said(vfs: Vfs) -> None:
    """What is in directories of which nothing is known is not counted, and named."""
    told = await vfs.cost([await at(vfs, BASELINE)], 0)
    assert "<asset>" in told.unknown
