"""Programs that go through whole experiments: how many calls they cost, how many of them one after the other."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs

import httpx
import pytest
import trio
import trio.testing

from cometfs.comet.api import API
from cometfs.comet.http.transport import Transport
from cometfs.composition.assembly import open_vfs
from cometfs.server import sample_directory
from cometfs.server.catalog.catalog import Catalog, open_directory
from cometfs.vfs.answers.abreast import ABREAST
from cometfs.vfs.engine.vfs import Vfs
from cometfs.vfs.inode_numbers import probe
from cometfs.vfs.nodes import Node
from cometfs.vfs.schema.declaration import Dir, File
from tests.inprocess.conftest import Wire, at, at_rest

PROJECT = "vision-lab/digits"
COPIER, READER = 7, 8
BODY = "experiment/asset/get-asset"
KEY = "a" * 32


class RoundTrips(Wire):
    """One on which calls are answered in rounds, each when nothing goes on any more but waiting: so they are counted
    as a network would have them that takes far longer than anything here. `lacking`: what is not there."""

    def __init__(self, index: Catalog) -> None:
        super().__init__(index)
        self.count = self.most = 0
        self.lacking: set[str] = set()
        self._waiting: list[trio.Event] = []
        self._arrived = trio.Event()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        turn = trio.Event()
        self._waiting.append(turn)
        self._arrived.set()
        await turn.wait()
        endpoint = request.url.path.removeprefix("/api/rest/v2/")
        if endpoint in self.lacking:
            self.asked.append(endpoint)
            return httpx.Response(404, json={"msg": "no such endpoint", "code": 404})
        return await super().handle_async_request(request)

    async def run(self) -> None:
        """Answers; until cancelled."""
        while True:
            await self._arrived.wait()
            await at_rest()
            self._arrived = trio.Event()
            self.count += 1
            self.most = max(self.most, len(self._waiting))
            for turn in self._waiting:
                turn.set()
            self._waiting.clear()

    def about_experiments(self) -> dict[str, Counter[str]]:
        """What was asked of each, by its key."""
        found: dict[str, Counter[str]] = {}
        for endpoint, query in self.about:
            for key in parse_qs(query).get("experimentKey", ()):
                found.setdefault(key, Counter())[endpoint] += 1
        return found


@pytest.fixture(scope="module")
def many() -> Catalog:
    return open_directory(sample_directory(), 4)


@pytest.fixture
def wire(many: Catalog) -> RoundTrips:
    return RoundTrips(many)


@pytest.fixture
async def vfs(wire: RoundTrips, nursery: trio.Nursery) -> AsyncIterator[Vfs]:
    nursery.start_soon(wire.run)
    async with API("key", "http://comet", transport=Transport(wire)) as api, open_vfs(api) as opened:
        yield opened


async def experiments(vfs: Vfs, wire: RoundTrips, count: int) -> list[Node]:
    """The first ones, from where counting begins."""
    found = await vfs.listings.children(await at(vfs, PROJECT))
    nodes = [node for node in found[0].nodes.values() if node.at.experiment]
    wire.asked.clear()
    wire.about.clear()
    return nodes[:count] if count > 0 else nodes[count:]


async def settled(wire: RoundTrips) -> None:
    """Returns when nothing is asked any more."""
    count = -1
    while count != wire.count:
        count = wire.count
        await at_rest()
        await trio.sleep(0.01)


async def copied(vfs: Vfs, directory: Node, program: int = COPIER) -> dict[str, bytes]:
    """What `cp -r` does: it lists, and then looks at and reads one after the other. Drawing is not the subject."""
    listing, _ = await vfs.listings.children(directory)
    vfs.listed(directory, len(listing.nodes), program)
    vfs.closed(directory)
    found: dict[str, bytes] = {}
    for node in listing.nodes.values():
        if node.name == "plots":
            continue
        if isinstance(node.entry, Dir):
            found |= {f"{node.name}/{path}": data for path, data in (await copied(vfs, node, program)).items()}
        elif isinstance(node.entry, File):
            await vfs.attributes(node, directory)
            found[node.name] = await read(vfs, node, directory, program)
    return found


async def read(vfs: Vfs, node: Node, directory: Node, program: int) -> bytes:
    vfs.reads(node, directory, program)
    opened = await vfs.files.open(node)
    vfs.has_opened(node, directory, opened, program)
    try:
        return bytes(await opened.read(0, opened.size))
    finally:
        opened.close()


async def test_copies_cost_few_round_trips_and_no_call_twice(vfs: Vfs, wire: RoundTrips, many: Catalog) -> None:
    """All that the experiments hold, sixteen abreast; the bytes are those of a mount on which nothing is ahead."""
    nodes = await experiments(vfs, wire, 10)
    begin = wire.count
    found = [await copied(vfs, node) for node in nodes]
    trips = wire.count - begin
    calls = len(wire.asked)
    about = wire.about_experiments()
    assert all(count == 1 for one in about.values() for endpoint, count in one.items() if endpoint != BODY), about
    assert wire.most <= ABREAST + 3, "those that wait, and batches, beside those ahead"
    assert trips <= calls / ABREAST + 16, (trips, calls, Counter(wire.asked))
    async with API("key", "http://comet", transport=Transport(Wire(many))) as api, open_vfs(api) as other:
        there = (await other.listings.children(await at(other, PROJECT)))[0].nodes
        for node, files in zip(nodes, found, strict=True):
            for program, path in enumerate(files):
                alone = await at(other, f"{PROJECT}/{node.name}/{path}")
                directory = there[node.name]
                assert await read(other, alone, directory, 1000 + program) == files[path], (node.name, path)


async def test_small_assets_are_fetched_in_the_order_of_their_inode_numbers(
    tmp_path: Path, nursery: trio.Nursery
) -> None:
    """As `cp -r` reads them: nothing is waited for one by one."""
    count, number = 300, 77
    run = tmp_path / KEY
    run.mkdir()
    about = {"offline_id": KEY, "workspace": "lab", "project_name": "many", "start_time": 1, "stop_time": 2}
    (run / "experiment.json").write_text(json.dumps(about))
    uploads = []
    for n in range(count):
        (run / f"{n}.bin").write_bytes(b"%d" % n)
        named = {"assetId": f"{n:032x}", "fileName": f"{n}.bin"}
        payload = {"upload_type": "asset", "file_path": f"{n}.bin", "local_timestamp": 1, "additional_params": named}
        uploads.append({"type": "file_upload", "payload": payload})
    (run / "messages.json").write_text("".join(json.dumps(line) + "\n" for line in uploads))
    wire = RoundTrips(open_directory(tmp_path))
    nursery.start_soon(wire.run)
    async with API("key", "http://comet", transport=Transport(wire)) as api, open_vfs(api) as vfs:
        [experiment] = [
            node
            for node in (await vfs.listings.children(await at(vfs, "lab/many")))[0].nodes.values()
            if node.at.experiment
        ]
        folder = await at(vfs, f"lab/many/{experiment.name}/assets")
        nodes = (await vfs.listings.children(folder))[0].nodes.values()
        vfs.listed(folder, len(nodes), COPIER, number)
        vfs.closed(folder)
        begin = wire.count
        for node in sorted(nodes, key=lambda node: probe(number, node, 0)):
            assert await read(vfs, node, folder, COPIER) == node.name.removesuffix(".bin").encode()
        assert wire.count - begin <= count / ABREAST + 8


async def test_a_copy_of_one_experiment_asks_nothing_of_another(vfs: Vfs, wire: RoundTrips) -> None:
    [node] = await experiments(vfs, wire, 1)
    await copied(vfs, node)
    await at_rest()
    assert list(wire.about_experiments()) == [node.at.key[0]]


async def test_a_second_copy_asks_nothing_and_starts_no_task(vfs: Vfs, wire: RoundTrips) -> None:
    nodes = await experiments(vfs, wire, -3)  # after which there is nothing to read ahead
    first = [await copied(vfs, node) for node in nodes]
    await settled(wire)
    wire.asked.clear()
    tasks = trio.lowlevel.current_statistics().tasks_living
    for program in (COPIER, READER):
        assert [await copied(vfs, node, program) for node in nodes] == first
        assert trio.lowlevel.current_statistics().tasks_living == tasks
    assert wire.asked == []


async def test_two_files_of_a_listed_experiment_cost_two_files(vfs: Vfs, wire: RoundTrips) -> None:
    """`ls`, and then `cat a b`: another program."""
    [node] = await experiments(vfs, wire, 1)
    listing, _ = await vfs.listings.children(node)
    vfs.listed(node, len(listing.nodes), COPIER)
    vfs.closed(node)
    for name in ("params.json", "system.json", "tags.txt"):
        await read(vfs, listing.nodes[name], node, READER)
    await settled(wire)
    assert sorted(wire.asked) == ["experiment/parameters", "experiment/system-details", "experiment/tags"]


async def test_a_server_without_all_metrics_is_asked_for_a_chart(vfs: Vfs, wire: RoundTrips, many: Catalog) -> None:
    """One call for the metrics of an experiment, verified once against one of them; the same bytes."""
    wire.lacking = {"experiment/metrics/get-all", "experiments/search", "project/query"}
    nodes = await experiments(vfs, wire, 3)
    found = [await copied(vfs, node) for node in nodes]
    assert wire.asked.count("experiment/metrics/get-all") == 1, "what is lacking is asked for once"
    # One to verify, and of each experiment one at most that a chart does not tell.
    assert wire.asked.count("experiment/metrics/get-metric") <= 1 + len(nodes), Counter(wire.asked)
    async with API("key", "http://comet", transport=Transport(Wire(many))) as api, open_vfs(api) as other:
        for node, files in zip(nodes, found, strict=True):
            again = await at(other, f"{PROJECT}/{node.name}")
            assert await copied(other, again) == files
