"""A refusal with status 200, whichever question it answers: an error with the server's words, never an empty file."""

from __future__ import annotations

from typing import Any

import pytest

from cometfs.errors import CometFSError, Unintelligible
from cometfs.vfs.engine.vfs import Vfs
from tests.inprocess.conftest import BASELINE, Wire, names, read

WORDS = "Sorry, \x1b[31mno\nsuch thing"

FILES = {
    "experiment/tags": "tags.txt",
    "experiment/code": "code.py",
    "experiment/output": "output.txt",
    "experiment/html": "report.html",
    "experiment/graph": "graph.txt",
    "experiment/system-details": "system.json",
    "experiment/parameters": "params.json",
    "experiment/log-other": "others.json",
    "experiment/metrics/summary": "metrics.json",
    "experiment/git/metadata": "git/metadata.json",
    "get/artifacts": "artifacts.json",
}
"""By the endpoint that each costs."""

DIRECTORIES = {
    "projects": "vision-lab",
    "experiments": "vision-lab/digits",
    "experiment/asset/list": f"{BASELINE}/assets",
    "project/column-names": "vision-lab/digits/charts",
    "artifacts/get-all": "vision-lab/.artifacts",
    "registry-model": "vision-lab/.models",
}


def refuse(answer: dict[str, Any]) -> None:
    answer.clear()
    answer |= {"msg": WORDS, "code": 400}


@pytest.mark.parametrize("endpoint", FILES)
async def test_a_refusal_is_no_empty_file(vfs: Vfs, wire: Wire, endpoint: str) -> None:
    """In the sentence are its words, in one line."""
    path = f"{BASELINE}/{FILES[endpoint]}"
    wire.edits[endpoint] = refuse
    with pytest.raises(Unintelligible, match=r": Sorry, .*no such thing"):
        await read(vfs, path)
    del wire.edits[endpoint]
    assert await read(vfs, path)


@pytest.mark.parametrize("endpoint", DIRECTORIES)
async def test_a_refusal_is_no_empty_directory(vfs: Vfs, wire: Wire, endpoint: str) -> None:
    """The same of listings."""
    wire.edits[endpoint] = refuse
    with pytest.raises(CometFSError, match="no such thing"):
        await names(vfs, DIRECTORIES[endpoint])
