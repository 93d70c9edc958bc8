"""Experiments of a Comet that are changed through a mount: made and looked at over the wire.

Not here: Comets that change by themselves (edited_comet.py).
"""

from __future__ import annotations

import json
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cometfs.server import sample_directory
from tests.support.processes import PATIENCE, Comet, Mounted, running_comet
from tests.support.spawning import inside

WORKSPACE, PROJECT, OTHER = "lab", "changing", "elsewhere"


class Experiments:
    """Experiments of two projects of a Comet, made and looked at over the wire."""

    def __init__(self, comet: Comet) -> None:
        self.comet = comet
        for project in (PROJECT, OTHER):
            self.ask("write/project/create", {"workspaceName": WORKSPACE, "projectName": project})

    def ask(self, endpoint: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": "any", "Content-Type": "application/json"}
        asked = urllib.request.Request(f"{self.comet.url}/api/rest/v2/{endpoint}", data, headers)
        with urllib.request.urlopen(asked, timeout=PATIENCE) as reply:
            return json.load(reply)

    def make(self, name: str, *tags: str, project: str = PROJECT, **others: str) -> str:
        made = {"workspaceName": WORKSPACE, "projectName": project, "experimentName": name}
        key: str = self.ask("write/experiment/create", made)["experimentKey"]
        self.tag(key, *tags)
        for other, value in others.items():
            self.ask("write/experiment/log-other", {"experimentKey": key, "key": other, "value": value})
        return key

    def tag(self, key: str, *tags: str) -> None:
        self.ask("write/experiment/tags", {"experimentKey": key, "addedTags": list(tags)})

    def place(self, key: str) -> tuple[str, str, bool]:
        """Name, project, and whether it is archived."""
        row = self.ask(f"experiment/metadata?experimentKey={key}")
        return row["experimentName"], row["projectName"], row["archived"]

    def tags(self, key: str) -> list[str]:
        return sorted(self.ask(f"experiment/tags?experimentKey={key}")["tags"])

    def others(self, key: str) -> dict[str, str]:
        rows = self.ask(f"experiment/log-other?experimentKey={key}")["values"]
        return {row["name"]: row["valueCurrent"] for row in rows}


def sh(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(inside(folder, "bash", "-c", command), capture_output=True, text=True, timeout=PATIENCE)


def errors_of(mounted: Mounted) -> list[str]:
    """The sentences of `.cometfs/errors.log`."""
    return [line.split("\t")[-1] for line in (mounted / ".cometfs/errors.log").read_text().splitlines()]


@contextmanager
def changing_comet(folder: Path) -> Iterator[Comet]:
    """A Comet with one archive, that keeps what is written to it."""
    archives = folder / "archives"
    archives.mkdir()
    shutil.copy(next(sample_directory().glob("*.zip")), archives)
    with running_comet(folder, archives=archives) as running:
        yield running
