"""Answers that are nested as deeply as can be read: that costs the field which is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cometfs.vfs.engine.vfs import Vfs
from tests.inprocess.conftest import BASELINE, Wire, names, read

PROJECT = "vision-lab/digits"


def nested(depth: int) -> Any:
    found: Any = 1
    for _ in range(depth):
        found = [found]
    return found


@pytest.mark.parametrize("depth", [20, 200, 500, 900])
async def test_what_is_nested_deeply_costs_its_field(vfs: Vfs, wire: Wire, depth: int) -> None:
    """Reading it, taking secrets out and writing it reach their limits at different depths."""

    def nest(field: str, listed: str = "") -> Any:
        def edit(answer: Any) -> None:
            for row in answer[listed][:1] if listed else [answer]:
                row[field] = nested(depth)

        return edit

    wire.edits["experiment/system-details"] = nest("env")
    wire.edits["projects"] = nest("new", "projects")
    assert "digits" in await names(vfs, "vision-lab")
    shown = {f"{BASELINE}/system.json": "env", f"{PROJECT}/project.json": "new"}
    for path, field in shown.items():
        found = json.loads(await read(vfs, path))
        assert found.get(field) == (nested(depth) if depth < 64 else None)
    assert await read(vfs, f"{BASELINE}/params.json")
