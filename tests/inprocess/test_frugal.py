"""How few calls a walk through many experiments costs, and that its bytes are those of single calls."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import parse_qs

import httpx
import pytest
import trio.testing

from cometfs.caller import AHEAD, CALLER
from cometfs.comet.api import API
from cometfs.comet.http.breaker import FAILURES
from cometfs.comet.http.transport import Transport
from cometfs.composition.assembly import Cache, open_vfs
from cometfs.errors import AnswerTooLarge
from cometfs.server import sample_directory
from cometfs.server.catalog.catalog import Catalog, open_directory
from cometfs.vfs.answers.resolver import _NothingAhead
from cometfs.vfs.engine.vfs import Vfs
from cometfs.vfs.nodes import Node
from cometfs.vfs.schema.declaration import SAMPLE
from cometfs.vfs.sources.metrics import SPREADS
from cometfs.vfs.sources.parameters import COLUMNS, words_of
from tests.inprocess.conftest import Wire, at, at_rest, names, read
from tests.support.big_assets import write_big_run
from tests.support.differing_runs import write_differing_runs

PROJECT = "vision-lab/digits"
CHARTS = "experiments/multi-metric-chart"


@pytest.fixture(scope="module")
def many() -> Catalog:
    """The sample, every archive 21 times."""
    return open_directory(sample_directory(), 21)


@pytest.fixture
def wire(many: Catalog) -> Wire:
    return Wire(many)


@pytest.fixture
async def alone(many: Catalog) -> AsyncIterator[Vfs]:
    """Another mount, which nobody walks through."""
    async with API("key", "http://comet", transport=Transport(Wire(many))) as api, open_vfs(api) as opened:
        yield opened


async def nodes_of_experiments(vfs: Vfs) -> dict[str, Node]:
    found = await vfs.listings.children(await at(vfs, PROJECT))
    return {name: node for name, node in found[0].nodes.items() if node.at.experiment}


def names_of(directories: dict[str, Node]) -> dict[str, str]:
    """The directories' names by their experiments' keys."""
    return {node.at.experiment["experimentKey"]: name for name, node in directories.items() if node.at.experiment}


async def experiments(vfs: Vfs) -> list[str]:
    return list(await nodes_of_experiments(vfs))


async def test_so_they_do_where_memory_has_no_room_for_the_project(
    wire: Wire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its listing comes from the disk then. It was not found, and each experiment was asked for by itself."""
    monkeypatch.setattr("cometfs.composition.assembly.MEMORY", 150_000)
    async with (
        API("key", "http://comet", transport=Transport(wire)) as api,
        open_vfs(api, cache=Cache(tmp_path, 1 << 30)) as vfs,
    ):
        directories = await nodes_of_experiments(vfs)
        for node in directories.values():  # what `*/` looks at
            await vfs.listings.children(node)
        wire.asked.clear()
        wanted = [read(vfs, f"{PROJECT}/{name}/params.json") for name in directories]
        for one in wanted:
            await one
        assert len(wire.asked) <= 20, Counter(wire.asked)


async def test_parameters_of_many_cost_few_calls(vfs: Vfs, wire: Wire, alone: Vfs) -> None:
    """`cat */params.json`; a second time none at all; bytes as if each had been asked alone."""
    directories = await experiments(vfs)
    assert len(directories) > 100
    wire.asked.clear()
    seen = {name: await read(vfs, f"{PROJECT}/{name}/params.json") for name in directories}
    assert len(wire.asked) <= 12, Counter(wire.asked)
    wire.asked.clear()
    for name in directories:
        assert await read(vfs, f"{PROJECT}/{name}/params.json") == seen[name]
    assert wire.asked == []
    for name in directories[::23]:
        assert await read(alone, f"{PROJECT}/{name}/params.json") == seen[name]


async def test_metrics_of_many_cost_few_calls(vfs: Vfs, wire: Wire, alone: Vfs) -> None:
    """`grep -r loss */metrics/`; bytes as if each had been asked alone."""
    directories = await nodes_of_experiments(vfs)
    wire.asked.clear()
    seen = {}
    for name in directories:
        for metric in await names(vfs, f"{PROJECT}/{name}/metrics"):
            path = f"{PROJECT}/{name}/metrics/{metric}"
            if metric.endswith(".csv"):
                seen[path] = await read(vfs, path)
    assert 0 < wire.asked.count(CHARTS) <= 6, Counter(wire.asked)
    singly = [question for question in wire.about if question[0].startswith("experiment/")]
    assert len(set(singly)) == len(singly), "what was asked of an experiment was asked again"
    # Names, the metric wanted first, and all metrics of each.
    by_key, queries = names_of(directories), [parse_qs(query) for _, query in singly]
    asked_of = Counter(by_key[query["experimentKey"][0]] for query in queries)
    assert max(asked_of.values()) <= 3, asked_of
    # Those of 20,000 points are beyond what a chart tells. Of the others only the first of a walk.
    assert len([name for name in asked_of if not name.startswith("sgd-20k")]) <= 8, asked_of
    # No experiment was asked for a metric of those before it that it has not.
    single = [(by_key[query["experimentKey"][0]], query["metricName"][0]) for query in queries if "metricName" in query]
    assert all(f"{PROJECT}/{name}/metrics/{metric}.csv" in seen for name, metric in single), single
    for path in list(seen)[:: len(seen) // 40]:
        assert await read(alone, path) == seen[path]


SUMMARY = "experiment/metrics/summary"
GET_METRIC = "experiment/metrics/get-metric"


async def test_summaries_of_many_cost_few_calls(vfs: Vfs, wire: Wire, alone: Vfs) -> None:
    """`cat */metrics.json`; bytes as if each had been asked alone; then the table asks for none of it again."""
    directories = await experiments(vfs)
    wire.asked.clear()
    seen = {name: await read(vfs, f"{PROJECT}/{name}/metrics.json") for name in directories}
    # Three before the walk is one; those of 20,000 points, of which a chart tells a sample; one a project for the rule.
    singly = [name for name in directories if name.startswith("sgd-20k")]
    assert wire.asked.count(SUMMARY) <= 4 + len(singly), Counter(wire.asked)
    assert 0 < wire.asked.count(CHARTS) <= 6, Counter(wire.asked)
    wire.asked.clear()
    assert await read(vfs, f"{PROJECT}/summary/experiments.csv")
    assert wire.asked.count(SUMMARY) <= 4 + len(singly), Counter(wire.asked)
    for name in directories:
        assert await read(alone, f"{PROJECT}/{name}/metrics.json") == seen[name]


async def test_summaries_cost_nothing_after_the_table(vfs: Vfs, wire: Wire, alone: Vfs) -> None:
    """It has asked for all of it."""
    directories = await experiments(vfs)
    assert await read(vfs, f"{PROJECT}/summary/experiments.csv")
    wire.asked.clear()
    seen = {name: await read(vfs, f"{PROJECT}/{name}/metrics.json") for name in directories}
    assert wire.asked == []
    for name in directories[::10]:
        assert await read(alone, f"{PROJECT}/{name}/metrics.json") == seen[name]


def tell_the_last_of_equal_values(answer: dict[str, list[dict[str, str]]]) -> None:
    for row in answer["values"]:
        for bound in ("Min", "Max"):
            if row[f"value{bound}"] == row["valueCurrent"]:
                row[f"step{bound}"] = row["stepCurrent"]


async def test_which_of_equal_values_counts_is_not_guessed(vfs: Vfs, wire: Wire) -> None:
    """A server whose summaries tell the last of them is believed; the values are still taken from its charts."""
    wire.edits[SUMMARY] = tell_the_last_of_equal_values
    directories = await experiments(vfs)
    assert await read(vfs, f"{PROJECT}/summary/experiments.csv")
    assert wire.asked.count(SUMMARY) < len(directories) / 2
    seen = {name: await read(vfs, f"{PROJECT}/{name}/metrics.json") for name in directories}
    async with API("key", "http://comet", transport=Transport(wire)) as api, open_vfs(api) as other:
        for name in directories[::7]:
            assert await read(other, f"{PROJECT}/{name}/metrics.json") == seen[name]


@pytest.mark.parametrize("file", ["metrics/train_loss.csv", "plots/train_loss.svg"])
async def test_no_experiment_is_asked_ahead_for_a_metric_that_it_lacks(vfs: Vfs, wire: Wire, file: str) -> None:
    """`cat */metrics/train_loss.csv`, where those that come next have other metrics."""
    directories = await experiments(vfs)
    for name in directories:
        await names(vfs, f"{PROJECT}/{name}/metrics")
    *_, last = (place for place, name in enumerate(directories) if name.startswith("mlp-"))
    assert last + 1 < len(directories)
    by_key = names_of(await nodes_of_experiments(vfs))
    asked = len(wire.about)
    for name in directories[last - 5 : last + 1]:
        assert await read(vfs, f"{PROJECT}/{name}/{file}")
    await at_rest()
    # Three before the walk is one, a chart for all others and its longest metric to compare it with, a summary for the
    # rule that which of equal values counts.
    assert Counter(endpoint for endpoint, _ in wire.about[asked:]) <= Counter({GET_METRIC: 4, CHARTS: 1, SUMMARY: 1})
    single = [parse_qs(query) for endpoint, query in wire.about[asked:] if endpoint == GET_METRIC]
    assert {by_key[query["experimentKey"][0]].partition("-")[0] for query in single} == {"mlp"}


@pytest.mark.parametrize("file", ["metrics/train_loss.csv", "plots/train_loss.svg"])
async def test_a_metric_costs_nothing_where_a_batch_brought_it(vfs: Vfs, wire: Wire, file: str) -> None:
    """`cat */metrics.json`, and then a metric of each."""
    directories = [name for name in await experiments(vfs) if name.startswith("mlp-")]
    for name in directories:
        await read(vfs, f"{PROJECT}/{name}/metrics.json")
        await names(vfs, f"{PROJECT}/{name}/metrics")
    await at_rest()
    wire.asked.clear()
    for name in directories[-6:]:
        assert await read(vfs, f"{PROJECT}/{name}/{file}")
    await at_rest()
    assert wire.asked == []


async def test_points_that_are_at_hand_are_not_asked_for_again(vfs: Vfs, wire: Wire) -> None:
    """Of some experiments a batch brings points and no summary: a second walk through the points wants none."""
    directories = await experiments(vfs)
    for _ in range(2):
        wire.asked.clear()
        for name in directories:
            await read(vfs, f"{PROJECT}/{name}/metrics/train_loss.csv") if name.startswith("mlp") else None
            vfs._answers.store.drop(SPREADS.key((await at(vfs, f"{PROJECT}/{name}")).at))
        await at_rest()
    assert wire.asked == []


async def test_names_of_metrics_cost_no_points(vfs: Vfs, wire: Wire, alone: Vfs) -> None:
    """`ls */metrics`: a query for each metric of the project, which tells all experiments that have it."""
    directories = await experiments(vfs)
    columns = await vfs._answers.ask(COLUMNS, (await at(vfs, PROJECT)).at)
    wire.asked.clear()
    seen = {name: await names(vfs, f"{PROJECT}/{name}/metrics") for name in directories}
    assert set(wire.asked) == {SUMMARY, "project/query"}
    assert wire.asked.count("project/query") == len(words_of("metrics", columns.value))
    assert wire.asked.count(SUMMARY) <= 6
    for name in directories[::10]:
        assert await names(alone, f"{PROJECT}/{name}/metrics") == seen[name]


@pytest.mark.parametrize("many_metrics", [False, True])
async def test_names_of_metrics_come_with_points_where_queries_are_no_way(
    vfs: Vfs, wire: Wire, alone: Vfs, many_metrics: bool
) -> None:
    """On a server without them, and in a project of more metrics than are worth a query each."""
    if many_metrics:
        more = [{"name": f"metric-{n}", "source": "metrics", "type": "double", "id": str(n)} for n in range(30)]
        wire.edits["project/column-names"] = lambda answer: answer["columns"].extend(more)
    else:
        wire.lacking.add("project/query")
    directories = await experiments(vfs)
    seen = {name: await names(vfs, f"{PROJECT}/{name}/metrics") for name in directories}
    assert 0 < wire.asked.count(CHARTS) <= 8, Counter(wire.asked)
    assert wire.asked.count("project/query") <= (0 if many_metrics else 11)
    for name in directories[::10]:
        assert await names(alone, f"{PROJECT}/{name}/metrics") == seen[name]


async def test_what_ended_since_the_queries_is_asked_about_again(
    vfs: Vfs, wire: Wire, mock_clock: trio.testing.MockClock
) -> None:
    """What tells who has which metric is never older than the listing that tells who has ended."""
    await experiments(vfs)
    mock_clock.jump(30)
    for name in (await experiments(vfs))[:6]:
        await names(vfs, f"{PROJECT}/{name}/metrics")
    assert wire.asked.count("experiments") == 1
    queries = wire.asked.count("project/query")
    mock_clock.jump(31)
    for name in (await experiments(vfs))[30:36]:
        await names(vfs, f"{PROJECT}/{name}/metrics")
    assert wire.asked.count("experiments") == 2
    assert wire.asked.count("project/query") == 2 * queries > 0


async def test_the_table_of_many_costs_few_calls(vfs: Vfs, wire: Wire) -> None:
    """`experiments.csv`; every value is that of the files of each experiment."""
    directories = await experiments(vfs)
    wire.asked.clear()
    table = (await read(vfs, f"{PROJECT}/summary/experiments.csv")).decode().splitlines()
    counts = Counter(wire.asked)
    # Those of 20,000 points are asked one by one for their summaries, of which a chart tells a sample.
    singly = sum(name.startswith("sgd-20k") for name in directories)
    assert counts.total() - singly <= 25, counts
    assert len(table) > 100


@pytest.mark.logs("tells other than")
async def test_a_batch_that_tells_otherwise_is_not_believed(
    vfs: Vfs, wire: Wire, alone: Vfs, caplog: pytest.LogCaptureFixture
) -> None:
    """What single calls said is right; the project is asked one by one."""

    def lie(answer: dict[str, dict[str, dict[str, dict[str, str]]]]) -> None:
        for chart in answer["experiments"].values():
            chart["params"] = dict.fromkeys(chart["params"] or {}, "42")

    wire.edits[CHARTS] = lie
    directories = (await experiments(vfs))[:30]
    for name in directories:
        assert await read(vfs, f"{PROJECT}/{name}/params.json") == await read(alone, f"{PROJECT}/{name}/params.json")
    assert wire.asked.count(CHARTS) == 1


async def test_one_metric_costs_one_call_and_several_of_an_experiment_two(vfs: Vfs, wire: Wire) -> None:
    """The first alone, the second brings all others."""
    folder = f"{PROJECT}/mlp-baseline/metrics"
    metrics = [name for name in await names(vfs, folder) if name.endswith(".csv")]
    assert len(metrics) > 3
    wire.asked.clear()
    for name in metrics:
        await read(vfs, f"{folder}/{name}")
    assert wire.asked == ["experiment/metrics/get-metric", "experiment/metrics/get-all"]


ALL_POINTS = "experiment/metrics/get-all"
ONE_METRIC = "experiment/metrics/get-metric"


async def test_more_points_than_fit_into_one_answer_are_asked_by_metric(
    vfs: Vfs, wire: Wire, alone: Vfs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That they do not fit is remembered; the bytes are those of an answer that fits."""
    folder = f"{PROJECT}/mlp-baseline/metrics"
    metrics = [name for name in await names(vfs, folder) if name.endswith(".csv")]
    seen = {name: await read(alone, f"{folder}/{name}") for name in metrics}
    wire.asked.clear()
    monkeypatch.setattr("cometfs.comet.calls.MOST", 60_000)
    assert {name: await read(vfs, f"{folder}/{name}") for name in metrics} == seen
    assert Counter(wire.asked) == {ONE_METRIC: len(metrics), ALL_POINTS: 1}
    whole = f"{PROJECT}/mlp-baseline/.api/experiment_metric.json"
    with pytest.raises(AnswerTooLarge):
        await read(vfs, whole)


async def test_where_neither_answer_about_all_metrics_can_be_had_each_is_asked(
    vfs: Vfs, wire: Wire, alone: Vfs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server without `get-all`, and points that do not fit into a chart either: no metric is refused for that."""
    folder = f"{PROJECT}/mlp-baseline/metrics"
    metrics = [name for name in await names(vfs, folder) if name.endswith(".csv")]
    seen = {name: await read(alone, f"{folder}/{name}") for name in metrics}
    wire.lacking = {ALL_POINTS}
    wire.edits[CHARTS] = lambda answer: answer.update(more="." * 60_000)
    wire.asked.clear()
    monkeypatch.setattr("cometfs.comet.calls.MOST", 60_000)
    assert {name: await read(vfs, f"{folder}/{name}") for name in metrics} == seen
    assert Counter(wire.asked) == {ONE_METRIC: len(metrics), ALL_POINTS: 1, CHARTS: 1}


async def test_a_batch_that_is_too_large_costs_one_call(
    vfs: Vfs, wire: Wire, alone: Vfs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each experiment of it is asked by itself, and the next batches are smaller, until they fit."""
    directories = (await experiments(vfs))[:60]
    await names(vfs, f"{PROJECT}/{directories[0]}/metrics")
    monkeypatch.setattr("cometfs.comet.calls.MOST", 250_000)
    wire.asked.clear()
    for name in directories:
        path = f"{PROJECT}/{name}/metrics.json"
        assert await read(vfs, path) == await read(alone, path)
    assert 1 < wire.asked.count(CHARTS) < 15, Counter(wire.asked)
    assert wire.asked.count("experiment/metrics/summary") < 50


async def test_looking_at_one_experiment_triggers_nothing(vfs: Vfs, wire: Wire) -> None:
    """One read, one call."""
    name = (await experiments(vfs))[50]
    wire.asked.clear()
    body = await read(vfs, f"{PROJECT}/{name}/params.json")
    assert json.loads(body)
    assert wire.asked == ["experiment/parameters"]


async def test_what_a_batch_leaves_out_is_in_no_other(tmp_path: Path) -> None:
    """Runs without parameters, among others: each is asked by itself, and not with the next ones again."""
    write_differing_runs(tmp_path)
    write_big_run(tmp_path, {})
    wire = Wire(open_directory(tmp_path, 8))
    async with API("key", "http://comet", transport=Transport(wire)) as api, open_vfs(api) as vfs:
        paths = [f"ws/p/{name}/params.json" for name in await names(vfs, "ws/p") if name.startswith("run")]
        await vfs.concurrent.gather([await at(vfs, path) for path in paths])
        for path in paths:
            await read(vfs, path)
    assert Counter(wire.asked)["experiment/parameters"] == 8 + SAMPLE - 1, "the first has none, too"
    assert Counter(wire.asked)[CHARTS] == 2


class BrieflyAway(Wire):
    """It takes no connection for a search, as often as a call is tried."""

    left = FAILURES

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/experiments/search") and self.left:
            self.left -= 1
            raise httpx.ConnectError("connection refused", request=request)
        return await super().handle_async_request(request)


async def test_a_moment_without_network_costs_no_call_for_each(many: Catalog) -> None:
    """A batch that could not be sent says nothing about batches: it is asked again."""
    wire = BrieflyAway(many)
    async with API("key", "http://comet", transport=Transport(wire)) as api, open_vfs(api) as vfs:
        table = await read(vfs, f"{PROJECT}/summary/experiments.csv")
    assert table.count(b"\n") > 100
    assert not wire.left
    asked = Counter(wire.asked)
    assert asked["experiments/search"] == 1
    assert asked["experiment/log-other"] <= 2 * SAMPLE


async def test_what_the_listing_tells_is_not_asked(vfs: Vfs, wire: Wire) -> None:
    """The metadata of an experiment that has ended, and that no experiment of a project has a tag."""
    directories = await experiments(vfs)
    wire.asked.clear()
    for name in directories[:10]:
        assert json.loads(await read(vfs, f"{PROJECT}/{name}/metadata.json"))["running"] is False
    assert wire.asked == []


async def test_tags_of_a_project_without_any_cost_three_calls(vfs: Vfs, wire: Wire) -> None:
    """Those that were asked before anybody could know; the columns tell of the others."""
    wire.edits["project/column-names"] = lambda answer: answer.update(
        columns=[column for column in answer["columns"] if column["source"] != "tag"]
    )
    wire.edits["experiment/tags"] = lambda answer: answer.update(tags=[])
    directories = await experiments(vfs)
    wire.asked.clear()
    for name in directories[:40]:
        if "tags.txt" in await names(vfs, f"{PROJECT}/{name}"):
            assert await read(vfs, f"{PROJECT}/{name}/tags.txt") == b""
    # The third reader's own question and what is asked ahead of him are under way at the same time.
    assert Counter(wire.asked) == {"experiment/tags": 3, "project/column-names": 1}


async def test_several_metrics_of_one_experiment_mean_several_of_the_next(vfs: Vfs, wire: Wire) -> None:
    """The second experiment costs its one call for all."""
    wire.asked.clear()
    for name in (await experiments(vfs))[20:22]:
        for metric in [one for one in await names(vfs, f"{PROJECT}/{name}/metrics") if one.endswith(".csv")]:
            await read(vfs, f"{PROJECT}/{name}/metrics/{metric}")
    counts = Counter(wire.asked)
    assert counts["experiment/metrics/get-metric"] == 1
    assert counts["experiment/metrics/get-all"] == 2


async def test_assets_of_one_name_are_fetched_ahead(vfs: Vfs, wire: Wire) -> None:
    """`cat */assets/NAME`: the bytes of each, none twice, and those ahead before anybody asks."""
    directories = await experiments(vfs)
    (asset,) = [name for name in await names(vfs, f"{PROJECT}/mlp-baseline/assets") if name.startswith("confusion")]
    found = [name for name in directories if asset in await names(vfs, f"{PROJECT}/{name}/assets")]
    wire.asked.clear()
    for name in found[:3]:
        assert await read(vfs, f"{PROJECT}/{name}/assets/{asset}")
    await at_rest()
    assert wire.asked.count("experiment/asset/get-asset") > 3
    for name in found:
        assert await read(vfs, f"{PROJECT}/{name}/assets/{asset}")
    assert wire.asked.count("experiment/asset/get-asset") == len(found)


async def test_what_repeats_other_files_is_in_no_listing(vfs: Vfs) -> None:
    """It is there when it is named."""
    place = f"{PROJECT}/mlp-baseline"
    assert ".api" not in await names(vfs, place)
    assert "experiment_tags.json" in await names(vfs, f"{place}/.api")


@pytest.mark.logs("bug in what no program waits for")
async def test_a_bug_in_what_is_fetched_ahead_is_no_readers_affair(vfs: Vfs, wire: Wire) -> None:
    """The walk goes on, and so does the mount: each file is asked for by itself."""
    directories = (await experiments(vfs))[:12]

    def fail(_answer: object) -> None:
        if wire.asked.count("experiment/others-failing") == 0 and CALLER.get() is AHEAD:
            wire.asked.append("experiment/others-failing")
            raise ZeroDivisionError

    wire.edits["experiment/log-other"] = fail
    for name in directories:
        with suppress(ZeroDivisionError):
            assert await read(vfs, f"{PROJECT}/{name}/others.json")
        await at_rest()
    assert "experiment/others-failing" in wire.asked
    assert await read(vfs, f"{PROJECT}/{directories[-1]}/others.json")


async def test_a_batch_knows_names_that_are_newer_than_the_listing(
    vfs: Vfs, wire: Wire, autojump_clock: trio.testing.MockClock
) -> None:
    """Who has ended since the names were asked for may have logged another one: it must not be missing for a day."""
    directories = await experiments(vfs)
    await trio.sleep(40)
    await names(vfs, f"{PROJECT}/charts")
    await trio.sleep(21)
    directories = await experiments(vfs)
    assert wire.asked.count("experiments") == 2
    assert wire.asked.count("project/column-names") == 1
    for name in directories[:6]:
        await read(vfs, f"{PROJECT}/{name}/params.json")
    assert CHARTS in wire.asked
    assert wire.asked.count("project/column-names") == 2


async def test_a_metric_that_get_all_leaves_out_is_asked_by_itself(vfs: Vfs, wire: Wire, alone: Vfs) -> None:
    """Never an empty file."""
    wire.edits["experiment/metrics/get-all"] = lambda answer: answer.update(metrics=[])
    folder = f"{PROJECT}/mlp-baseline/metrics"
    for metric in [name for name in await names(vfs, folder) if name.endswith(".csv")]:
        assert await read(vfs, f"{folder}/{metric}") == await read(alone, f"{folder}/{metric}")


async def test_answers_need_no_prefetcher(vfs: Vfs, wire: Wire, alone: Vfs) -> None:
    """A resolver that nothing is built over answers the same, each experiment by itself and none ahead."""
    vfs._answers.ahead = _NothingAhead()
    directories = (await experiments(vfs))[:8]
    wire.asked.clear()
    for name in directories:
        path = f"{PROJECT}/{name}/params.json"
        assert await read(vfs, path) == await read(alone, path)
    await at_rest()
    assert wire.asked == ["experiment/parameters"] * len(directories)
