"""A run with assets too big to be read at once: real bytes, or sparse files of which only the ends hold something.

Not here: what a mount makes of them (tests/mount/test_big_assets.py).
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PLACE = "ws/p/run"

MIB = 1 << 20

_SEED = random.Random(14).randbytes(MIB + 7)


def content(size: int) -> bytes:
    """Bytes of which no two blocks of a MiB are equal."""
    return (_SEED * (size // len(_SEED) + 1))[:size]


def write_big_run(directory: Path, assets: Mapping[str, bytes | int]) -> Path:
    """Writes a run as a folder; a number is the size of a sparse file that ends with `END`. Returns the folder."""
    folder = directory / f"{14:032x}"
    folder.mkdir(parents=True)
    heading = {"offline_id": folder.name, "workspace": "ws", "project_name": "p", "tags": []}
    (folder / "experiment.json").write_text(json.dumps({**heading, "start_time": 1, "stop_time": 2}))
    lines = [{"type": "log_other", "payload": {"key": "Name", "value": "run", "local_timestamp": 1}}]
    lines += [_upload(number, name) for number, name in enumerate(assets)]
    (folder / "messages.json").write_text("".join(json.dumps(line) + "\n" for line in lines))
    for number, body in enumerate(assets.values()):
        _write(folder / f"asset{number}", body)
    return folder


END = b"the end\n"


def _write(path: Path, body: bytes | int) -> None:
    if isinstance(body, bytes):
        path.write_bytes(body)
        return
    with path.open("wb") as file:
        file.truncate(body)
        file.seek(body - len(END))
        file.write(END)


def _upload(number: int, name: str) -> dict[str, Any]:
    more = {"assetId": f"{number:032x}", "fileName": name, "extension": name.rpartition(".")[2], "step": None}
    payload = {"upload_type": "asset", "file_path": f"asset{number}", "local_timestamp": 1, "metadata": {}}
    return {"type": "file_upload", "payload": {**payload, "additional_params": more}}
