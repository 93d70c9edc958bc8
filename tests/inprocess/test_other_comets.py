"""What the tree makes of a Comet that differs (support/comet_switches.py): the same bytes, by other calls.

Not here: the same through the kernel (mount/test_other_comets.py).
"""

from __future__ import annotations

import json
import math
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

import httpx
import pytest
import trio
import trio.testing

from cometfs.comet.api import API
from cometfs.comet.http.transport import Transport
from cometfs.composition.assembly import open_vfs
from cometfs.errors import KeyRejected, NotAllowed, Throttled, Unreachable
from cometfs.server import sample_directory
from cometfs.server.catalog.catalog import Catalog, open_directory
from cometfs.vfs.engine.vfs import Vfs
from tests.inprocess.conftest import Wire, at, names, read, until_used_again

T = TypeVar("T")

PROJECT = "vision-lab/digits"
GET_ALL, ONE_METRIC = "experiment/metrics/get-all", "experiment/metrics/get-metric"
CHART = "experiments/multi-metric-chart"

Layer = Callable[[httpx.Request, dict[str, Any]], httpx.Response | None]
"""From a request and what it posts to an answer of its own, if any. It may change what is posted."""


class Differing(Wire):
    """A Comet before which layers stand."""

    def __init__(self, index: Catalog) -> None:
        super().__init__(index)
        self.layers: list[Layer] = []
        self.stalling: set[str] = set()
        self.stalls_above = math.inf
        """Experiments in a chart beyond which there is no answer."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        endpoint = request.url.path.removeprefix("/api/rest/v2/")
        posted = json.loads(await request.aread() or b"{}")
        asked = httpx.Request(request.method, request.url, headers=_plain(request), json=posted) if posted else request
        for layer in self.layers:
            answer = layer(asked, posted)
            if answer is not None:
                self.asked.append(endpoint)
                return answer
        if endpoint in self.stalling or len(posted.get("targetedExperiments", ())) > self.stalls_above:
            self.asked.append(endpoint)
            await trio.sleep_forever()
        if posted:
            asked = httpx.Request(request.method, request.url, headers=_plain(request), json=posted)
        return await super().handle_async_request(asked)


def _plain(request: httpx.Request) -> dict[str, str]:
    return {name: text for name, text in request.headers.items() if name not in ("content-length", "content-type")}


def answering(endpoint: str, status: int, body: bytes = b"", kind: str = "application/json") -> Layer:
    """That endpoint fails."""

    def layer(request: httpx.Request, _posted: dict[str, Any]) -> httpx.Response | None:
        if request.url.path.removeprefix("/api/rest/v2/") != endpoint:
            return None
        return httpx.Response(status, content=body, headers={"Content-Type": kind})

    return layer


@pytest.fixture(scope="module")
def many() -> Catalog:
    """The sample, every archive four times: 20 experiments of a project."""
    return open_directory(sample_directory(), 4)


@pytest.fixture
def wire(many: Catalog) -> Differing:
    return Differing(many)


@pytest.fixture
async def vfs(wire: Differing) -> AsyncIterator[Vfs]:
    async with API("key", "http://comet", transport=Transport(wire)) as api, open_vfs(api) as opened:
        yield opened


@pytest.fixture
async def plain(many: Catalog) -> AsyncIterator[Vfs]:
    """A mount of one that does not differ."""
    async with API("key", "http://comet", transport=Transport(Wire(many))) as api, open_vfs(api) as opened:
        yield opened


async def experiments(vfs: Vfs) -> list[str]:
    """The directories of a project's experiments that have metrics."""
    listing, _ = await vfs.listings.children(await at(vfs, PROJECT))
    directories = [name for name, node in listing.nodes.items() if node.at.experiment]
    return [name for name in directories if "metrics" in await names(vfs, f"{PROJECT}/{name}")]


async def metrics_of(vfs: Vfs, experiment: str) -> dict[str, bytes]:
    folder = f"{PROJECT}/{experiment}/metrics"
    found = [name for name in await names(vfs, folder) if name.endswith(".csv")]
    return {name: await read(vfs, f"{folder}/{name}") for name in found}


async def within(seconds: float, clock: trio.testing.MockClock, ask: Callable[[], Awaitable[T]]) -> T:
    """What `ask` returns before so many seconds have passed, in which all that can go on does."""
    found: list[T] = []

    async def one() -> None:
        found.append(await ask())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(one)
        for _ in range(math.ceil(seconds)):
            await settled()
            clock.jump(0 if found else 1)
        await settled()
        assert found
    return found[0]


async def settled() -> None:
    """Returns when all tasks wait, and none of them for a thread; by a clock that stands still."""
    await trio.testing.wait_all_tasks_blocked()
    while trio.to_thread.current_default_thread_limiter().borrowed_tokens:
        time.sleep(0.001)  # noqa: ASYNC251 - threads go on meanwhile
        await trio.testing.wait_all_tasks_blocked()


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No wait between the tries of a call."""
    monkeypatch.setattr("cometfs.comet.calls.backoff", lambda *_: 0.0)


# -- all points of an experiment in one answer -------------------------------------------------------------------------

COMET_404 = b'{"msg": "no such endpoint", "code": 404}'
FAILING = [
    (504, b""),
    (403, b'{"msg": "not allowed", "code": 403}'),
    (400, b"<html>"),
    (200, b"<html>"),
    (500, b""),
    (404, b""),
    (404, COMET_404),
    (413, b""),
]


@pytest.mark.parametrize("charts", ["charts", "no charts"])
@pytest.mark.parametrize(("status", "body"), FAILING)
async def test_where_get_all_fails_each_metric_is_there(
    vfs: Vfs, plain: Vfs, wire: Differing, status: int, body: bytes, charts: str
) -> None:
    """The second metric of an experiment brings all by a chart; without charts each is a call. It is remembered."""
    wire.layers.append(answering(GET_ALL, status, body))
    if charts == "no charts":
        wire.layers.append(answering(CHART, 500))
    first = await metrics_of(vfs, "mlp-baseline")
    assert first == await metrics_of(plain, "mlp-baseline")
    assert len(first) > 5
    asked = Counter(wire.asked)
    assert asked[GET_ALL] <= 4, "the tries of one call"
    assert asked[ONE_METRIC] == (2 if charts == "charts" else len(first))
    for name in (await experiments(plain))[:8]:
        assert await metrics_of(vfs, name) == await metrics_of(plain, name)
    assert wire.asked.count(GET_ALL) <= 2 * 4, "after two experiments the project is not asked any more"
    assert charts == "charts" or wire.asked.count(CHART) <= 2 * 4 + 12, "neither for a chart; 12: batches of several"


async def test_a_get_all_that_stalls_costs_ten_seconds_of_one_experiment(
    vfs: Vfs, plain: Vfs, wire: Differing, mock_clock: trio.testing.MockClock
) -> None:
    """A program's read has thirty."""
    wire.stalling.add(GET_ALL)
    expected = await metrics_of(plain, "mlp-baseline")
    assert await within(10, mock_clock, lambda: metrics_of(vfs, "mlp-baseline")) == expected
    assert wire.asked.count(GET_ALL) == 1


@pytest.mark.parametrize(("status", "error"), [(401, KeyRejected), (429, Throttled)])
async def test_a_rejected_key_and_a_429_are_what_they_are(
    vfs: Vfs, wire: Differing, status: int, error: type[Exception]
) -> None:
    """No other call is made because of them, and nothing is remembered."""
    refused = answering(GET_ALL, status, b'{"msg": "no", "code": 1}')
    folder = f"{PROJECT}/mlp-baseline/metrics"
    first, *rest = [name for name in await names(vfs, folder) if name.endswith(".csv")]
    await read(vfs, f"{folder}/{first}")
    wire.layers.append(refused)
    wire.asked.clear()
    with pytest.raises(error):
        await read(vfs, f"{folder}/{rest[0]}")
    assert set(wire.asked) == {GET_ALL}
    wire.layers.clear()
    wire.asked.clear()
    for name in rest:
        await read(vfs, f"{folder}/{name}")
    assert wire.asked == [GET_ALL]


async def test_a_network_that_is_away_is_not_remembered(vfs: Vfs, wire: Differing) -> None:
    """No call worked, so nothing is known of one of them."""
    folder = f"{PROJECT}/mlp-baseline/metrics"
    first, *rest = [name for name in await names(vfs, folder) if name.endswith(".csv")]
    await read(vfs, f"{folder}/{first}")
    wire.failing = True
    for name in rest[:3]:
        with pytest.raises(Unreachable):
            await read(vfs, f"{folder}/{name}")
    wire.failing = False
    await until_used_again(vfs._answers.api)
    wire.asked.clear()
    for name in rest:
        await read(vfs, f"{folder}/{name}")
    assert wire.asked == [GET_ALL]


async def test_every_point_is_there_without_get_all(vfs: Vfs, plain: Vfs, wire: Differing) -> None:
    """`.api/experiment_metric.json` is made of single calls; so is what `API.experiment_metric` answers."""
    wire.layers.append(answering(GET_ALL, 403, b'{"msg": "not allowed", "code": 403}'))
    path = f"{PROJECT}/mlp-baseline/.api/experiment_metric.json"

    def ordered(body: bytes) -> list[str]:
        return sorted(json.dumps(point, sort_keys=True) for point in json.loads(body))

    assert ordered(await read(vfs, path)) == ordered(await read(plain, path))
    key = json.loads(await read(plain, f"{PROJECT}/mlp-baseline/metadata.json"))["experimentKey"]
    api = vfs._answers.api
    assert len(await api.experiment_metric(key)) == len(await plain._answers.api.experiment_metric(key))
    with pytest.raises(NotAllowed):
        await api.experiment_every_point(key)


# -- charts ------------------------------------------------------------------------------------------------------------

TABLE = f"{PROJECT}/summary/experiments.csv"
CURVE = f"{PROJECT}/charts/validate_loss.csv"


def charts_above(most: int, status: int = 504) -> Layer:
    def layer(_request: httpx.Request, posted: dict[str, Any]) -> httpx.Response | None:
        return httpx.Response(status) if len(posted.get("targetedExperiments", ())) > most else None

    return layer


def sampled(_request: httpx.Request, posted: dict[str, Any]) -> None:
    if "fetchFull" in posted:
        posted["fetchFull"] = False


@pytest.mark.parametrize("status", [500, 504, 403, 400, 404])
@pytest.mark.parametrize("most", [0, 1, 3, 8])
async def test_charts_that_fail_are_halved(vfs: Vfs, plain: Vfs, wire: Differing, most: int, status: int) -> None:
    """To the size that is answered, which is remembered; below one, each metric is asked by itself."""
    wire.layers.append(charts_above(most, status))
    assert await read(vfs, CURVE) == await read(plain, CURVE)
    calls = Counter(wire.asked)
    assert calls[CHART] <= 2 * 5 + 20 / max(most, 1) + 5
    await at(vfs, f"{PROJECT}/views/best/validate_loss/min")
    assert Counter(wire.asked) == calls, "views/best shares the answer"
    wire.asked.clear()
    other = CURVE.replace("validate_loss", "train_loss")
    assert await read(vfs, other) == await read(plain, other)
    assert wire.asked.count(CHART) <= (0 if most == 0 else 2 * 20 / most), "the size is remembered"


async def test_charts_that_stall_are_given_up_after_two(
    vfs: Vfs, plain: Vfs, wire: Differing, mock_clock: trio.testing.MockClock
) -> None:
    """Within the thirty seconds that a read has, and the next one does not wait."""
    expected = {name: await read(plain, CURVE.replace("validate", name)) for name in ("validate", "train")}
    wire.stalling.add(CHART)
    assert await within(21, mock_clock, lambda: read(vfs, CURVE)) == expected["validate"]
    assert wire.asked.count(CHART) == 2
    assert await within(1, mock_clock, lambda: read(vfs, CURVE.replace("validate", "train"))) == expected["train"]
    assert wire.asked.count(CHART) == 2


async def test_charts_that_were_answered_are_asked_about_fewer_where_they_stall(
    vfs: Vfs, plain: Vfs, wire: Differing, mock_clock: trio.testing.MockClock
) -> None:
    """A server with much to do is not asked for each metric of each experiment instead."""
    other = CURVE.replace("validate", "train")
    expected = await read(plain, other)
    await read(vfs, CURVE)
    wire.asked.clear()
    wire.stalls_above = 8
    assert await within(29, mock_clock, lambda: read(vfs, other)) == expected
    assert wire.asked.count(CHART) <= 8
    assert wire.asked.count(ONE_METRIC) <= 2, "by which charts are verified"


@pytest.mark.parametrize("most", [0, 1, 6])
async def test_the_table_is_there_whatever_charts_do(vfs: Vfs, plain: Vfs, wire: Differing, most: int) -> None:
    """Batches of the prefetcher are halved, too, and given up."""
    wire.layers.append(charts_above(most))
    assert await read(vfs, TABLE) == await read(plain, TABLE)
    assert wire.asked.count(CHART) < 20


async def test_the_table_does_not_wait_for_charts_that_stall(
    vfs: Vfs, plain: Vfs, wire: Differing, mock_clock: trio.testing.MockClock
) -> None:
    expected = await read(plain, TABLE)
    wire.stalling.add(CHART)
    assert await within(29, mock_clock, lambda: read(vfs, TABLE)) == expected


@pytest.mark.parametrize("switch", [sampled, None])
async def test_a_chart_is_believed_up_to_what_was_checked(
    vfs: Vfs, plain: Vfs, wire: Differing, monkeypatch: pytest.MonkeyPatch, switch: Layer | None
) -> None:
    """A server that answers a sample, though all points are wanted: short metrics are whole, and verify nothing."""
    expected = {path: await read(plain, path) for path in (CURVE, CURVE.replace("validate", "train"), TABLE)}
    if switch:
        monkeypatch.setattr("cometfs.server.read_api.charts.SAMPLE", 40)
        wire.layers.append(switch)
    for path, body in expected.items():
        assert await read(vfs, path) == body
    for name in (await experiments(plain))[:8]:
        assert await metrics_of(vfs, name) == await metrics_of(plain, name)
    if not switch:
        assert wire.asked.count(ONE_METRIC) < 8


async def test_the_metrics_of_each_experiment_are_whole_where_charts_are_samples(
    vfs: Vfs, plain: Vfs, wire: Differing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`cat */metrics/x.csv`, which is prefetched, and `*/metrics.json`."""
    monkeypatch.setattr("cometfs.server.read_api.charts.SAMPLE", 40)
    wire.layers.append(sampled)
    for file in ("metrics/train_loss.csv", "metrics.json"):
        for name in await experiments(plain):
            if file.rpartition("/")[2] in await names(plain, f"{PROJECT}/{name}/{file.rpartition('/')[0]}".rstrip("/")):
                path = f"{PROJECT}/{name}/{file}"
                assert await read(vfs, path) == await read(plain, path)


def nulls(answer: dict[str, Any]) -> None:
    names = {name for chart in answer["experiments"].values() for name in chart["params"] or ()}
    for chart in answer["experiments"].values():
        if chart["params"] is not None:
            chart["params"] = dict.fromkeys(names) | chart["params"]


async def test_a_null_of_a_chart_is_no_parameter(vfs: Vfs, plain: Vfs, wire: Differing) -> None:
    """Neither in `params.json` nor in the table: the experiment is asked by itself."""
    wire.edits[CHART] = nulls
    listing, _ = await plain.listings.children(await at(plain, PROJECT))
    for name in [name for name, node in listing.nodes.items() if node.at.experiment]:
        path = f"{PROJECT}/{name}/params.json"
        assert await read(vfs, path) == await read(plain, path)
    assert CHART in wire.asked
    assert await read(vfs, TABLE) == await read(plain, TABLE)


# -- queries -----------------------------------------------------------------------------------------------------------

QUERY, SEARCH, TAGS = "project/query", "experiments/search", "experiment/tags"


@pytest.mark.parametrize(
    ("status", "body"),
    [(404, b""), (404, COMET_404), (400, b'{"msg": "bad", "code": 400}'), (400, b"<html>"), (500, b""), (403, b"{}")],
)
async def test_where_queries_fail_tags_are_asked(
    vfs: Vfs, plain: Vfs, wire: Differing, status: int, body: bytes
) -> None:
    """The tables, `views/by-tag/` and the names of metrics; once it has failed no query is asked."""
    wire.layers += [answering(QUERY, status, body), answering(SEARCH, status, body)]
    overview = f"{PROJECT}/summary/overview.html"
    assert await read(vfs, TABLE) == await read(plain, TABLE)
    assert len(await read(vfs, overview)) == len(await read(plain, overview))
    queries = wire.asked.count(QUERY)
    assert queries <= 4, "the tries of one call"
    asked = wire.asked.count(TAGS)
    for tag in await names(plain, f"{PROJECT}/views/by-tag"):
        place = f"{PROJECT}/views/by-tag/{tag}"
        assert await names(vfs, place) == await names(plain, place)
    for name in (await experiments(plain))[:6]:
        assert await names(vfs, f"{PROJECT}/{name}/metrics") == await names(plain, f"{PROJECT}/{name}/metrics")
    assert wire.asked.count(QUERY) == queries
    assert wire.asked.count(TAGS) == asked, "the table has asked for them"


async def test_tags_alone_are_asked_where_queries_fail(vfs: Vfs, plain: Vfs, wire: Differing) -> None:
    """A view before any table: a call for each experiment, the next tag costs none."""
    wire.layers.append(answering(QUERY, 500))
    first, second = (await names(plain, f"{PROJECT}/views/by-tag"))[:2]
    assert await names(vfs, f"{PROJECT}/views/by-tag/{first}") == await names(plain, f"{PROJECT}/views/by-tag/{first}")
    assert wire.asked.count(TAGS) == 20
    assert await names(vfs, f"{PROJECT}/views/by-tag/{second}") == await names(
        plain, f"{PROJECT}/views/by-tag/{second}"
    )
    assert wire.asked.count(TAGS) == 20


# -- experiments, page by page -----------------------------------------------------------------------------------------

LISTING = "experiments"


def unpaged(answer: Callable[[], httpx.Response | None]) -> Layer:
    def layer(request: httpx.Request, _posted: dict[str, Any]) -> httpx.Response | None:
        is_listing = request.url.path.removeprefix("/api/rest/v2/") == LISTING
        return answer() if is_listing and "page" not in request.url.params else None

    return layer


async def experiments_of(api: API) -> list[Any]:
    """The rows of a project, by key."""
    rows = await api.experiments_by_project_name(*PROJECT.split("/"))
    return sorted(rows, key=lambda row: row["experimentKey"])


@pytest.fixture
async def api(wire: Differing) -> AsyncIterator[API]:
    async with API("key", "http://comet", transport=Transport(wire)) as opened:
        yield opened


@pytest.mark.parametrize(("size", "pages"), [(6, 4), (20, 2), (10, 3), (1000, 2), (19, 2)])
@pytest.mark.parametrize("status", [504, 500])
async def test_a_listing_that_fails_is_asked_for_in_pages(
    api: API, wire: Differing, monkeypatch: pytest.MonkeyPatch, size: int, pages: int, status: int
) -> None:
    """The same rows; pages are remembered, so that the next listing begins with them."""
    expected = await experiments_of(api)
    assert len(expected) == 20
    monkeypatch.setattr("cometfs.comet.experiment_pages.PAGE", size)
    wire.layers.append(unpaged(lambda: httpx.Response(status)))
    wire.asked.clear()
    wire.about.clear()
    assert await experiments_of(api) == expected
    assert len(wire.about) == pages
    assert all("sortBy=startTime&sortOrder=asc" in query for _, query in wire.about)
    wire.asked.clear()
    assert await experiments_of(api) == expected
    assert len(wire.asked) == pages


@pytest.mark.parametrize("size", [1, 7, 20])
async def test_a_server_that_ignores_pages_is_noticed(
    api: API, wire: Differing, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """Its first page is more than was asked for, or its second one the first again."""
    expected = await experiments_of(api)
    monkeypatch.setattr("cometfs.comet.experiment_pages.PAGE", size)
    monkeypatch.setattr("cometfs.server.read_api.endpoints._page", lambda _request, found: found)
    wire.layers.append(unpaged(lambda: httpx.Response(504)))
    wire.asked.clear()
    assert await experiments_of(api) == expected
    assert wire.asked.count(LISTING) <= 4


async def test_a_listing_that_takes_too_long_is_asked_for_in_pages(
    vfs: Vfs, plain: Vfs, wire: Differing, mock_clock: trio.testing.MockClock
) -> None:
    expected = await names(plain, PROJECT)

    async def stall(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/experiments") and "page" not in request.url.params:
            await trio.sleep_forever()
        return await Differing.handle_async_request(wire, request)

    wire.handle_async_request = stall  # type: ignore[method-assign]
    assert await within(11, mock_clock, lambda: names(vfs, PROJECT)) == expected


async def test_a_server_that_is_slow_and_has_no_pages_is_waited_for(
    api: API, wire: Differing, mock_clock: trio.testing.MockClock
) -> None:
    """It answered before, though it took longer than a page may."""
    expected = await experiments_of(api)

    async def slow(request: httpx.Request) -> httpx.Response:
        if "page" in request.url.params:
            return httpx.Response(400, json={"msg": "no pages", "code": 400})
        await trio.sleep(15)
        return await Differing.handle_async_request(wire, request)

    wire.handle_async_request = slow  # type: ignore[method-assign]
    assert await within(26, mock_clock, lambda: experiments_of(api)) == expected
