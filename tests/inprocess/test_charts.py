"""Charts of a project: their calls, their size, and what becomes of those that do not fit."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, TypeVar

import pytest
import trio

from cometfs.comet.answers.models import Chart
from cometfs.comet.api import API
from cometfs.comet.http.transport import Transport
from cometfs.composition.assembly import open_vfs
from cometfs.errors import AnswerTooLarge, TooBig
from cometfs.lease import LISTING
from cometfs.vfs.engine.vfs import Vfs
from cometfs.vfs.sources import project_tables
from tests.inprocess.conftest import Wire, at, names, read

T = TypeVar("T")

PROJECT = "vision-lab/digits"
CHART = "experiments/multi-metric-chart"
CHECK = "experiment/metrics/get-metric"
"""Once in a project: of the longest metric, with which the chart is compared."""


async def files(vfs: Vfs) -> dict[str, bytes]:
    """The tables of all metrics, those in folders left out."""
    found = [name for name in await names(vfs, f"{PROJECT}/charts") if name.endswith(".csv")]
    return {name: await read(vfs, f"{PROJECT}/charts/{name}") for name in found}


async def test_the_first_size_in_a_directory_of_charts_brings_all_metrics_together(vfs: Vfs, wire: Wire) -> None:
    """As `ls -l` asks for it, while it has the directory open; tables, pictures and views/best cost nothing then."""
    charts = await at(vfs, f"{PROJECT}/charts")
    listing, _ = await vfs.listings.children(charts)
    vfs.listed(charts)
    wire.asked.clear()
    sizes = {name: (await vfs.attributes(node, charts)).size for name, node in listing.nodes.items() if "." in name}
    assert len(sizes) > 5
    assert wire.asked == [CHART, CHECK]
    assert {name: len(data) for name, data in (await files(vfs)).items()}.items() <= sizes.items()
    await at(vfs, f"{PROJECT}/views/best/validate_loss/min")
    assert wire.asked == [CHART, CHECK]


async def test_one_chart_asks_for_its_metric_alone(vfs: Vfs, wire: Wire) -> None:
    """A program that reads one does not pay for the others."""
    await names(vfs, f"{PROJECT}/charts")
    wire.asked.clear()
    await read(vfs, f"{PROJECT}/charts/validate_loss.csv")
    await read(vfs, f"{PROJECT}/charts/validate_loss.svg")
    await at(vfs, f"{PROJECT}/views/best/validate_loss/max")
    assert wire.asked == [CHART, CHECK]


async def test_a_chart_of_what_has_ended_is_asked_once(
    vfs: Vfs, wire: Wire, autojump_clock: trio.testing.MockClock
) -> None:
    """After the minute that a listing holds, only the listing is asked again."""
    before = await read(vfs, f"{PROJECT}/charts/validate_loss.csv")
    await trio.sleep(2 * LISTING)
    wire.asked.clear()
    assert await read(vfs, f"{PROJECT}/charts/validate_loss.csv") == before
    assert CHART not in wire.asked


async def test_a_refresh_of_a_chart_asks_for_all_its_experiments_again(vfs: Vfs, wire: Wire) -> None:
    """What is kept of each of them is dropped with it."""
    path = f"{PROJECT}/charts/validate_loss.csv"
    above = [await at(vfs, part) for part in (f"{PROJECT}/charts", PROJECT, "vision-lab")]
    before = await read(vfs, path)
    await vfs.refresh(await at(vfs, path), [*above, vfs.root])
    wire.asked.clear()

    def doubled(answer: dict[str, Any]) -> None:
        for chart in answer["experiments"].values():
            for metric in chart["metrics"]:
                metric["values"] = [2 * value for value in metric["values"]]

    wire.edits[CHART] = doubled
    after = await read(vfs, path)
    assert CHART in wire.asked
    assert after != before
    wire.edits.clear()


class _Bounded(API):
    """A Comet whose answers must be small: `most` metrics of experiments in one."""

    most = 1

    async def experiment_metrics_for_chart_as(
        self,
        experiment_keys: Sequence[str],
        metrics: Sequence[str],
        make: Callable[[Chart], T],
        parameters: Sequence[str] = (),
    ) -> dict[str, T]:
        if len(experiment_keys) * len(metrics) > self.most:
            raise AnswerTooLarge("more than an answer may have")
        return await super().experiment_metrics_for_chart_as(experiment_keys, metrics, make, parameters)


@pytest.fixture
async def bounded(wire: Wire) -> AsyncIterator[Vfs]:
    async with _Bounded("key", "http://comet", transport=Transport(wire)) as api, open_vfs(api) as opened:
        yield opened


@pytest.mark.parametrize("most", [1, 3])
async def test_batches_that_are_too_big_are_halved(most: int, bounded: Vfs, vfs: Vfs, wire: Wire) -> None:
    """Down to one metric of one experiment; the bytes are the same."""
    _Bounded.most = most
    charts = await at(bounded, f"{PROJECT}/charts")
    listing, _ = await bounded.listings.children(charts)
    bounded.listed(charts)
    node = listing.nodes["validate_loss.csv"]
    assert (await bounded.attributes(node, charts)).size == len(await read(vfs, f"{PROJECT}/charts/validate_loss.csv"))
    assert await files(bounded) == await files(vfs)


@pytest.mark.parametrize("name", ["validate_loss.csv", "validate_loss.svg"])
async def test_a_body_that_is_not_held_whole_is_asked_for_in_parts(
    vfs: Vfs, wire: Wire, bounded: Vfs, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The limit is that of every call, not one that a test made up."""
    sizes: list[int] = []
    wire.edits[CHART] = lambda answer: sizes.append(len(json.dumps(answer)))
    before = await read(vfs, f"{PROJECT}/charts/{name}")
    await names(bounded, PROJECT)
    await names(bounded, f"{PROJECT}/charts")
    wire.asked.clear()
    _Bounded.most = 1000
    monkeypatch.setattr("cometfs.comet.calls.MOST", sizes[0] * 2 // 3)
    assert await read(bounded, f"{PROJECT}/charts/{name}") == before
    assert wire.asked.count(CHART) > 2


async def test_what_is_too_big_alone_costs_that_chart_only(bounded: Vfs) -> None:
    """And says so; the rest of the project is served."""
    _Bounded.most = 0
    with pytest.raises(AnswerTooLarge):
        await read(bounded, f"{PROJECT}/charts/validate_loss.csv")
    assert json.loads(await read(bounded, f"{PROJECT}/project.json"))


async def test_a_chart_with_too_many_points_is_refused_without_another_call(
    vfs: Vfs, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is remembered as long as a chart; the best are found all the same, one by one."""
    monkeypatch.setattr(project_tables, "MOST", 1000)
    path = f"{PROJECT}/charts/validate_loss"
    with pytest.raises(TooBig, match="validate_loss"):
        await read(vfs, f"{path}.csv")
    wire.asked.clear()
    for suffix in ("csv", "svg"):
        with pytest.raises(TooBig, match="metrics/ of single experiments"):
            await read(vfs, f"{path}.{suffix}")
    assert await vfs.readlink(await at(vfs, f"{PROJECT}/views/best/validate_loss/min"))
    assert wire.asked == []
