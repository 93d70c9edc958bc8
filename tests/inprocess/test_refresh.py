"""What is asked again when somebody wants to know now, in process: what was dropped, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from cometfs.comet.api import API
from cometfs.comet.http.transport import Transport
from cometfs.composition.assembly import open_vfs
from cometfs.errors import CometFSError
from cometfs.server import sample_directory
from cometfs.server.catalog.catalog import open_directory
from cometfs.vfs.answers import batch_trust, prefetch
from cometfs.vfs.answers import resolver as answers_module
from cometfs.vfs.answers.resolver import AnswerResolver
from cometfs.vfs.engine import invalidation as refresh_module
from cometfs.vfs.engine.vfs import Vfs
from cometfs.vfs.nodes import Node
from cometfs.vfs.schema.declaration import Dir, File, Source
from cometfs.vfs.sources import experiment
from tests.inprocess.conftest import BASELINE, FOREST, Wire, mounted, names, read

PROJECT = "vision-lab/digits"


async def chain(vfs: Vfs, path: str) -> list[Node]:
    """The nodes on the way to `path`, itself first."""
    nodes = [vfs.root]
    for part in filter(None, path.split("/")):
        nodes.append((await vfs.listings.child(nodes[-1], part))[0])
    return nodes[::-1]


async def refresh(vfs: Vfs, path: str) -> None:
    node, *above = await chain(vfs, path)
    await vfs.refresh(node, above)


@pytest.mark.parametrize(
    ("touched", "then", "calls"),
    [
        # A file: its own question, and what shares its answer.
        ("tags.txt", "tags.txt", ["experiment/tags"]),
        ("tags.txt", "code.py", []),
        ("params.json", ".api/experiment_parameters.json", ["experiment/parameters"]),
        (".api/experiment_parameters.json", "params.json", ["experiment/parameters"]),
        ("requirements.txt", "system.json", ["experiment/system-details"]),
        ("metadata.json", "metadata.json", ["experiment/metadata"]),
        ("metadata.json", "tags.txt", []),
        ("metrics/train_loss.csv", "metrics/train_loss.csv", ["experiment/metrics/get-metric"]),
        ("metrics/train_loss.csv", "plots/train_loss.svg", ["experiment/metrics/get-metric"]),
        ("plots/train_loss.svg", "metrics/train_loss.csv", ["experiment/metrics/get-metric"]),
        ("metrics/train_loss.csv", "params.json", []),
        ("assets/confusion-matrix.json", "assets/confusion-matrix.json", ["experiment/asset/get-asset"]),
        ("url.txt", "tags.txt", ["experiments"]),
        # A directory of an experiment: what its listing and its files are made of.
        ("metrics", "metrics/train_loss.csv", ["experiment/metrics/summary", "experiment/metrics/get-metric"]),
        ("metrics", "metrics.json", ["experiment/metrics/summary"]),
        ("metrics", "tags.txt", []),
        ("assets", "tags.txt", []),
        # An experiment: all of it, and nothing of its listing.
        ("", "tags.txt", ["experiment/tags"]),
        ("", "metadata.json", ["experiment/metadata"]),
        ("", "url.txt", []),
    ],
)
async def test_only_what_is_wanted_of_what_was_dropped_is_asked_again(
    touched: str, then: str, calls: list[str], vfs: Vfs, wire: Wire
) -> None:
    """Refreshing itself asks nothing, once the way to it is known."""
    seen = ("tags.txt", "params.json", "code.py", "requirements.txt", "metadata.json", "metrics/train_loss.csv", then)
    for name in (*seen, touched):
        path = f"{BASELINE}/{name}".rstrip("/")
        await (read if "." in path.rsplit("/", 1)[1] else names)(vfs, path)
    await chain(vfs, f"{BASELINE}/{touched}")
    wire.asked.clear()
    await refresh(vfs, f"{BASELINE}/{touched}")
    assert wire.asked == []
    await read(vfs, f"{BASELINE}/{then}")
    assert wire.asked == calls
    await read(vfs, f"{BASELINE}/{then}")
    assert wire.asked == calls


@pytest.mark.parametrize(
    ("touched", "calls"),
    [
        (BASELINE, ["experiment/tags"]),
        (f"{PROJECT}/views", ["experiments", "experiment/tags"]),
        (f"{PROJECT}/project.json", ["projects"]),
        (f"{PROJECT}/notes.md", []),
        (PROJECT, ["projects", "experiments", "experiment/tags"]),
        ("vision-lab", ["projects", "experiments", "experiment/tags"]),
        ("", ["workspaces", "projects", "experiments", "experiment/tags"]),
        ("tabular", []),
        (".cometfs/store", []),
        (".api/workspaces.json", ["workspaces"]),
    ],
)
async def test_what_lies_below_is_dropped_and_nothing_beside(
    touched: str, calls: list[str], vfs: Vfs, wire: Wire
) -> None:
    """A project's experiments, a workspace's projects, everything."""
    await read(vfs, f"{BASELINE}/tags.txt")
    await read(vfs, f"{FOREST}/tags.txt")
    await refresh(vfs, touched)
    wire.asked.clear()
    await read(vfs, f"{BASELINE}/tags.txt")
    assert wire.asked == calls


def renamed(edit: Callable[[dict[str, Any]], None]) -> Callable[[Any], None]:
    def change(answer: Any) -> None:
        for row in answer["experiments"]:
            if row["experimentName"] == "mlp-baseline":
                edit(row)

    return change


async def test_a_refreshed_project_shows_what_its_listing_says_now(vfs: Vfs, wire: Wire) -> None:
    """Names, and what is told in the rows."""
    before = await names(vfs, PROJECT)
    await read(vfs, f"{PROJECT}/project.json")
    wire.edits["experiments"] = renamed(lambda row: row.update(experimentName="called otherwise"))
    wire.edits["projects"] = lambda answer: [row.update(projectDescription="new") for row in answer["projects"]]
    assert await names(vfs, PROJECT) == before
    await refresh(vfs, PROJECT)
    after = await names(vfs, PROJECT)
    assert (set(before) - set(after), set(after) - set(before)) == ({"mlp-baseline"}, {"called otherwise"})
    assert b'"new"' in await read(vfs, f"{PROJECT}/project.json")


async def test_a_refreshed_row_is_shown_in_the_files_that_are_bound_to_it(vfs: Vfs, wire: Wire) -> None:
    """Although nothing of the project was asked."""
    await read(vfs, f"{PROJECT}/project.json")
    wire.edits["projects"] = lambda answer: [row.update(projectDescription="new") for row in answer["projects"]]
    await refresh(vfs, f"{PROJECT}/project.json")
    assert b'"new"' in await read(vfs, f"{PROJECT}/project.json")


@pytest.mark.parametrize("touched", ["tags.txt", "", "params.json"])
async def test_a_changed_file_has_a_new_size_and_a_new_time(touched: str, vfs: Vfs, wire: Wire) -> None:
    """The size is not known until somebody wants it; when it changed is not forgotten by asking."""
    name = touched or "tags.txt"
    node = (await chain(vfs, f"{BASELINE}/{name}"))[0]
    before = await read(vfs, f"{BASELINE}/{name}")
    old = vfs.glance(node)
    assert old.size == len(before)
    await refresh(vfs, f"{BASELINE}/{touched}".rstrip("/"))
    assert vfs.glance(node).size is None
    wire.edits["experiment/tags"] = lambda answer: answer.update(tags=["a tag that nobody had"])
    wire.edits["experiment/parameters"] = lambda answer: answer["values"].pop()
    after = await read(vfs, f"{BASELINE}/{name}")
    seen = vfs.glance(node)
    assert after != before
    assert seen.size == len(after)
    assert seen.modified_ms > old.modified_ms


async def test_a_batch_that_was_asked_before_fills_nothing_afterwards(
    wire: Wire, vfs: Vfs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is on its way when the project is refreshed, and lands with what was true before."""
    folders = [name for name in await names(vfs, PROJECT) if name.startswith(("mlp", "sgd", "r"))]
    arrived, go = trio.Event(), trio.Event()
    ask = wire.handle_async_request

    async def slowly(request: Any) -> Any:
        response = await ask(request)
        if request.url.path.endswith("experiment/parameters"):
            arrived.set()
            await go.wait()
        return response

    monkeypatch.setattr(wire, "handle_async_request", slowly)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(read, vfs, f"{PROJECT}/{folders[0]}/params.json")
        await arrived.wait()
        await refresh(vfs, PROJECT)
        go.set()
    monkeypatch.undo()
    wire.asked.clear()
    await read(vfs, f"{PROJECT}/{folders[0]}/params.json")
    assert wire.asked == ["projects", "experiments", "experiment/parameters"]


@pytest.mark.parametrize("touched", [f"{BASELINE}/tags.txt", BASELINE, PROJECT, "vision-lab", ""])
async def test_nothing_comes_back_from_disk(touched: str, wire: Wire, tmp_path: Path) -> None:
    """Two mounts later, of which the second has refreshed what it had not read itself."""
    async with mounted(wire, tmp_path) as vfs:
        for name in ("tags.txt", "assets/confusion-matrix.json"):
            await read(vfs, f"{BASELINE}/{name}")
        await read(vfs, f"{FOREST}/tags.txt")
    async with mounted(wire, tmp_path) as vfs:
        wire.asked.clear()
        await chain(vfs, touched)
        await refresh(vfs, touched)
    async with mounted(wire, tmp_path) as vfs:
        await chain(vfs, BASELINE)
        wire.asked.clear()
        await read(vfs, f"{BASELINE}/tags.txt")
        assert wire.asked == ["experiment/tags"]
        wire.asked.clear()
        await read(vfs, f"{BASELINE}/assets/confusion-matrix.json")
        bodies = "experiment/asset/get-asset" in wire.asked
        assert bodies == (not touched.endswith("tags.txt"))
        await chain(vfs, FOREST)
        wire.asked.clear()
        await read(vfs, f"{FOREST}/tags.txt")
        assert wire.asked == (["experiment/tags"] if not touched else [])


async def test_a_listing_that_was_refreshed_by_itself_still_tells_who_is_below(vfs: Vfs, wire: Wire) -> None:
    """Nobody has asked for it since when all of the project is refreshed."""
    await read(vfs, f"{BASELINE}/tags.txt")
    way = await chain(vfs, PROJECT)
    links = await chain(vfs, f"{PROJECT}/views")
    await vfs.refresh(links[0], links[1:])
    await vfs.refresh(way[0], way[1:])
    wire.asked.clear()
    await read(vfs, f"{BASELINE}/tags.txt")
    assert wire.asked == ["projects", "experiments", "experiment/tags"]


async def test_no_row_of_what_was_touched_is_kept(vfs: Vfs) -> None:
    """Neither of the listing, as long as nobody lists it again, nor of an experiment whose metadata was asked for."""
    await read(vfs, f"{BASELINE}/metadata.json")
    for touched in (f"{BASELINE}/metadata.json", f"{PROJECT}/views"):
        node, *above = await chain(vfs, touched)
        await vfs.refresh(node, above)
        await read(vfs, f"{BASELINE}/metadata.json")
    assert len(vfs._answers.doubts) == 0
    left = [bound for bounds in vfs.refresh._left.values() for bound in bounds if bound.place.experiment is not None]
    assert len(left) > 1
    assert not any(bound.place.experiment for bound in left)


async def test_what_is_remembered_beside_the_answers_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many projects are walked through and touched in the life of a mount; all is shown as before."""
    monkeypatch.setattr(refresh_module, "LEFT", 40)
    for module in (prefetch, batch_trust):
        monkeypatch.setattr(module, "REMEMBERED", 1)
    monkeypatch.setattr(prefetch, "RENEWED", 1.0)
    wire = Wire(open_directory(sample_directory(), 3))
    async with API("key", "http://comet", transport=Transport(wire)) as api, open_vfs(api) as vfs:
        paths = [
            f"{workspace}/{name}" for workspace in ("vision-lab", "tabular") for name in await projects(vfs, workspace)
        ]
        before = [await read(vfs, f"{path}/summary/experiments.csv") for path in paths]
        for path in paths:
            node, *above = await chain(vfs, f"{path}/views")
            await vfs.refresh(node, above)
            await vfs.listings.children(above[0])
            vfs.listings._prefetcher.renew(experiment.EXPERIMENTS, node.at)
        prefetcher, left = vfs.listings._prefetcher, vfs.refresh._left
        trust = prefetcher._trust
        assert 0 < len(left) <= left.currsize <= 40
        assert [len(one) for one in (trust._weights, trust._trusted, prefetcher._renewing)] == [1, 1, 1]
        assert [await read(vfs, f"{path}/summary/experiments.csv") for path in paths] == before


async def projects(vfs: Vfs, workspace: str) -> list[str]:
    node = (await vfs.listings.child(vfs.root, workspace))[0]
    return [child.name for child in (await vfs.listings.children(node))[0].nodes.values() if child.at.project]


ASKING: ContextVar[Source | None] = ContextVar("ASKING", default=None)


async def test_every_question_says_what_it_is_made_of(vfs: Vfs, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole sample is read, and who asked whom is held against the declaration."""
    made: set[tuple[Source, Any]] = set()
    ask, body = AnswerResolver._ask, answers_module._Question.body

    async def noted(self: AnswerResolver, key: Any, source: Source, at: Any) -> Any:
        outer = ASKING.get()
        if outer is not None:
            made.add((outer, source))
        before = ASKING.set(source)
        try:
            return await ask(self, key, source, at)
        finally:
            ASKING.reset(before)

    async def noted_body(self: Any, stream: Any, at: Any, most: int | None = None) -> bytes:
        outer = ASKING.get()
        assert outer is not None
        made.add((outer, stream))
        return await body(self, stream, at, most)

    monkeypatch.setattr(AnswerResolver, "_ask", noted)
    monkeypatch.setattr(answers_module._Question, "body", noted_body)
    await _read_all(vfs, vfs.root)
    assert len(made) > 15
    undeclared = {
        (outer.name, inner.name)
        for outer, inner in made
        if inner not in outer.of and not (outer.batch and inner.name == "project/column-names")
    }
    assert not undeclared


async def _read_all(vfs: Vfs, directory: Node) -> None:
    try:
        listing, _ = await vfs.listings.children(directory)
    except CometFSError:
        return
    for node in (*listing.nodes.values(), *listing.unlisted.values()):
        if isinstance(node.entry, Dir):
            await _read_all(vfs, node)
        elif isinstance(node.entry, File):
            (await vfs.files.open(node)).close()
        else:
            await vfs.readlink(node)
