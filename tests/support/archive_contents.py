"""What the archives themselves say: the expectation of the mounted tests, read with zipfile and json alone.

Not here: what Comet or the mount make of it, beyond the order of points and the last word on a name.
"""

from __future__ import annotations

import json
import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

Payload = dict[str, Any]


@dataclass(frozen=True)
class Asset:
    """One file that was logged, or the link that stands for one."""

    name: str
    step: Any
    id: str
    created: int | None
    content: bytes
    remote: bool = False
    named: bool = True


@dataclass(frozen=True, eq=False)
class Archive:
    """One experiment as OfflineExperiment wrote it."""

    key: str
    members: dict[str, bytes]

    @cached_property
    def about(self) -> Payload:
        return dict(json.loads(self.members["experiment.json"]))

    @cached_property
    def project(self) -> tuple[str, str]:
        return self.about["workspace"], self.about["project_name"]

    @cached_property
    def messages(self) -> list[tuple[str, Payload]]:
        lines = map(json.loads, self.members["messages.json"].splitlines())
        return [(line["type"], line["payload"]) for line in lines]

    def of(self, kind: str) -> list[Payload]:
        return [payload for found, payload in self.messages if found == kind]

    @cached_property
    def others(self) -> Payload:
        return {payload["key"]: payload["value"] for payload in self.of("log_other")}

    @cached_property
    def params(self) -> Payload:
        """The last value of each parameter that has no context."""
        plain = [payload for payload in self.of("parameter_msg") if not payload.get("context")]
        found = [payload.get("param") or payload["params"] for payload in plain]
        return {param["paramName"]: param["paramValue"] for param in found}

    @cached_property
    def points(self) -> dict[str, list[tuple[Any, Any, int, Any]]]:
        """(step, epoch, time, value) of each metric, sorted by step, then time, then as logged."""
        found: dict[str, list[tuple[Any, Any, int, Any]]] = {}
        for payload in self.of("metric_msg"):
            metric, context = payload["metric"], payload.get("context")
            name = f"{context}_{metric['metricName']}" if context else metric["metricName"]
            point = (metric.get("step"), metric.get("epoch"), payload["local_timestamp"], metric["metricValue"])
            found.setdefault(name, []).append(point)
        return {name: sorted(points, key=_by_step_and_time) for name, points in found.items()}

    @cached_property
    def output(self) -> str:
        return "".join(payload["output"] for payload in self.of("standard_output"))

    @cached_property
    def html(self) -> str:
        text = ""
        for kind, payload in self.messages:
            if kind == "html":
                text += payload["html"]
            elif kind == "htmlOverride":
                text = payload["htmlOverride"]
        return text

    @cached_property
    def code(self) -> bytes:
        """The script that created the experiment."""
        uploads = [payload for payload in self.of("file_upload") if payload["upload_type"] == "source_code"]
        first = [upload for upload in uploads if upload["metadata"]["source_code_type"] == "experiment_creation"]
        return self.members[first[0]["file_path"]] if first else b""

    @cached_property
    def assets(self) -> list[Asset]:
        """All that belongs into assets/; `named` is false where Comet, not the user, chooses the name."""
        uploads = [payload for payload in self.of("file_upload") if payload["additional_params"]]
        found = [self._uploaded(payload) for payload in uploads if payload["upload_type"] != "histogram3d"]
        found += self.histograms
        for payload in self.of("remote_file"):
            params, link = payload["additional_params"], payload["remote_uri"].encode()
            found.append(Asset(params["fileName"], params["step"], params["assetId"], None, link, remote=True))
        for payload in self.of("remote_model"):
            for one in payload["remote_assets"]:
                link = one["remoteUrl"].encode()
                found.append(Asset(one["fileName"], None, one["assetId"], None, link, remote=True))
        for payload in self.of("3d-image"):
            for path in (payload["thumbnail_path"], *(item["file_path"] for item in payload["items"])):
                found.append(Asset(path, payload["step"], "", None, self.members[path], named=False))
        return found

    @cached_property
    def histograms(self) -> list[Asset]:
        """Those that Comet makes of the pieces of each name, which are its business alone."""
        pieces: dict[str, list[Asset]] = {}
        for payload in self.of("file_upload"):
            if payload["upload_type"] == "histogram3d":
                pieces.setdefault(payload["additional_params"]["fileName"], []).append(self._uploaded(payload))
        return [_joined(name, sorted(found, key=lambda piece: piece.step)) for name, found in pieces.items()]

    def _uploaded(self, payload: Payload) -> Asset:
        params = payload["additional_params"]
        name = params.get("fileName") or params["figName"]
        return Asset(
            name,
            params["step"],
            params.get("assetId") or params["imageId"],
            payload["local_timestamp"],
            self.members[payload["file_path"]],
            named=payload["upload_type"] != "text-sample",
        )


def _joined(name: str, pieces: list[Asset]) -> Asset:
    steps = b",".join(b'{"step":%d,"histogram":%b}' % (piece.step, piece.content) for piece in pieces)
    created = max(piece.created or 0 for piece in pieces)
    return Asset(name, None, "", created, b'{"histograms":[%b]}' % steps)


def _by_step_and_time(point: tuple[Any, Any, int, Any]) -> tuple[bool, Any, int]:
    step, _, time, _ = point
    return step is not None, step or 0, time


def read_archives(where: Path) -> list[Archive]:
    """Every archive of a directory, by key."""
    found = []
    for path in sorted(where.glob("*.zip")):
        with zipfile.ZipFile(path) as archive:
            found.append(Archive(path.stem, {name: archive.read(name) for name in archive.namelist()}))
    return found


def folders(archives: list[Archive]) -> dict[str, PurePosixPath]:
    """Where the mount has each experiment, by key."""
    names = Counter((archive.project, archive.others.get("Name")) for archive in archives)
    return {archive.key: PurePosixPath(*archive.project, _folder(archive, names)) for archive in archives}


def _folder(archive: Archive, names: Counter[tuple[tuple[str, str], str | None]]) -> str:
    name = archive.others.get("Name")
    if not name:
        return archive.key
    if names[archive.project, name] > 1:
        return f"{name}-{archive.key[:8]}"
    return name.replace("/", "%2F") if name not in ("notes.md", "project.json") else escaped_first(name)


def escaped_first(name: str) -> str:
    """A name that would collide with a fixed one: its first letter becomes %XX."""
    return "".join(f"%{byte:02X}" for byte in name[0].encode()) + name[1:]


def quoted(text: str) -> str:
    """A value of a query."""
    return quote(text, safe="")


def write_logged_run(directory: Path, key: str, logged: Sequence[tuple[str, str, Any, bytes]]) -> None:
    """An experiment "run" of ws/p with assets: type, name, step and bytes of each. Their ids are a0, a1, ..."""
    folder = directory / key
    folder.mkdir(parents=True)
    heading = {"offline_id": key, "workspace": "ws", "project_name": "p", "start_time": 1, "stop_time": 9, "tags": []}
    (folder / "experiment.json").write_text(json.dumps(heading))
    lines: list[Payload] = [{"type": "log_other", "payload": {"key": "Name", "value": "run", "local_timestamp": 1}}]
    for index, (kind, name, step, body) in enumerate(logged):
        (folder / f"a{index}").write_bytes(body)
        placed = {"assetId": f"a{index}", "fileName": name, "step": step, "type": kind}
        payload = {"file_path": f"a{index}", "upload_type": kind, "additional_params": placed, "local_timestamp": 2}
        lines.append({"type": "file_upload", "payload": payload})
    (folder / "messages.json").write_text("".join(json.dumps(line) + "\n" for line in lines))
