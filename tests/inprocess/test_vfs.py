"""The tree over the embedded Comet, in process: what is asked, what is kept, what a lying listing does."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any, cast

import pytest
import trio
import trio.testing

from cometfs.comet.api import API
from cometfs.comet.http.transport import Transport
from cometfs.composition.assembly import MEMORY, open_vfs
from cometfs.errors import IsADirectory, NoSuchEntry, NotADirectory, Unreachable
from cometfs.lease import FINISHED, LISTING, RUNNING
from cometfs.vfs import nodes
from cometfs.vfs.engine import listings
from cometfs.vfs.engine.vfs import Vfs
from cometfs.vfs.keys import Key
from cometfs.vfs.nodes import Node
from cometfs.vfs.schema.declaration import Dir, File, Stream
from tests.inprocess.conftest import BASELINE, FOREST, Wire, at, mounted, names, read


async def test_a_cold_file_costs_a_call_a_level_and_one_for_its_answer(vfs: Vfs, wire: Wire) -> None:
    """And the second read none, nor its neighbours' levels."""
    await read(vfs, f"{BASELINE}/params.json")
    assert wire.asked == ["workspaces", "projects", "experiments", "experiment/parameters"]
    await read(vfs, f"{BASELINE}/params.json")
    await read(vfs, f"{BASELINE}/url.txt")
    await read(vfs, "vision-lab/digits/project.json")
    assert len(wire.asked) == 4


async def test_files_of_one_answer_share_its_call(vfs: Vfs, wire: Wire) -> None:
    """system.json and requirements.txt; metrics.json and the listing of metrics/."""
    for name in ("system.json", "requirements.txt", "metrics.json"):
        await read(vfs, f"{BASELINE}/{name}")
    await names(vfs, f"{BASELINE}/metrics")
    assert wire.asked[3:] == ["experiment/system-details", "experiment/metrics/summary"]


async def test_an_answer_is_asked_again_after_its_lease(
    vfs: Vfs, wire: Wire, autojump_clock: trio.testing.MockClock
) -> None:
    """Within it nothing is asked; after it the listing and the answer are."""
    await read(vfs, f"{BASELINE}/tags.txt")
    await trio.sleep(LISTING / 2)
    await read(vfs, f"{BASELINE}/tags.txt")
    assert wire.asked.count("experiments") == wire.asked.count("experiment/tags") == 1
    await trio.sleep(FINISHED)
    await read(vfs, f"{BASELINE}/tags.txt")
    assert wire.asked.count("experiments") == wire.asked.count("experiment/tags") == 2


async def test_a_listing_in_use_is_renewed_before_anybody_waits_for_it(
    vfs: Vfs, wire: Wire, autojump_clock: trio.testing.MockClock
) -> None:
    """Once, in the last quarter of its lease; one that nobody uses is left alone."""
    before = await names(vfs, "vision-lab/digits")
    await trio.sleep(LISTING * 0.8)
    assert wire.asked.count("experiments") == 1
    for _ in range(3):
        assert await names(vfs, "vision-lab/digits") == before
    await trio.testing.wait_all_tasks_blocked()
    assert wire.asked.count("experiments") == 2
    await trio.sleep(LISTING / 2)
    # It would hold no more, had it not been renewed.
    assert await names(vfs, "vision-lab/digits") == before
    assert wire.asked.count("experiments") == 2


async def test_the_size_is_the_number_of_bytes_whatever_the_kind(vfs: Vfs) -> None:
    """Rendered, streamed, remote: attributes and bytes come from one snapshot."""
    for name in ("params.json", "assets/warnings.log", "assets/predictions.sqlite", "assets/wine.parquet.url"):
        seen = await vfs.attributes(await at(vfs, f"{FOREST}/{name}"))
        assert seen.size == len(await read(vfs, f"{FOREST}/{name}")), name


async def test_a_link_in_a_version_of_an_artifact_is_shown(vfs: Vfs, wire: Wire) -> None:
    """As one among an experiment's assets is: what lies elsewhere is not left out."""

    def edit(answer: dict[str, Any]) -> None:
        for row in answer["files"]:
            row.update(remote=True, link=f"s3://bucket/{row['fileName']}", fileSize=0)

    version = "tabular/.artifacts/wine features/1.0.0"
    (file,) = await names(vfs, version)
    async with API("key", "http://comet", transport=Transport(wire)) as api, open_vfs(api) as other:
        wire.edits["artifacts/version/files"] = edit
        assert await names(other, version) == [f"{file}.url"]
        assert await read(other, f"{version}/{file}.url") == f"s3://bucket/{file}\n".encode()
        assert "experiment/asset/get-asset" not in wire.asked


def report_size(wire: Wire, size: int | None) -> None:
    """What the listing says of every asset from now on."""

    def edit(answer: dict[str, Any]) -> None:
        for row in answer["assets"]:
            row["fileSize"] = size

    wire.edits["experiment/asset/list"] = edit


STALE = pytest.mark.logs("its listing says")


@pytest.mark.parametrize("lie", [0, None, pytest.param(1, marks=STALE), pytest.param(1_000_000, marks=STALE)])
async def test_a_listing_that_lies_about_a_size_never_cuts_a_file(vfs: Vfs, wire: Wire, lie: int | None) -> None:
    """The body's own size wins as soon as the file is opened."""
    report_size(wire, lie)
    node = await at(vfs, f"{FOREST}/assets/predictions.sqlite")
    opened = await vfs.files.open(node)
    assert opened.size == 8192
    assert bytes(await opened.read(0, 15)) == b"SQLite format 3"
    assert (await vfs.attributes(node)).size == 8192
    opened.close()


@STALE
async def test_a_size_that_was_found_to_be_another_one_stays_so(wire: Wire, tmp_path: Path) -> None:
    """When nobody has it open and it is not in memory any more, and in the next mount."""
    path = f"{FOREST}/assets/predictions.sqlite"
    report_size(wire, 480)
    async with mounted(wire, tmp_path) as vfs:
        node, _ = await vfs.listings.child(await at(vfs, f"{FOREST}/assets"), "predictions.sqlite")
        assert (await vfs.attributes(node)).size == 480
        assert len(await read(vfs, path)) == 8192
        vfs._answers.bodies.drop_all(lambda _key: True)
        assert (await vfs.attributes(node)).size == 8192
    async with mounted(wire, tmp_path) as vfs:
        asked = wire.asked.count("experiment/asset/get-asset")
        node = await at(vfs, path)
        assert (await vfs.attributes(node)).size == 8192
        assert wire.asked.count("experiment/asset/get-asset") == asked


@STALE
async def test_a_listing_that_was_stale_heals_as_soon_as_one_body_tells_so(wire: Wire, tmp_path: Path) -> None:
    """It is asked again then, once, and not when its lease ends in an hour: the sizes of the others are right, too."""
    folder, others = f"{FOREST}/assets", f"{FOREST}/assets/importances.csv"
    report_size(wire, 481)
    async with mounted(wire, tmp_path) as vfs:
        assert len(await read(vfs, others)) == 480
        del wire.edits["experiment/asset/list"]
        assert (await vfs.attributes(await at(vfs, f"{folder}/predictions.sqlite"))).size == 8192
        assert len(await read(vfs, others)) == 480
        assert (await vfs.attributes(await at(vfs, others))).size == 480
        assert wire.asked.count("experiment/asset/list") == 2


@STALE
async def test_a_listing_that_stays_wrong_is_asked_again_once(vfs: Vfs, wire: Wire) -> None:
    """However often the body comes."""
    report_size(wire, 481)
    for _ in range(3):
        assert len(await read(vfs, f"{FOREST}/assets/importances.csv")) == 480
        vfs._answers.bodies.drop_all(lambda _key: True)
    assert wire.asked.count("experiment/asset/get-asset") == 3
    assert wire.asked.count("experiment/asset/list") == 2


@STALE
@pytest.mark.parametrize(
    ("endpoint", "rows", "path"),
    [
        (
            "artifacts/version/files",
            lambda answer: answer["files"],
            "vision-lab/.artifacts/digits-split/1.1.0/README.md",
        ),
        (
            "registry-model/details",
            lambda answer: [row for version in answer["versions"] for row in version["assets"]],
            "vision-lab/.models/digits-mlp/1.1.0/digits-mlp/config.json",
        ),
    ],
)
async def test_listings_of_versions_heal_like_those_of_experiments(
    endpoint: str, rows: Any, path: str, vfs: Vfs, wire: Wire
) -> None:
    """Of artifacts, of registered models."""

    def edit(answer: Any) -> None:
        for row in rows(answer):
            row["fileSize"] += 1

    wire.edits[endpoint] = edit
    content = await read(vfs, path)
    del wire.edits[endpoint]
    asked = wire.asked.count(endpoint)
    assert (await vfs.attributes(await at(vfs, path))).size == len(content)
    assert wire.asked.count(endpoint) == asked + 1


@STALE
async def test_another_size_in_the_listing_is_another_body(
    vfs: Vfs, wire: Wire, mock_clock: trio.testing.MockClock
) -> None:
    """What was found of the one says nothing of the other."""
    path = f"{FOREST}/assets/predictions.sqlite"
    for size in (480, 500):
        report_size(wire, size)
        assert (await vfs.attributes(await at(vfs, path))).size == size
        assert len(await read(vfs, path)) == 8192
        assert (await vfs.attributes(await at(vfs, path))).size == 8192
        mock_clock.jump(FINISHED)


async def test_a_lost_network_is_an_error_and_not_an_absence(
    vfs: Vfs, wire: Wire, autojump_clock: trio.testing.MockClock
) -> None:
    """What is known is still answered; the rest raises, and works again when the network is back."""
    await read(vfs, f"{BASELINE}/params.json")
    wire.failing = True
    await read(vfs, f"{BASELINE}/params.json")
    with pytest.raises(Unreachable):
        await read(vfs, f"{BASELINE}/tags.txt")
    wire.failing = False
    assert await read(vfs, f"{BASELINE}/tags.txt") == b"baseline\nmlp\n"


async def test_what_an_answer_at_hand_says_is_not_there_is_not_listed(vfs: Vfs, wire: Wire) -> None:
    """An experiment that logged next to nothing, asked before its directory is listed."""
    ridge = await at(vfs, "tabular/Diabetes progression/ridge")
    assert isinstance(ridge.entry, Dir)
    for entry in ridge.entry.entries:
        if isinstance(entry, File) and entry.name in ("report.html", "requirements.txt", "tags.txt"):
            assert (await vfs.attributes(Node(entry.name, entry, ridge.at))).size == 0
    listed = (await vfs.listings.children(ridge))[0].nodes
    assert not {"report.html", "requirements.txt", "system.json", "tags.txt"} & set(listed)
    assert {"params.json", "metrics", "code.py"} <= set(listed)


@pytest.mark.parametrize("pause", [0, 2 * LISTING, FINISHED - 1])
async def test_what_was_listed_stays(vfs: Vfs, autojump_clock: trio.testing.MockClock, pause: float) -> None:
    """`cp -r`, then `diff -r`, now or later: a file that turned out to be empty is still there."""
    before = await names(vfs, "tabular/Diabetes progression/ridge")
    assert await read(vfs, "tabular/Diabetes progression/ridge/report.html") == b""
    await trio.sleep(pause)
    assert await names(vfs, "tabular/Diabetes progression/ridge") == before


async def test_what_was_listed_stays_however_much_is_read_meanwhile(vfs: Vfs) -> None:
    """Under load: large answers push everything out of memory, between the `readdir` and the lookups of `grep -r`."""
    path = "tabular/Diabetes progression/ridge"
    before = await names(vfs, path)
    for number in range(2):
        vfs._store.keep(Key.observed("a large answer", (number,)), None, LISTING, MEMORY)
    ridge = await at(vfs, path)
    assert vfs.listings.peek(ridge) is None
    (report,) = [one for one in cast(Dir, ridge.entry).entries if isinstance(one, File) and one.name == "report.html"]
    assert (await vfs.attributes(Node("report.html", report, ridge.at))).size == 0  # another program has read it
    assert await names(vfs, path) == before


async def test_what_a_run_has_nothing_of_is_looked_for_again_when_that_answer_has_run_out(
    vfs: Vfs, wire: Wire, autojump_clock: trio.testing.MockClock
) -> None:
    """A listing that leaves a file out holds no longer than the answer that said so."""
    wire.edits["experiments"] = lambda answer: [row.update(running=True) for row in answer["experiments"]]
    wire.edits["experiment/output"] = lambda answer: answer.update(output="")
    directory = await at(vfs, BASELINE)
    assert await read(vfs, f"{BASELINE}/output.txt") == b""
    vfs._store.drop(vfs.listings._key(directory))  # as if nobody had listed it before
    vfs.listings.omitted.drop_all(lambda _key: True)
    await trio.sleep(RUNNING - 1)
    assert "output.txt" not in await names(vfs, BASELINE)
    wire.edits["experiment/output"] = lambda answer: answer.update(output="a line\n")
    await trio.sleep(1.1)
    assert "output.txt" in await names(vfs, BASELINE)
    assert await read(vfs, f"{BASELINE}/output.txt") == b"a line\n"


async def test_a_miss_in_what_has_ended_holds_a_minute_at_most(vfs: Vfs) -> None:
    """Its listing holds for an hour: who waits for a name to appear must not."""
    with pytest.raises(NoSuchEntry) as raised:
        await at(vfs, f"{BASELINE}/nosuch")
    assert raised.value.lease == LISTING


async def test_wrong_kinds_and_wrong_names_are_told_apart(vfs: Vfs) -> None:
    """A file is no directory, a directory no file, and a miss says how long it holds."""
    with pytest.raises(NotADirectory):
        await vfs.listings.child(await at(vfs, f"{BASELINE}/params.json"), "x")
    with pytest.raises(IsADirectory):
        await vfs.files.open(await at(vfs, BASELINE))
    with pytest.raises(NoSuchEntry) as raised:
        await at(vfs, "vision-lab/nowhere")
    assert 0 < raised.value.lease <= LISTING


async def test_times_are_those_of_comet(vfs: Vfs, wire: Wire) -> None:
    """An experiment's end, a project's last update, an asset's creation."""
    experiment = await at(vfs, BASELINE)
    assert experiment.at.experiment is not None
    assert vfs.glance(experiment).modified_ms == experiment.at.experiment["endTimeMillis"]
    project = await at(vfs, "vision-lab/digits")
    assert project.at.project is not None
    assert vfs.glance(project).modified_ms == project.at.project["lastUpdated"]
    asset = await at(vfs, f"{FOREST}/assets/folds.zip")
    assert vfs.glance(asset).modified_ms == asset.at.item["createdAt"]


async def test_only_the_named_workspaces_are_shown(wire: Wire) -> None:
    """And they are not even listed: Comet does not list public ones."""
    async with API("key", "http://comet", transport=Transport(wire)) as api, open_vfs(api, ["tabular"]) as vfs:
        assert list((await vfs.listings.children(vfs.root))[0].nodes) == ["README.md", ".api", ".cometfs", "tabular"]
        assert (await names(vfs, "tabular"))[-2:] == ["Diabetes progression", "wine-cultivars"]
    assert wire.asked == ["projects"]


async def test_many_who_open_one_asset_download_it_once(vfs: Vfs, wire: Wire) -> None:
    """Like answers, bodies are asked for once."""
    node = await at(vfs, f"{FOREST}/assets/folds.zip")
    async with trio.open_nursery() as readers:
        for _ in range(20):
            readers.start_soon(vfs.attributes, node)
            readers.start_soon(read, vfs, f"{FOREST}/assets/folds.zip")
    assert wire.asked.count("experiment/asset/get-asset") == 1


async def test_what_is_made_of_answers_holds_no_longer_than_they(
    vfs: Vfs, wire: Wire, autojump_clock: trio.testing.MockClock
) -> None:
    """A view that is first looked at when the listing is nearly due does not outlive it."""
    await names(vfs, "vision-lab/digits")
    await trio.sleep(LISTING - 1)
    await names(vfs, "vision-lab/digits/views/by-key")
    await trio.sleep(2)
    await names(vfs, "vision-lab/digits/views/by-key")
    assert wire.asked.count("experiments") == 2


async def test_bytes_that_change_get_a_new_time(vfs: Vfs, wire: Wire, autojump_clock: trio.testing.MockClock) -> None:
    """rsync and make would miss an edit of equal length otherwise; what is only asked again keeps its time."""
    node = await at(vfs, f"{BASELINE}/tags.txt")
    await vfs.attributes(node)
    before = vfs.glance(node).modified_ms
    await trio.sleep(FINISHED + 1)
    await vfs.attributes(node)
    assert vfs.glance(node).modified_ms == before
    wire.edits["experiment/tags"] = lambda answer: answer.update(tags=["baseline", "mlq"])
    await trio.sleep(FINISHED + 1)
    assert await read(vfs, f"{BASELINE}/tags.txt") == b"baseline\nmlq\n"
    assert vfs.glance(node).modified_ms > before


EDITABLE = (
    "README.md",
    "vision-lab/digits/project.json",
    "vision-lab/digits/notes.md",
    *(f"{BASELINE}/{name}" for name in ("tags.txt", "others.json", "report.html", "metadata.json", "artifacts.json")),
)


async def times(vfs: Vfs, *paths: str) -> dict[str, float]:
    """When files changed, as it is shown once their sizes are known."""
    found = {}
    for path in paths:
        node = await at(vfs, path)
        opened = await vfs.files.open(node)
        opened.close()
        found[path] = vfs.glance(node).modified_ms
    return found


async def test_what_may_be_edited_bears_the_time_at_which_it_was_first_seen(wire: Wire, tmp_path: Path) -> None:
    """The same in the next mount while the bytes stay; a later one where they are others of equal length, or where
    nothing is remembered. What only the run writes bears the time of its end, whatever is remembered."""
    began_ms = time.time() * 1000
    wire.edits["experiment/tags"] = lambda answer: answer.update(tags=["mlp"])
    sealed = [f"{BASELINE}/{name}" for name in ("params.json", "code.py", "output.txt", "metrics.json", "url.txt")]
    async with mounted(wire, tmp_path / "cache") as vfs:
        first = await times(vfs, *EDITABLE, *sealed)
        born = vfs.glance(vfs.root).modified_ms
        end = vfs.glance(await at(vfs, BASELINE)).modified_ms
        assert {first[path] for path in sealed} == {end}
        assert all(began_ms <= first[path] <= time.time() * 1000 for path in EDITABLE)
    async with mounted(wire, tmp_path / "cache") as vfs:
        assert await times(vfs, *EDITABLE, *sealed) == first
        assert vfs.glance(vfs.root).modified_ms == born
        wire.edits["experiment/tags"] = lambda answer: answer.update(tags=["mlq"])
        await vfs.refresh(await at(vfs, BASELINE), [])
        assert await read(vfs, f"{BASELINE}/tags.txt") == b"mlq\n"
        later = await times(vfs, *EDITABLE)
        assert later.pop(tags := f"{BASELINE}/tags.txt") > first[tags]
        assert later == {path: first[path] for path in later}
    async with mounted(wire, tmp_path / "another") as vfs:
        again = await times(vfs, *EDITABLE, *sealed)
        assert {path for path in again if again[path] > first[path]} == set(EDITABLE)


async def test_what_was_forgotten_meanwhile_does_not_get_the_same_time_again(vfs: Vfs) -> None:
    """Memory and disk drop what they have no room for: the bytes may be others by then."""
    (first,) = (await times(vfs, f"{BASELINE}/tags.txt")).values()
    await vfs._store.drop_all(lambda _key: True)
    (again,) = (await times(vfs, f"{BASELINE}/tags.txt")).values()
    assert again > first


async def test_others_are_served_while_a_big_listing_is_made(vfs: Vfs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its nodes are made in a thread; here that waits for a task, which could not run otherwise."""
    others_ran = threading.Event()
    made = nodes.build

    def slow(*arguments: Any) -> Any:
        assert others_ran.wait(60), "nobody else had a turn"
        return made(*arguments)

    project = await at(vfs, BASELINE.rpartition("/")[0])
    monkeypatch.setattr(listings, "_MANY", 2)
    monkeypatch.setattr(listings, "build", slow)
    vfs._store.drop(vfs.listings._key(project))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(vfs.listings.children, project)
        await trio.testing.wait_all_tasks_blocked()
        others_ran.set()
    assert BASELINE.rpartition("/")[2] in (await vfs.listings.children(project))[0].nodes


async def test_who_goes_through_a_folder_is_told_all_its_sizes_at_once(vfs: Vfs, wire: Wire) -> None:
    """A folder that a "/" in names made is a directory as any: `ls -l` of it waits for its files together."""

    def in_a_folder(answer: Any) -> None:
        for row in answer["assets"]:
            row["fileName"] = f"roc/{row['fileName']}"

    wire.edits["experiment/asset/list"] = in_a_folder
    folder = await at(vfs, f"{BASELINE}/curves/roc")
    first, *others = (await vfs.listings.children(folder))[0].nodes.values()
    assert others
    wire.asked.clear()
    vfs.listed(folder)
    await vfs.attributes(first, folder)
    await trio.testing.wait_all_tasks_blocked()
    assert len(wire.asked) == 1 + len(others), "each waits for the one before"
    for node in others:
        await vfs.attributes(node, folder)
    assert wire.asked == ["experiment/asset/get-asset"] * (1 + len(others))


def is_asset(node: Node) -> bool:
    return isinstance(node.entry, File) and isinstance(node.entry.source, Stream)


async def test_sizes_that_no_listing_tells_are_asked_for_together(vfs: Vfs, wire: Wire) -> None:
    """Of assets that are listed with a size of 0, which Comet also tells where it knows none."""
    report_size(wire, 0)
    folder = await at(vfs, f"{FOREST}/assets")
    first, *others = filter(is_asset, (await vfs.listings.children(folder))[0].nodes.values())
    assert others
    vfs.listed(folder)
    await vfs.attributes(first, folder)
    await trio.testing.wait_all_tasks_blocked()
    assert wire.asked.count("experiment/asset/get-asset") == 1 + len(others)
    for node in others:
        assert (await vfs.attributes(node, folder)).size == len(await read(vfs, f"{FOREST}/assets/{node.name}"))
    assert wire.asked.count("experiment/asset/get-asset") == 1 + len(others)
