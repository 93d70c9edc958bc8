"""Several machines share answers in a real Redis: one of them asks Comet, all read; without it each asks by itself."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import httpx
import pytest
import trio

from cometfs.errors import NotFound
from cometfs.server import sample_directory
from cometfs.server.catalog.catalog import Catalog, open_directory
from cometfs.shared.answers import SharedAnswers
from cometfs.shared.awaited import AT_ONCE
from cometfs.shared.opening import open_shared
from cometfs.shared.outbox import Outbox, Sent
from cometfs.shared.place import Away, Place
from cometfs.shared.refreshes import REMEMBERED
from cometfs.shared.scripts import CLAIM, GO_ON, RELEASE
from cometfs.vfs.schema.declaration import Context
from cometfs.vfs.sources.chart_series import gather
from cometfs.vfs.sources.experiment import PARAMETERS, at_metric
from cometfs.vfs.sources.one_metric import sheets
from cometfs.vfs.sources.parameters import COLUMNS, PARAMS
from tests.inprocess.conftest import BASELINE, Wire, at, names, read
from tests.support.redis_server import Redis
from tests.support.shared_machines import KEY, Machine, at_once, everything, machine, machines, sent

PROJECT = "vision-lab/digits"

Send = Callable[[Outbox, Sequence[Sent]], Awaitable[None]]


async def params(one: Machine) -> dict[str, bytes]:
    """Of all experiments of a project."""
    project = await at(one.vfs, PROJECT)
    nodes = (await one.vfs.listings.children(project))[0].nodes
    found = {}
    for name, node in nodes.items():
        if node.at.experiment is not None and not name.startswith("."):
            found[name] = await read(one.vfs, f"{PROJECT}/{name}/params.json")
    return found


async def experiments(one: Machine) -> list[Context]:
    """All of a project."""
    nodes = (await one.vfs.listings.children(await at(one.vfs, PROJECT)))[0].nodes
    return [node.at for name, node in nodes.items() if node.at.experiment is not None and not name.startswith(".")]


async def test_what_one_has_asked_another_reads(wire: Wire, each_redis: Redis) -> None:
    """Listings, single answers and batches: the second machine makes no call at all."""
    async with machine(wire, each_redis.url) as first:
        mine = await params(first)
        await sent(first)
        assert wire.asked
        wire.asked.clear()
        async with machine(wire, each_redis.url) as second:
            assert await params(second) == mine
            assert not wire.asked
            assert second.shared.answers.found


async def test_at_the_same_time_one_asks_for_all(wire: Wire, redis: Redis) -> None:
    """Eight machines that begin together make the calls of one, and perhaps a few more where their walks differ."""
    async with machine(wire, redis.url) as alone:
        mine = await params(alone)
    one = len(wire.asked)
    redis.ask("FLUSHALL")
    wire.asked.clear()
    wire.about.clear()
    async with machines(8, wire, redis.url) as all_of_them:
        found = await at_once(all_of_them, params)
    assert found == [mine] * 8
    twice = {one: count for one, count in Counter(wire.about).items() if count > 1}
    assert not twice
    assert len(wire.asked) <= 2 * one


async def test_what_another_has_brought_tells_how_many_to_ask_about(redis: Redis) -> None:
    """In the next call: a first one is about a few."""
    wire = Wire(open_directory(sample_directory(), 30))
    async with machine(wire, redis.url) as first, machine(wire, redis.url) as second:
        places = await experiments(first)
        await first.vfs._answers.together(PARAMS, places[:70])
        await sent(first)
        assert await experiments(second)
        wire.asked.clear()
        await second.vfs._answers.together(PARAMS, places)
        assert wire.asked == ["experiments/multi-metric-chart"]


CHARTS = "experiments/multi-metric-chart"

LOSS = f"{PROJECT}/charts/validate_loss.csv"


async def drawn(one: Machine) -> bytes:
    return await read(one.vfs, LOSS)


async def test_a_chart_is_asked_for_once(redis: Redis) -> None:
    """At the same time, and later by one that has listed nothing yet."""
    wire = Wire(open_directory(sample_directory(), 30))
    async with machine(wire, redis.url) as alone:
        mine = await drawn(alone)
    of_one = Counter(wire.asked)
    assert of_one["experiments/multi-metric-chart"] > 1
    redis.ask("FLUSHALL")
    wire.asked.clear()
    async with machines(4, wire, redis.url) as all_of_them:
        assert await at_once(all_of_them, drawn) == [mine] * 4
        assert Counter(wire.asked)["experiments/multi-metric-chart"] == of_one["experiments/multi-metric-chart"]
        assert Counter(wire.asked)["experiment/metrics/get-metric"] == of_one["experiment/metrics/get-metric"]
        await sent(all_of_them[0])
        wire.asked.clear()
        async with machine(wire, redis.url) as late:
            assert await drawn(late) == mine
    assert not wire.asked


async def test_where_one_asks_for_a_part_of_a_chart_another_asks_for_the_rest(redis: Redis) -> None:
    """And a third that draws all of it has the points of both, without a call."""
    wire = Wire(open_directory(sample_directory(), 30))
    async with machine(wire, redis.url) as first, machine(wire, redis.url) as second:
        places = await experiments(first)
        asker = first.vfs._answers.asker()
        await gather(asker, places[:-1], ["validate_loss"], lambda *_of_one: None)
        await sent(first)
        wire.asked.clear()
        mine = await drawn(second)
        rest = Counter(wire.asked)[CHARTS]
        await sent(second)
        wire.asked.clear()
        async with machine(wire, redis.url) as third:
            assert await drawn(third) == mine
        assert not wire.asked
    redis.ask("FLUSHALL")
    async with machine(wire, redis.url) as alone:
        assert await drawn(alone) == mine
    assert rest == 1 < Counter(wire.asked)[CHARTS]


async def test_files_of_one_metric_are_asked_for_once(redis: Redis) -> None:
    """As `cometfs.dask.metrics` reads them."""
    wire = Wire(open_directory(sample_directory(), 30))
    async with machines(2, wire, redis.url) as (first, second):
        places = [at_metric(place, "validate_loss") for place in await experiments(first)]
        mine = await sheets(first.vfs._answers.asker(), places)
        await sent(first)
        wire.asked.clear()
        assert await sheets(second.vfs._answers.asker(), places) == mine
    assert len(mine) > 100
    assert not {"experiments/multi-metric-chart", "experiment/metrics/get-metric"}.intersection(wire.asked)


async def test_to_wait_for_thousands_is_a_look_for_one(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four processes that looked for each of 25,000 ten times a second left none of the machine for the one that asked,
    which took too long then."""
    async with machines(2, Wire(open_directory(sample_directory())), redis.url) as (first, second):
        some = [replace((await experiments(second))[0], key=(f"{number:032x}",)) for number in range(3000)]
        keys = [PARAMS.key(place) for place in some]
        await first.shared.answers.claim(keys)
        looked, run = 0, Place.run

        async def counted(place: Place, script: str, names: Sequence[bytes], arguments: Sequence[str]) -> object:
            nonlocal looked
            looked += len(names) if place is second.shared.answers._place and script != GO_ON else 0
            return await run(place, script, names, arguments)

        monkeypatch.setattr(Place, "run", counted)
        asked: list[int] = []

        async def ask(mine: Sequence[Context]) -> None:
            asked.append(len(mine))
            await trio.lowlevel.checkpoint()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(second.vfs._answers.in_turn, PARAMS, some, ask)
            with trio.fail_after(60):
                while looked < len(keys):  # noqa: ASYNC110  # it has no event
                    await trio.sleep(0.01)
            await trio.sleep(1.0)
            assert looked <= len(keys) + 100
            first.shared.answers.settle(keys)
        assert sum(asked) == len(keys)


async def test_names_that_are_older_than_the_listing_are_asked_for_anew(redis: Redis) -> None:
    """An experiment may have ended since another machine asked for them: its batch would lack what it logged last."""
    wire = Wire(open_directory(sample_directory(), 30))
    async with machine(wire, redis.url) as first, machine(wire, redis.url) as second:
        await first.vfs._answers.ask(COLUMNS, (await at(first.vfs, PROJECT)).at)
        await sent(first)
        places = await experiments(second)
        wire.asked.clear()
        await second.vfs._answers.together(PARAMS, places)
    assert Counter(wire.asked)["project/column-names"] == 1


async def test_a_refresh_asks_anew(wire: Wire, redis: Redis) -> None:
    """Here at once; the others keep what they have as long as it holds."""
    async with machine(wire, redis.url) as one:
        await read(one.vfs, f"{BASELINE}/params.json")
        await sent(one)
        wire.asked.clear()
        await one.vfs.refresh(await at(one.vfs, BASELINE), above=())
        await read(one.vfs, f"{BASELINE}/params.json")
        assert wire.asked


@pytest.mark.logs("written by another")
async def test_what_another_has_written_there_is_not_believed(wire: Wire, redis: Redis) -> None:
    """Without the API key nobody puts an answer in the place of Comet's; nor does one key read another's."""
    async with machine(wire, redis.url) as one:
        mine = await read(one.vfs, f"{BASELINE}/params.json")
        await sent(one)
    for name in redis.names("*answer*"):
        redis.ask("SETRANGE", name, "50", "zzzz")
    wire.asked.clear()
    async with machine(wire, redis.url) as other:
        assert await read(other.vfs, f"{BASELINE}/params.json") == mine
    assert wire.asked


async def test_nothing_there_tells_the_key_or_the_names(wire: Wire, redis: Redis) -> None:
    async with machine(wire, redis.url) as one:
        await params(one)
        await sent(one)
    assert len(redis.names()) > 3
    assert b"digits" in everything(redis)
    assert KEY.encode() not in everything(redis)
    assert b"digits" not in b"".join(redis.names())


@pytest.mark.logs("shared cache")
async def test_without_it_each_asks_by_itself(wire: Wire, redis: Redis) -> None:
    """It dies in the middle of a walk, and programs read on."""
    async with machine(wire, redis.url) as one:
        first = await read(one.vfs, f"{BASELINE}/params.json")
        redis.kill()
        assert await read(one.vfs, f"{BASELINE}/code.py")
        assert await read(one.vfs, f"{BASELINE}/params.json") == first
        assert one.shared.as_object()["away"]
        redis.start()
        with trio.fail_after(30):
            while one.shared.as_object()["away"]:
                await trio.sleep(0.1)
                await one.vfs.refresh(await at(one.vfs, BASELINE), above=())
                await read(one.vfs, f"{BASELINE}/params.json")


@pytest.mark.logs("no room for more answers")
async def test_where_the_memory_is_full_nothing_is_lost(wire: Wire, each_redis: Redis) -> None:
    each_redis.ask("CONFIG", "SET", "maxmemory", "1")
    async with machine(wire, each_redis.url) as one, machine(wire, each_redis.url) as other:
        mine = await params(one)
        await sent(one)
        assert await params(other) == mine


async def test_a_machine_that_dies_while_it_asks_keeps_nobody(
    wire: Wire, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its claims are void after a while, and the next one asks."""
    monkeypatch.setattr("cometfs.shared.claimant.LIVES", 1.0)
    async with machine(wire, redis.url) as one, machine(wire, redis.url) as other:
        await names(one.vfs, PROJECT)
        await sent(one)
        began = time.monotonic()
        key = (await at(other.vfs, BASELINE)).at
        await one.shared.answers.claim([PARAMETERS.key(key)])
        one.shared.answers._claimed.clear()  # a dead one says no more that it is at it
        assert await read(other.vfs, f"{BASELINE}/params.json")
        assert time.monotonic() - began < 20


async def test_an_end_in_the_middle_of_sending_loses_nothing(redis: Redis) -> None:
    """What is on its way then is sent, and no claim is left for which others would wait."""
    async with open_shared(redis.url, "comet-1", KEY, 100) as shared, trio.open_nursery() as nursery:
        keys = [("parameters", "", str(number)) for number in range(50)]
        assert set((await shared.answers.claim(keys)).values()) == {True}
        nursery.start_soon(shared.answers.run)
        for key in keys[:40]:
            shared.answers.keep(key, b"value", 60.0)
        shared.answers.settle(keys[40:45])
        while not shared.answers._outbox._going:  # it has no event
            await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    assert not redis.names("*:claim")
    assert len(redis.names("*:answer:*")) == 40


class GoneWire(Wire):
    """Has no code of any experiment until a test says so."""

    gone = True

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await super().handle_async_request(request)
        if self.gone and request.url.path.endswith("experiment/code"):
            return httpx.Response(404, json={"msg": "no such code", "code": 404})
        return response


@pytest.fixture
def lacking(index: Catalog) -> GoneWire:
    return GoneWire(index)


async def code(one: Machine) -> bytes:
    """Nothing where Comet has none, and says so."""
    try:
        return await read(one.vfs, f"{BASELINE}/code.py")
    except NotFound as error:
        return b"" if "no such code" in str(error) else str(error).encode()


async def test_that_there_is_none_is_asked_once(lacking: GoneWire, each_redis: Redis) -> None:
    """Eight want it at the same time, and one after the other; Comet's words come with it."""
    async with machines(8, lacking, each_redis.url) as all_of_them:
        assert await at_once(all_of_them, code) == [b""] * 8
        assert [await code(one) for one in all_of_them] == [b""] * 8
    assert lacking.asked.count("experiment/code") == 1


async def test_what_appears_is_seen_as_soon_as_on_one_machine(
    lacking: GoneWire, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lease counts from Comet's answer, whichever machine has asked, and however late another one looks."""
    monkeypatch.setattr("cometfs.cache.store.MISSING", 1.0)
    async with machine(lacking, redis.url) as first, machine(lacking, redis.url) as second:
        await at(second.vfs, BASELINE)
        assert await code(first) == b""
        ends = trio.current_time() + 1.0
        lacking.gone = False
        await trio.sleep(0.5)
        await code(second)
        await trio.sleep_until(ends)
        assert await code(second)


async def test_a_refresh_finds_what_has_appeared(lacking: GoneWire, redis: Redis) -> None:
    async with machine(lacking, redis.url) as one:
        assert await code(one) == b""
        await sent(one)
        lacking.gone = False
        assert await code(one) == b"", "it holds for half a minute"
        await one.vfs.refresh(await at(one.vfs, BASELINE), above=())
        assert await code(one)
        await sent(one)
        lacking.gone = True
        async with machine(lacking, redis.url) as other:
            assert await code(other), "what is newer takes its place"


# -- one by one --------------------------------------------------------------------------------------------------------

ONE, ANOTHER = ("parameters", "", "1"), ("parameters", "", "2")


@asynccontextmanager
async def sharing(redis: Redis) -> AsyncIterator[SharedAnswers]:
    async with open_shared(redis.url, "comet-1", KEY, 100) as shared, trio.open_nursery() as nursery:
        nursery.start_soon(shared.answers.run)
        yield shared.answers
        nursery.cancel_scope.cancel()


async def put(answers: SharedAnswers, value: bytes, lease: float = 100.0, age: float = 0.0) -> None:
    answers.keep(ONE, value, lease, age)
    with trio.fail_after(30):
        while answers.waits:  # noqa: ASYNC110  # it has no event
            await trio.sleep(0.005)


async def got(answers: SharedAnswers) -> bytes | bool:
    found = (await answers.claim([ONE]))[ONE]
    return found if isinstance(found, bool) else found.value


async def test_an_older_answer_takes_no_newer_ones_place(each_redis: Redis) -> None:
    """It may have been on its way for long."""
    async with sharing(each_redis) as one, sharing(each_redis) as other:
        await put(one, b"new", age=1.0)
        await put(other, b"old", age=10.0)
        assert await got(one) == b"new"
        await put(other, b"newer")
        assert await got(one) == b"newer"


async def test_no_lease_is_made_longer_there(redis: Redis) -> None:
    """Not by a command of Redis, nor by an answer that is put back: when it ends is sealed with it."""
    async with sharing(redis) as one, sharing(redis) as other:
        await put(one, b"value", lease=0.5)
        (name,) = redis.names("*:answer:*")
        sealed = redis.value(name)
        redis.ask("PERSIST", name)
        await trio.sleep(0.5)
        assert await got(other) is True
        redis.ask("SET", name, sealed, "EX", "10000")
        assert await got(one) is True


async def test_an_answer_ages_while_it_waits_to_be_sent(redis: Redis) -> None:
    """A server that is stopped meanwhile executes late what it was sent."""
    async with sharing(redis) as one, sharing(redis) as other:
        await got(one)  # the server's clock is known
        redis.send(signal.SIGSTOP)
        one.keep(ONE, b"value", 0.5)
        await trio.sleep(0.6)
        redis.send(signal.SIGCONT)
        with trio.fail_after(30):
            while one.waits:  # noqa: ASYNC110  # it has no event
                await trio.sleep(0.005)
        assert await got(other) is True


async def test_no_refresh_is_outlived_by_what_it_was_about(redis: Redis) -> None:
    """What stands there holds no longer than a refresh is remembered, here a day."""
    async with sharing(redis) as one:
        await put(one, b"value", lease=10.0**7)
        (name,) = redis.names("*:answer:*")
        assert 0 < int(redis.ask("PTTL", name)[1:]) <= REMEMBERED * 1000


async def test_thousands_are_looked_for_in_several_trips(redis: Redis) -> None:
    """Each is short, so that none is taken for a server that is away."""
    keys = [("parameters", "", str(number)) for number in range(2 * AT_ONCE + 1)]
    async with sharing(redis) as one, sharing(redis) as other:
        assert set((await one.claim(keys)).values()) == {True}
        assert set((await other.claim(keys)).values()) == {False}


async def test_what_cannot_be_sent_at_the_end_keeps_nobody(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that ends with much to send lets the others ask for it."""
    keys = [("parameters", "", str(number)) for number in range(5)]
    async with sharing(redis) as one:
        await one.claim(keys)
        monkeypatch.setattr("cometfs.shared.outbox.LAST", 0.3)
        monkeypatch.setattr("cometfs.shared.outbox.Outbox._send_together", _slowly(Outbox._send_together))
        for key in keys:
            one.keep(key, b"value", 60.0)
    assert not redis.names("*:claim")


def _slowly(send: Send) -> Send:
    async def slowly(self: Outbox, taken: Sequence[Sent]) -> None:
        await trio.sleep(600.0 if any(one.value is not None for one in taken) else 0.0)
        await send(self, taken)

    return slowly


async def test_a_claim_lasts_until_its_answer_is_there(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also while that is on its way for long."""
    monkeypatch.setattr("cometfs.shared.claimant.LIVES", 2.0)
    monkeypatch.setattr("cometfs.shared.outbox.Outbox._send_together", _slowly(Outbox._send_together))
    monkeypatch.setattr("cometfs.shared.outbox.LAST", 0.1)
    async with sharing(redis) as one, sharing(redis) as other:
        assert await got(one) is True
        one.keep(ONE, b"value", 60.0)
        await trio.sleep(3.0)
        assert await got(other) is False


async def test_thousands_of_claims_live_by_one_word(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """To renew each took longer than they held: others asked for the same."""
    monkeypatch.setattr("cometfs.shared.claimant.LIVES", 3.0)
    keys = [("parameters", "", str(number)) for number in range(3000)]
    async with sharing(redis) as one, sharing(redis) as other:
        await one.claim(keys)
        said, run = 0, Place.run

        async def counted(place: Place, script: str, names: Sequence[bytes], arguments: Sequence[str]) -> object:
            nonlocal said
            said += len(names) if script == GO_ON else 0
            return await run(place, script, names, arguments)

        monkeypatch.setattr(Place, "run", counted)
        await trio.sleep(4.0)
        assert set((await other.claim(keys)).values()) == {False}
        assert 1 <= said <= 20


async def test_claims_that_cannot_be_given_up_end(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server was not to be had just then: others must not wait for what is not asked for."""
    monkeypatch.setattr("cometfs.shared.claimant.LIVES", 2.0)
    async with sharing(redis) as one, sharing(redis) as other:
        await one.claim([ONE, ANOTHER])
        run = Place.run

        async def lost(place: Place, script: str, names: Sequence[bytes], arguments: Sequence[str]) -> object:
            if script == RELEASE:
                raise Away("the server is away")
            return await run(place, script, names, arguments)

        monkeypatch.setattr(Place, "run", lost)
        one.settle([ONE])
        assert await got(other) is False
        with trio.fail_after(30):
            while await got(other) is not True:  # noqa: ASYNC110  # it has no event
                await trio.sleep(0.05)


async def test_who_is_cancelled_while_it_claims_keeps_nobody(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that was killed: its machine lives on, and asks for none of it."""
    keys = [("parameters", "", str(number)) for number in range(3 * AT_ONCE)]
    async with sharing(redis) as one, sharing(redis) as other:
        run, scope = Place.run, trio.CancelScope()

        async def ended(place: Place, script: str, names: Sequence[bytes], arguments: Sequence[str]) -> object:
            found = await run(place, script, names, arguments)
            if script == CLAIM:
                scope.cancel()
            return found

        monkeypatch.setattr(Place, "run", ended)
        with scope:
            await one.claim(keys)
        assert scope.cancelled_caught
        monkeypatch.setattr(Place, "run", run)
        with trio.fail_after(30):
            while one.waits:  # noqa: ASYNC110  # it has no event
                await trio.sleep(0.01)
        assert set((await other.claim(keys)).values()) == {True}


async def test_a_machine_that_lives_and_brings_nothing_is_not_waited_for_for_ever(
    wire: Wire, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cometfs.vfs.answers.resolver.STUCK", 0.5)
    async with machines(2, wire, redis.url) as (one, other):
        places = await experiments(other)
        await one.shared.answers.claim([PARAMS.key(place) for place in places])
        asked: list[Context] = []

        async def ask(mine: Sequence[Context]) -> None:
            asked.extend(mine)
            await trio.lowlevel.checkpoint()

        with trio.fail_after(30):
            await other.vfs._answers.in_turn(PARAMS, places, ask)
        assert len(asked) == len(places)
