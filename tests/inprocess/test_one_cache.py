"""One cache for mounts of different settings: an answer depends on nothing that its key does not say."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest
import trio
import trio.testing

from cometfs.comet.api import API
from cometfs.comet.http.transport import Transport
from cometfs.composition.assembly import Cache, open_vfs
from cometfs.lease import LISTING, Lease
from cometfs.vfs import keys
from cometfs.vfs.engine.scope import questions_of
from cometfs.vfs.engine.vfs import Vfs
from cometfs.vfs.layout import tree
from cometfs.vfs.nodes import Node
from cometfs.vfs.schema.declaration import Context, Dir, Link, Source, Stream
from cometfs.vfs.sources import experiment, kv_store, versioned
from tests.inprocess.conftest import BASELINE, Wire, at, read

SETTINGS: tuple[dict[str, Any], ...] = (
    {"workspaces": ["tabular"]},
    {"workspaces": ["tabular"], "rw": True},
    {},
    {"rw": True},
    {"live": Lease(3600.0)},
    {"workspaces": ["vision-lab", "tabular"]},
)

UNSTEADY = ("status.json", "metrics")
"""Each differs from each copy of it."""


NOTHING = {"system.json": b"{}\n", "metadata.json": b"{}\n"}
"""JSON of what Comet has nothing of. Hidden where an answer at hand says so when it is listed: whether prefetching was
quicker than the walk decides that, not the mounts before."""


async def _shown(vfs: Vfs, node: Node, path: str = "") -> dict[str, Any]:
    """All links below `node` and all bytes but those of assets; not what is empty, which may be hidden or not."""
    found: dict[str, Any] = {}
    listing, _ = await vfs.listings.children(node)
    for name, child in (listing.nodes | listing.unlisted).items():
        if isinstance(child.entry, Dir):
            found |= await _shown(vfs, child, f"{path}/{name}")
        elif isinstance(child.entry, Link):
            found[f"{path}/{name}"] = await vfs.readlink(child)
        elif name not in UNSTEADY and not name.endswith(".svg") and not isinstance(child.entry.source, Stream):
            opened = await vfs.files.open(child)
            found[f"{path}/{name}"] = bytes(await opened.read(0, opened.size))
            opened.close()
    return {place: shown for place, shown in found.items() if shown and shown != NOTHING.get(place.rpartition("/")[2])}


async def _mounted(wire: Wire, folder: Path, settings: dict[str, Any]) -> dict[str, Any]:
    async with (
        API("key", "http://comet", transport=Transport(wire)) as api,
        open_vfs(api, cache=Cache(folder, 1 << 30), **settings) as vfs,
    ):
        return await _shown(vfs, vfs.root)


async def test_what_a_mount_shows_does_not_depend_on_the_mounts_before(wire: Wire, tmp_path: Path) -> None:
    """Each of some settings shows over a cache that all the others left what it shows over one of its own."""
    (tmp_path / "shared").mkdir()
    for number, settings in enumerate(SETTINGS):
        (tmp_path / str(number)).mkdir()
        alone = await _mounted(wire, tmp_path / str(number), settings)
        assert await _mounted(wire, tmp_path / "shared", settings) == alone
        shown = {path.split("/")[1] for path in alone} - {".api", ".cometfs", "README.md"}
        assert shown == set(settings.get("workspaces") or ["tabular", "vision-lab"])
        assert json.loads(alone["/.api/workspaces.json"]) == (settings.get("workspaces") or ["tabular", "vision-lab"])


async def test_a_moment_of_another_process_is_older_than_all_here(
    wire: Wire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store's answer says when it was asked for, by a clock that no other process reads: it is kept for them all
    the same, and what they have written counts more."""
    for process in ("one", "another"):
        monkeypatch.setattr(kv_store, "PROCESS", process)
        async with (
            API("key", "http://comet", transport=Transport(wire)) as api,
            open_vfs(api, cache=Cache(tmp_path, 1 << 30), wall=lambda: 1e9) as vfs,
        ):
            node = await at(vfs, ".cometfs/store")
            found = (await vfs._answers.ask(kv_store.STORE, node.at)).value
            assert (found.began == -math.inf) == (process == "another")
    assert wire.asked.count("panel/store") == 1


def test_no_two_questions_share_a_name() -> None:
    """Under which their answers are kept: the second is refused, so none can be made for one mount's settings."""
    for kind in (Source, Stream):
        with pytest.raises(ValueError, match="'workspaces'"):
            kind("workspaces", None, None)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="'workspaces'"):
        Stream("workspaces", None, None, same_as=experiment.ASSET)  # type: ignore[arg-type]


def test_no_question_is_called_like_another_kind_of_key() -> None:
    """What is made of answers is kept beside them on disk, under keys that begin with the kind."""
    assert keys.WORDS.isdisjoint(question.name for question in _questions())


def _questions() -> set[Source | Stream]:
    """All that the tree asks, and all that those are made of."""
    left: list[Source | Stream] = list(questions_of(tree()))
    found: set[Source | Stream] = set()
    while left:
        question = left.pop()
        if question not in found:
            found.add(question)
            left += [*question.of, *filter(None, [question.after])] if isinstance(question, Source) else []
    return found


def _held(function: Any) -> Iterator[Any]:
    """What a function brings along: the values in its closure and its defaults, and in those of functions there."""
    assert isinstance(function, FunctionType), function
    for value in [*(cell.cell_contents for cell in function.__closure__ or ()), *(function.__defaults__ or ())]:
        if isinstance(value, FunctionType):
            yield from _held(value)
        elif value is not None:
            yield value


def test_questions_bring_nothing_along() -> None:
    """They are asked with what is known at the place; a value in a closure would be a setting that no key names."""
    found = _questions()
    assert len(found) > 30
    for question in found:
        asks = [question.ask, *([question.batch.ask] if question.batch else [])] if isinstance(question, Source) else []
        for function in asks if isinstance(question, Source) else [question.begin, question.row, question.listed_at]:
            assert list(_held(function)) == [], question.name


def test_a_version_that_is_registered_again_has_a_key_of_its_own() -> None:
    """Its files are told with its row."""
    model = Context("http://comet", 0.0, ("ws", "model"), "ws", item="model")
    rows = [{"version": "1.0.0", "experimentModel": None, "assets": [{"assetId": asset}]} for asset in ("a", "b")]
    first, second = (versioned.at_version(model, row) for row in rows)
    assert first.key == second.key
    assert versioned.MODEL_FILES.key(first) != versioned.MODEL_FILES.key(second)


async def test_metadata_follows_the_row_that_it_is_taken_from(
    wire: Wire, vfs: Vfs, autojump_clock: trio.testing.MockClock
) -> None:
    """What its key does not tell of the row, such as the user, is looked at again with the listing, at no call more."""
    assert json.loads(await read(vfs, f"{BASELINE}/metadata.json"))["userName"] != "renamed"

    def rename(answer: dict[str, list[dict[str, object]]]) -> None:
        for row in answer["experiments"]:
            row["userName"] = "renamed"

    wire.edits["experiments"] = rename
    await trio.sleep(LISTING + 1)
    assert json.loads(await read(vfs, f"{BASELINE}/metadata.json"))["userName"] == "renamed"
    assert "experiment/metadata" not in wire.asked
