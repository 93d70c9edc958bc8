"""Without network: what was read once reads again, however long ago, and what was not is an error at once."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest
import trio
import trio.testing

from cometfs.cache import store
from cometfs.cache.store import STALE
from cometfs.comet.http.breaker import FIRST, PROBE
from cometfs.connectivity import SILENCE
from cometfs.errors import NoSuchEntry, NotAllowed, NotFound, Unreachable, Unsupported
from cometfs.lease import ACCOUNT, LISTING, Lease
from cometfs.vfs.engine.vfs import Vfs
from cometfs.vfs.nodes import Node
from cometfs.vfs.schema.declaration import Dir, File
from tests.inprocess.conftest import BASELINE, FOREST, Wire, at, at_rest, mounted, names, read

PROJECT = "vision-lab/digits"
WEEK = 7 * 86400.0

LOST = pytest.mark.logs("Comet cannot be reached")


async def walked(vfs: Vfs, path: str) -> dict[str, object]:
    """All that is listed below a path: attributes, bytes, and where links lead."""
    return {name: seen async for name, seen in _walked(vfs, await at(vfs, path), path)}


async def _walked(vfs: Vfs, node: Node, path: str) -> AsyncIterator[tuple[str, object]]:
    listing, _ = await vfs.listings.children(node)
    for name, child in listing.nodes.items():
        place = f"{path}/{name}"
        if isinstance(child.entry, Dir):
            yield place, "a directory"
            async for found in _walked(vfs, child, place):
                yield found
        elif isinstance(child.entry, File):
            seen = await vfs.attributes(child, node)
            yield place, (seen.size, seen.modified_ms, await bytes_of(vfs, child))
        else:
            yield place, await vfs.readlink(child)


async def bytes_of(vfs: Vfs, node: Node) -> bytes:
    opened = await vfs.files.open(node)
    try:
        return bytes(await opened.read(0, opened.size))
    finally:
        opened.close()


@pytest.fixture(params=[3 * ACCOUNT, WEEK], ids=["soon", "a week later"])
def wall(request: pytest.FixtureRequest) -> Callable[[], float]:
    later: float = request.param
    return lambda: time.time() + later


@LOST
async def test_what_was_read_reads_again(tmp_path: Path, wire: Wire, wall: Callable[[], float]) -> None:
    """A whole project, after a remount: the same names, sizes, times, bytes and links."""
    async with mounted(wire, tmp_path) as vfs:
        before = await walked(vfs, PROJECT)
        await at_rest()
    wire.failing = True
    async with mounted(wire, tmp_path, wall=wall) as vfs:
        after = await walked(vfs, PROJECT)
    assert [name for name in before if after.get(name) != before[name]] == []
    # What Comet has nothing of is left out where that is known beforehand.
    more = {name: seen for name, seen in after.items() if name not in before}
    assert all(seen == "a directory" or (isinstance(seen, tuple) and seen[2] == b"") for seen in more.values()), more


@pytest.fixture
async def kept(wire: Wire, tmp_path: Path, autojump_clock: trio.testing.MockClock) -> AsyncIterator[Vfs]:
    """A tree whose answers are on disk, which has the time of the test."""
    async with mounted(wire, tmp_path, wall=lambda: 1.8e9 + autojump_clock.current_time()) as vfs:
        yield vfs


async def expired() -> None:
    """Listings hold no more, and all answers are on disk."""
    await trio.sleep(LISTING + 1)


@LOST
async def test_listings_lookups_and_files_agree_while_comet_is_away(
    kept: Vfs, wire: Wire, autojump_clock: trio.testing.MockClock
) -> None:
    """All are answered as they were last; what is asked then is whether Comet is back."""
    params, listed = await read(kept, f"{BASELINE}/params.json"), await names(kept, PROJECT)
    tags = await read(kept, f"{BASELINE}/tags.txt")
    await trio.sleep(2 * 3600)
    wire.failing = True
    assert await names(kept, PROJECT) == listed
    (line,) = kept.error_log.lines()
    assert "what was answered before is shown as it was" in line
    wire.asked.clear()
    assert await read(kept, f"{BASELINE}/params.json") == params
    assert await read(kept, f"{BASELINE}/tags.txt") == tags
    assert set(wire.asked) <= {"workspaces"}
    seen = await kept.attributes(await at(kept, f"{BASELINE}/tags.txt"))
    assert seen.size == len(tags)
    assert seen.lease <= STALE, "the kernel would show it for longer"


@LOST
async def test_what_is_not_in_the_cache_is_no_absence(
    kept: Vfs, wire: Wire, autojump_clock: trio.testing.MockClock
) -> None:
    """Neither a file that was never read, nor a name that the last listing lacks: it may be there by now."""
    await names(kept, BASELINE)
    await expired()
    wire.failing = True
    for path in (f"{BASELINE}/output.txt", f"{PROJECT}/a new run", FOREST):
        with pytest.raises(Unreachable):
            await read(kept, path)
    with pytest.raises(NoSuchEntry):
        await at(kept, f"{BASELINE}/no such file")  # what is declared is known


@LOST
async def test_it_becomes_current_by_itself(kept: Vfs, wire: Wire, autojump_clock: trio.testing.MockClock) -> None:
    """What was shown as it was is asked for again when Comet answers."""
    await names(kept, PROJECT)
    await expired()
    wire.failing = True
    assert "another" not in await names(kept, PROJECT)
    wire.failing = False
    wire.edits["experiments"] = lambda answer: answer["experiments"][0].update(experimentName="another")
    while kept.listings._store.connectivity.away:
        await trio.sleep(2 * FIRST)
        await names(kept, PROJECT)
    await trio.sleep(STALE)
    assert "another" in await names(kept, PROJECT)


@LOST
async def test_silence_is_an_outage(
    vfs: Vfs, wire: Wire, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first reader waits for it and for the probe that it causes, the others for nothing."""
    monkeypatch.setattr(store, "SILENCE", SILENCE)
    listed = await names(vfs, PROJECT)
    await expired()

    async def stall(*_request: object) -> None:
        await trio.sleep_forever()

    monkeypatch.setattr(wire, "handle_async_request", stall)
    began = trio.current_time()
    for _ in range(31):
        assert await names(vfs, PROJECT) == listed
    assert trio.current_time() - began <= SILENCE + PROBE


async def test_a_slow_answer_is_waited_for(
    vfs: Vfs, wire: Wire, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as Comet answers anything, what is shown is what it says now."""
    monkeypatch.setattr(store, "SILENCE", SILENCE)
    await names(vfs, PROJECT)
    await expired()
    answered = wire.handle_async_request

    async def slowly(request: object) -> object:
        await trio.sleep(SILENCE - 1 if "experiments" in str(request.url) else 2)  # type: ignore[attr-defined]
        return await answered(request)  # type: ignore[arg-type]

    monkeypatch.setattr(wire, "handle_async_request", slowly)
    wire.edits["experiments"] = lambda answer: answer["experiments"][0].update(experimentName="another")
    assert "another" in await names(vfs, PROJECT)


@pytest.mark.parametrize("refusal", ["refused", "lacking"])
async def test_a_refusal_is_an_answer(
    kept: Vfs, wire: Wire, refusal: str, autojump_clock: trio.testing.MockClock
) -> None:
    """What is kept from this key now, or is gone, is not shown any more."""
    await read(kept, f"{BASELINE}/tags.txt")
    await trio.sleep(2 * 3600)
    getattr(wire, refusal).add("experiment/tags")
    with pytest.raises((NotAllowed, NotFound, Unsupported)):
        await read(kept, f"{BASELINE}/tags.txt")


async def test_a_server_that_fails_costs_what_fails(
    kept: Vfs, wire: Wire, autojump_clock: trio.testing.MockClock
) -> None:
    """The one answer is shown as it was; its neighbours are asked for."""
    before = await read(kept, f"{BASELINE}/tags.txt")
    await read(kept, f"{BASELINE}/others.json")
    await trio.sleep(1)  # until it is on disk
    await trio.sleep(2 * 3600)
    wire.edits["experiment/tags"] = lambda answer: answer.clear()
    wire.asked.clear()
    assert await read(kept, f"{BASELINE}/tags.txt") == before
    await read(kept, f"{BASELINE}/others.json")
    assert "experiment/log-other" in wire.asked
    node = await at(kept, f"{BASELINE}/tags.txt")
    assert kept.provenance(node)["stale"] == "true"
    assert float(kept.provenance(node)["age_s"]) >= 2 * 3600
    assert kept.provenance(await at(kept, f"{BASELINE}/others.json"))["stale"] == "false"


@LOST
async def test_a_refresh_waits_for_comet(kept: Vfs, wire: Wire, autojump_clock: trio.testing.MockClock) -> None:
    """While it is away nothing is forgotten; when it is back, a refresh itself finds that out."""
    before = await read(kept, f"{BASELINE}/tags.txt")
    node, *above = [await at(kept, BASELINE), await at(kept, PROJECT)]
    await trio.sleep(2 * 3600)
    wire.failing = True
    assert await read(kept, f"{BASELINE}/tags.txt") == before
    with pytest.raises(Unreachable, match="what is cached stays"):
        await kept.refresh(node, above)
    assert await read(kept, f"{BASELINE}/tags.txt") == before
    await trio.sleep(3600)
    wire.failing = False
    wire.asked.clear()
    await kept.refresh(node, above)
    assert await read(kept, f"{BASELINE}/tags.txt") == before
    assert "experiment/tags" in wire.asked


@pytest.fixture
def asset(monkeypatch: pytest.MonkeyPatch) -> str:
    """One that comes in parts, as big ones do; what its version is holds for a second."""
    monkeypatch.setattr("cometfs.vfs.answers.resolver.BIG", 1)
    monkeypatch.setattr("cometfs.vfs.answers.resolver.SEALED", Lease(1.0))
    return f"{FOREST}/assets/importances.csv"


@pytest.mark.parametrize(
    ("offline", "later"),
    [pytest.param(False, WEEK, marks=LOST), (True, WEEK), pytest.param(False, 10.0, marks=LOST)],
    ids=["away", "--offline", "not known to be away"],
)
async def test_an_asset_that_came_in_parts_reads_again(
    offline: bool, later: float, tmp_path: Path, wire: Wire, asset: str
) -> None:
    """Also where the version that its blocks are of was to be asked for again by now."""
    async with mounted(wire, tmp_path) as vfs:
        before = await read(vfs, asset)
        assert vfs._answers.parted is not None
        assert vfs._answers.parted._blocks._held, "it came as one stream"
    wire.failing = True
    async with mounted(wire, tmp_path, offline=offline, wall=lambda: time.time() + later) as vfs:
        assert await read(vfs, asset) == before


async def test_so_it_does_where_comet_wants_no_calls(
    tmp_path: Path, wire: Wire, asset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A 429 is no answer, either."""
    async with mounted(wire, tmp_path) as vfs:
        before = await read(vfs, asset)

    async def too_many(_request: httpx.Request) -> httpx.Response:
        await trio.lowlevel.checkpoint()
        return httpx.Response(429, headers={"Retry-After": "600"})

    monkeypatch.setattr(wire, "handle_async_request", too_many)
    async with mounted(wire, tmp_path, wall=lambda: time.time() + 10) as vfs:
        assert await read(vfs, asset) == before


async def test_offline_asks_nothing(tmp_path: Path, wire: Wire) -> None:
    """Whatever has run out, and whatever is not there."""
    async with mounted(wire, tmp_path) as vfs:
        before = await read(vfs, f"{BASELINE}/tags.txt")
    wire.asked.clear()
    async with mounted(wire, tmp_path, offline=True, wall=lambda: time.time() + WEEK) as vfs:
        assert await read(vfs, f"{BASELINE}/tags.txt") == before
        with pytest.raises(Unreachable):
            await read(vfs, f"{BASELINE}/code.py")
        with pytest.raises(Unreachable):
            await names(vfs, "tabular")
        shown = vfs.listings._store.connectivity.as_object()
    assert wire.asked == []
    assert shown["state"] == "offline"
    assert shown["oldest_s"] == pytest.approx(WEEK, abs=3600)


@LOST
@pytest.mark.parametrize("touched", [f"{BASELINE}/params.json", BASELINE, PROJECT, ""])
async def test_a_refresh_before_an_outage_is_known_loses_nothing(touched: str, tmp_path: Path, wire: Wire) -> None:
    """Its answers are the last ones until newer ones come, in memory and on disk; then they are current."""
    path = f"{BASELINE}/params.json"

    async def lists() -> list[str]:
        return await names(vfs, BASELINE)

    async with mounted(wire, tmp_path) as vfs:
        before = await read(vfs, path), await lists()
        await at_rest()
        parts = touched.split("/") if touched else []
        node, *above = [await at(vfs, "/".join(parts[:depth])) for depth in range(len(parts), 0, -1)] + [vfs.root]
        await vfs.refresh(node, above)
        wire.failing = True
        assert (await read(vfs, path), await lists()) == before
    async with mounted(wire, tmp_path) as vfs:
        assert (await read(vfs, path), await lists()) == before
    wire.failing = False
    wire.edits["experiment/parameters"] = lambda answer: answer["values"].clear()
    async with mounted(wire, tmp_path) as vfs:
        assert await read(vfs, path) == b"{}\n"


STORE = ".cometfs/store"


@LOST
async def test_the_store_is_read_as_it_was(tmp_path: Path, wire: Wire) -> None:
    """Also by another process, and whatever kinds of values others have put there."""
    values = {"note": "first", "a/b": "", "plan": {"lr": [0.1]}}
    wire.edits["panel/store"] = lambda answer: answer.update(store=json.dumps(values))
    async with mounted(wire, tmp_path) as vfs:
        before = {name: await read(vfs, f"{STORE}/{name}") for name in await names(vfs, STORE)}
        await at_rest()
    assert before == {"note": b"first", "a%2Fb": b"", "plan": b'{"lr": [0.1]}'}
    wire.failing = True
    async with mounted(wire, tmp_path, wall=lambda: time.time() + WEEK) as vfs:
        assert {name: await read(vfs, f"{STORE}/{name}") for name in await names(vfs, STORE)} == before
        with pytest.raises(Unreachable):
            await at(vfs, f"{STORE}/another")
