"""The files of `cometx download`: their names, and their bytes from those of files of the mount. Pure functions.

As cometx 3.6 writes them. Not here: which of them there are (cometx_tree.py).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from cometfs._version import __version__
from cometfs.vfs.schema import names
from cometfs.vfs.schema.names import Path

Row = Mapping[str, Any]

WRITTEN_BY = f"cometfs {__version__}"
"""Where cometx puts its own version."""

GATHERED = frozenset(
    (
        *("metadata.json", "tags.txt", "code.py", "output.txt", "report.html"),
        *("graph.txt", "system.json", "others.json", "git", "assets"),
    )
)
"""What is asked together of an experiment."""


def _dumped(value: Any) -> bytes:
    return json.dumps(value).encode()


def _rows(data: bytes) -> bytes | None:
    return b"".join(_dumped(row) + b"\n" for row in json.loads(data))


def _points(data: bytes) -> bytes | None:
    return _rows(data) or None


def _metadata(metadata: bytes, tags: bytes) -> bytes:
    return _dumped({**json.loads(metadata), "tags": json.loads(tags), "cometDownloadVersion": WRITTEN_BY})


def _project(metadata: bytes) -> bytes:
    return _dumped({**json.loads(metadata), "cometDownloadVersion": WRITTEN_BY})


def _system(details: bytes) -> bytes:
    packages = ("installedPackages", "osPackages")
    return _dumped({name: value for name, value in json.loads(details).items() if name not in packages})


def _requirements(details: bytes) -> bytes | None:
    found = json.loads(details)
    packages = found.get("installedPackages") or found.get("osPackages")
    return "\n".join(packages).encode("utf-8", "replace") if packages else None


def _parameters(rows: bytes) -> bytes:
    return _dumped(json.loads(rows))


def _git(metadata: bytes) -> bytes | None:
    found = json.loads(metadata)
    return _dumped(found) if any(found.values()) else None


_README = """
Reproduce git commands
---------------------------

To restore the original git:

```
git clone {origin}
cd {directory}
```

To return to git branch and restore work in progress:

```
git checkout {branch}
git checkout {parent}
{patch}
```
"""


def _readme(metadata: bytes, patch: bytes) -> bytes | None:
    found = json.loads(metadata)
    origin, branch = found.get("origin"), found.get("branch")
    if not origin:
        return None
    text = _README.format(
        origin=origin,
        directory=origin.split("/")[-1].split(".")[0],
        branch=branch.split("/")[-1] if branch else branch,
        parent=found.get("parent"),
        patch="git apply git_diff.patch" if patch else "",
    )
    return text.encode("utf-8", "replace")


def _assets(data: bytes) -> bytes | None:
    return b"".join(_dumped(row) + b"\n" for row in _named(json.loads(data))) or None


Make = Callable[..., bytes | None]

PROJECT: Sequence[tuple[str, str, Make | None]] = (
    ("project_metadata.json", ".api/project_metadata.json", _project),
    ("project_notes.md", "notes.md", None),
)

_SYSTEM = (".api/experiment_system_details.json",)
_GIT = ("git/metadata.json", "git/diff.patch")

EXPERIMENT: Sequence[tuple[str, Sequence[str], Make | None]] = (
    ("metadata.json", (".api/experiment_metadata.json", ".api/experiment_tags.json"), _metadata),
    ("system_details.json", _SYSTEM, _system),
    ("others.jsonl", (".api/experiment_other.json",), _rows),
    ("parameters.json", (".api/experiment_parameters.json",), _parameters),
    ("metrics.jsonl", (".api/experiment_metric.json",), _points),
    ("run/requirements.txt", _SYSTEM, _requirements),
    ("run/script.py", ("code.py",), None),
    ("run/output.txt", ("output.txt",), None),
    ("run/graph_definition.txt", ("graph.txt",), None),
    ("run/git_metadata.json", _GIT[:1], _git),
    ("run/git_diff.patch", _GIT[1:], None),
    ("run/README.md", _GIT, _readme),
    ("assets/html/experiment.html", ("report.html",), None),
    ("assets/assets_metadata.jsonl", (".api/experiment_assets.json",), _assets),
)


def asset_paths(rows: Sequence[Row]) -> Iterator[tuple[Path, Row]]:
    """Where each asset stands; where several are at one place, the last."""
    for row in _named(rows):
        name = row.get("diskFileName", row["fileName"]) or row["assetId"]
        yield ("assets", names.whole(row["type"] or "asset"), *_plain(name + ".url" * bool(row["remote"]))), row


def _plain(name: str) -> Path:
    parts = [part for part in name.replace(":", "-").split("/") if part not in ("", ".", "..")]
    return tuple(names.shorten(part if part.isprintable() else names.escape(part)) for part in parts) or ("%",)


def _named(rows: Sequence[Row]) -> Iterator[dict[str, Any]]:
    """Rows of assets, where several share a name with one for the disk."""
    counts: Counter[str] = Counter()
    for row in map(_stepped, rows):
        name = row["fileName"] or ""
        stem, dot, suffix = name.rpartition(".")
        if counts[name]:
            row["diskFileName"] = f"{stem}_{counts[name]}.{suffix}" if dot else f"{name}_{counts[name]}"
        counts[name] += 1
        yield row


def _stepped(row: Row) -> dict[str, Any]:
    """Sounds bear their step."""
    name = row["fileName"]
    if row["type"] != "audio" or row["step"] is None or not name:
        return dict(row)
    stem, _, suffix = name.partition(".")
    return {**row, "logAsFileName": name, "fileName": f"{stem}-{row['step']}.{suffix}"}
