"""Every JSON file is JSON, whatever Comet has of what it shows."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cometfs.comet.api import API
from cometfs.comet.http.transport import Transport
from cometfs.composition.assembly import open_vfs
from cometfs.render import objects
from cometfs.server.catalog.catalog import open_directory
from cometfs.vfs.engine.vfs import Vfs
from cometfs.vfs.nodes import Node
from cometfs.vfs.schema.declaration import Dir, File, Stream
from tests.inprocess.conftest import Wire, read

FRESH = "ws/p/fresh"


def no_json(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON")


def parsed(body: bytes) -> Any:
    """What it says, as strictly as jq's and JavaScript's parsers read it."""
    return json.loads(body, parse_constant=no_json)


async def _json_files(vfs: Vfs, node: Node, path: str) -> AsyncIterator[tuple[str, Node]]:
    """Those below `node`, in listings or not, but for what users logged."""
    listing, _ = await vfs.listings.children(node)
    for name, child in (listing.nodes | listing.unlisted).items():
        if isinstance(child.entry, Dir):
            async for found in _json_files(vfs, child, f"{path}/{name}"):
                yield found
        elif name.endswith(".json") and isinstance(child.entry, File) and not isinstance(child.entry.source, Stream):
            yield f"{path}/{name}", child


async def _all_parsed(vfs: Vfs) -> dict[str, Any]:
    found = {}
    async for path, node in _json_files(vfs, vfs.root, ""):
        opened = await vfs.files.open(node)
        found[path] = parsed(bytes(await opened.read(0, opened.size)))
        opened.close()
    return found


async def test_every_json_file_of_the_sample_parses(vfs: Vfs) -> None:
    """Those of `.api/` too."""
    found = await _all_parsed(vfs)
    assert len(found) > 300
    assert found["/tabular/Diabetes progression/boosting-depth-5/git/metadata.json"]


def nulled(answer: dict[str, Any]) -> None:
    """As Comet answers about what was never logged: every field, and each of them null."""
    for name in answer:
        answer[name] = None


@pytest.fixture
def fresh(tmp_path: Path) -> Wire:
    """A Comet with one experiment, of which nothing was logged but its name."""
    heading = {"offline_id": "f" * 32, "workspace": "ws", "project_name": "p", "start_time": 1, "stop_time": 9}
    name = {"type": "log_other", "payload": {"key": "Name", "value": "fresh", "local_timestamp": 1}}
    folder = tmp_path / ("f" * 32)
    folder.mkdir()
    (folder / "experiment.json").write_text(json.dumps(heading | {"tags": []}))
    (folder / "messages.json").write_text(json.dumps(name) + "\n")
    wire = Wire(open_directory(tmp_path))
    for part in ("git/metadata", "system-details", "html", "graph", "code", "output"):
        wire.edits[f"experiment/{part}"] = nulled
    return wire


async def test_every_json_file_of_an_experiment_without_anything_parses(fresh: Wire) -> None:
    """Read before anything is known of it, when no listing can leave it out yet."""
    async with API("key", "http://comet", transport=Transport(fresh)) as api, open_vfs(api) as vfs:
        found = await _all_parsed(vfs)
        assert found[f"/{FRESH}/git/metadata.json"] == found[f"/{FRESH}/system.json"] == {}
        assert found[f"/{FRESH}/params.json"] == found[f"/{FRESH}/metrics.json"] == {}
        assert found[f"/{FRESH}/others.json"] == {"Name": "fresh"}
        assert found[f"/{FRESH}/.api/experiment_html.json"] is None
        assert found[f"/{FRESH}/.api/experiment_tags.json"] == []
        # Of a text that there is not, an empty file: as the manual says.
        for name in ("report.html", "graph.txt", "tags.txt", "code.py", "output.txt", "requirements.txt"):
            assert await read(vfs, f"{FRESH}/{name}") == b""


numbers = st.floats() | st.integers() | st.text() | st.none() | st.booleans()
answers = st.recursive(numbers, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10)


@given(answers)
def test_any_answer_is_json(answer: Any) -> None:
    """Null too; a NaN or an infinity, which JSON has none of, is null."""
    assert objects.pretty(answer).endswith(b"\n")
    shown = parsed(objects.pretty(answer))
    assert shown == answer or "\ufffd" in repr(answer) or _odd(answer)


def _odd(answer: Any) -> bool:
    """Whether it holds what JSON in UTF-8 does not."""
    written = json.dumps(answer, ensure_ascii=True)
    return "NaN" in written or "Infinity" in written or "\\ud" in written
