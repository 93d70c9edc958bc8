"""A Comet with a project for each fault: an experiment that the fault meets, and a neighbour that it must not.

Not here: the faults (fault_rows.py).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WORKSPACE = "faults"

VICTIM, NEIGHBOUR = "victim", "neighbour"

LINES = 200
"""Of an output, each with what it belongs to."""


@dataclass(frozen=True)
class Subject:
    """An experiment and what its files must hold."""

    project: str
    name: str
    number: int

    @property
    def key(self) -> str:
        return f"{self.number:032x}"

    @property
    def asset_id(self) -> str:
        return f"{self.number:032x}a"

    @property
    def folder(self) -> str:
        return f"{WORKSPACE}/{self.project}/{self.name}"

    @property
    def output(self) -> bytes:
        return "".join(f"{self.key} line {line}\n" for line in range(LINES)).encode()

    @property
    def asset(self) -> bytes:
        return b"".join(b"%d,%d\n" % (self.number, row) for row in range(3000))

    def files(self) -> dict[str, bytes]:
        """By path below the mount."""
        params = b'{\n  "lr": "0.5",\n  "run": "%s"\n}\n'
        return {
            f"{self.folder}/params.json": params.replace(b'"0.5"', b"0.5") % self.key.encode(),
            f"{self.folder}/output.txt": self.output,
            f"{self.folder}/assets/table.csv": self.asset,
        }


def subjects_of(number: int, project: str) -> tuple[Subject, Subject]:
    """Of the project with that number."""
    return Subject(project, VICTIM, 2 * number + 1), Subject(project, NEIGHBOUR, 2 * number + 2)


def write_world(directory: Path, projects: Sequence[str]) -> None:
    """The archives."""
    for number, project in enumerate(projects):
        for subject in subjects_of(number, project):
            _write(directory / subject.key, subject)


def _write(folder: Path, subject: Subject) -> None:
    folder.mkdir(parents=True)
    began = 1_700_000_000_000 + subject.number * 1000
    heading = {"offline_id": subject.key, "workspace": WORKSPACE, "project_name": subject.project, "tags": []}
    (folder / "experiment.json").write_text(json.dumps({**heading, "start_time": began, "stop_time": began + 900_000}))
    (folder / "table.csv").write_bytes(subject.asset)
    lines: list[tuple[str, dict[str, Any]]] = [
        ("log_other", {"key": "Name", "value": subject.name}),
        ("parameter_msg", {"param": _parameter("lr", 0.5)}),
        ("parameter_msg", {"param": _parameter("run", subject.key)}),
        ("standard_output", {"output": subject.output.decode(), "stderr": False}),
        ("file_upload", _upload(subject)),
    ]
    told = [{"type": kind, "payload": {**payload, "local_timestamp": began}} for kind, payload in lines]
    (folder / "messages.json").write_text("".join(json.dumps(line) + "\n" for line in told))


def _parameter(name: str, value: Any) -> dict[str, Any]:
    return {"paramName": name, "paramValue": value, "step": None, "source": "manual"}


def _upload(subject: Subject) -> dict[str, Any]:
    placed = {"assetId": subject.asset_id, "fileName": "table.csv", "step": None, "type": "asset"}
    return {"file_path": "table.csv", "upload_type": "asset", "additional_params": placed}
