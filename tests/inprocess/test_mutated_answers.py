"""Answers with values that nobody sends, one endpoint after the other: each costs files, and never ends in a traceback.

What is shown at all has a name that a directory can hold, and the size of its bytes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pyfuse3
import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cometfs.comet.api import API
from cometfs.comet.http.transport import Transport
from cometfs.composition.assembly import open_vfs
from cometfs.errors import CometFSError
from cometfs.server.catalog.catalog import Catalog
from cometfs.vfs.engine.vfs import Vfs
from cometfs.vfs.nodes import Node
from cometfs.vfs.schema import names
from cometfs.vfs.schema.declaration import Dir, File, Link
from tests.inprocess.conftest import BASELINE, FOREST, Wire, at
from tests.support.mutations import CHANGES, changed, places

PROJECT = "vision-lab/digits"
VIEWS = (f"{PROJECT}/views", f"{PROJECT}/charts", f"{PROJECT}/summary", f"{PROJECT}/archived")
RUNS = (BASELINE, FOREST, f"{BASELINE}/.api")

SHOWN: dict[str, tuple[str, ...]] = {
    "workspaces": ("", ".api"),
    "projects": ("", "vision-lab", f"{PROJECT}/README.md", f"{PROJECT}/project.json", f"{PROJECT}/url.txt"),
    "experiments": ("vision-lab", PROJECT, *VIEWS, f"{BASELINE}/metadata.json", f"{BASELINE}/url.txt"),
    "project/column-names": VIEWS,
    "project/query": VIEWS,
    "project/notes": (f"{PROJECT}/notes.md",),
    "experiments/multi-metric-chart": VIEWS,
    "experiments/search": (f"{PROJECT}/summary",),
    "experiment/metadata": (*RUNS, *VIEWS),
    "experiment/tags": (*RUNS, f"{PROJECT}/summary"),
    "experiment/code": RUNS,
    "experiment/output": RUNS,
    "experiment/html": RUNS,
    "experiment/graph": RUNS,
    "experiment/system-details": RUNS,
    "experiment/parameters": (*RUNS, f"{PROJECT}/summary"),
    "experiment/log-other": (*RUNS, f"{PROJECT}/summary"),
    "experiment/metrics/summary": (*RUNS, f"{PROJECT}/summary"),
    "experiment/metrics/get-metric": RUNS,
    "experiment/metrics/get-all": RUNS,
    "experiment/asset/list": RUNS,
    "experiment/git/metadata": RUNS,
    "get/artifacts": RUNS,
    "artifacts/get-all": ("vision-lab/.artifacts",),
    "artifacts/get": ("vision-lab/.artifacts",),
    "artifacts/version/files": ("vision-lab/.artifacts",),
    "registry-model": ("vision-lab/.models",),
    "registry-model/details": ("vision-lab/.models",),
}
"""Where answers of an endpoint are shown."""


class Changed(Wire):
    """One that makes the same changes of each answer of an endpoint."""

    def __init__(self, index: Catalog, endpoint: str, changes: list[tuple[int, Any]]) -> None:
        super().__init__(index)
        self._changes = changes
        self.edits[endpoint] = self._edit

    def _edit(self, answer: Any) -> None:
        whole = answer
        for number, change in self._changes:
            found = places(whole)
            whole = changed(whole, found[number % len(found)], change) if found else whole
        answer.clear()
        answer.update(whole)


async def entries(vfs: Vfs, node: Node) -> AsyncIterator[Node]:
    """A node, and all below it; not what is in other experiments."""
    yield node
    if not isinstance(node.entry, Dir):
        return
    try:
        listing, _ = await vfs.listings.children(node)
    except CometFSError:
        return
    for name, child in listing.nodes.items():
        check_name(name)
        inside = node.at.experiment is not None or child.at.experiment is None
        if inside or isinstance(child.entry, Link):
            async for below in entries(vfs, child):
                yield below


def check_name(name: str) -> None:
    """It is one part of a path, in UTF-8, that forges no line of a listing."""
    written = names.encoded(name)
    assert 0 < len(written) <= 255
    assert name not in (".", "..")
    assert written.decode().isprintable() or not set(name) & {"/", "\0", "\n", "\x1b"}, name


async def check(vfs: Vfs, node: Node) -> None:
    """What the kernel asks of it."""
    for word, value in vfs.provenance(node).items():
        names.encoded(word + value)
    try:
        seen = await vfs.attributes(node)
        entry = pyfuse3.EntryAttributes()
        entry.st_size = seen.size or 0
        entry.st_mtime_ns = int(seen.modified_ms * 1_000_000)
        if isinstance(node.entry, Link):
            assert len(names.encoded(await vfs.readlink(node))) <= 4095
        if isinstance(node.entry, File):
            opened = await vfs.files.open(node)
            with_bytes = await opened.read(0, opened.size)
            assert len(with_bytes) == opened.size
            opened.close()
    except CometFSError:
        return


async def walk(index: Catalog, endpoint: str, changes: list[tuple[int, Any]]) -> None:
    wire = Changed(index, endpoint, changes)
    async with API("key", "http://comet", transport=Transport(wire)) as api, open_vfs(api) as vfs:
        for path in SHOWN[endpoint]:
            try:
                top = await at(vfs, path) if path else vfs.root
            except CometFSError:
                continue
            async for node in entries(vfs, top):
                await check(vfs, node)


@pytest.mark.parametrize("endpoint", SHOWN)
@settings(max_examples=3, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(st.integers(0, 2000), CHANGES), min_size=1, max_size=12))
def test_no_value_that_a_server_sends_is_a_traceback(
    index: Catalog, caplog: pytest.LogCaptureFixture, endpoint: str, changes: list[tuple[int, Any]]
) -> None:
    """It is shown, left out, or an error of ours."""
    trio.run(walk, index, endpoint, changes)
    assert not [record for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")]
    caplog.clear()
