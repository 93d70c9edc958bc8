"""A store of big assets: a run as a folder, and nginx over it, at the speed of files or of a line far away.

Not here: Comet, which redirects there (stored_comet.py), and what is read (huge.py).
"""

from __future__ import annotations

import json
import random
import shutil
import socket
import sqlite3
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from benchmark.processes import PATIENCE, BenchError, Server, running

KEY = f"{14:032x}"
PLACE = "bench/huge/run/assets"

GIB = 1 << 30
ORDER, TWO, EIGHT, ZIP, TABLE = "order.bin", "two.bin", "eight.bin", "files.zip", "points.sqlite"
END = b"the end\n"

ROWS = 3_000_000
"""Of the table: some 200 MB."""

LINE = 20 * 10**6
"""Bytes a second that a connection brings over the line far away; the first of them come after the latency."""


def make(work: Path) -> Path:
    """The folder of big assets, some 4 GB."""
    return made(work, "huge", _write)


def made(work: Path, name: str, write: Callable[[Path], object]) -> Path:
    """The folder of runs with one run, which `write` fills, made unless it is there already."""
    folder, making = work / name, work / f"making-{name}"
    if not folder.exists():
        shutil.rmtree(making, ignore_errors=True)
        (making / KEY).mkdir(parents=True)
        write(making / KEY)
        making.rename(folder)
    return folder


def log(run: Path, project: str, names: Sequence[str]) -> None:
    """Writes what a run says of itself, and of the assets that lie in its folder."""
    heading = {"offline_id": KEY, "workspace": "bench", "project_name": project, "tags": []}
    (run / "experiment.json").write_text(json.dumps({**heading, "start_time": 1, "stop_time": 2}))
    name = {"type": "log_other", "payload": {"key": "Name", "value": "run", "local_timestamp": 1}}
    lines = [name, *(_upload(number, one) for number, one in enumerate(names))]
    (run / "messages.json").write_text("".join(json.dumps(line) + "\n" for line in lines))


def _write(run: Path) -> None:
    log(run, "huge", (ORDER, TWO, EIGHT, ZIP, TABLE))
    _fill(run / ORDER, GIB)
    _fill(run / TWO, 2 * GIB)
    with (run / EIGHT).open("wb") as file:
        file.truncate(8 * GIB)
        file.seek(8 * GIB - len(END))
        file.write(END)
    content = random.Random(ZIP).randbytes(100_000)
    with zipfile.ZipFile(run / ZIP, "w") as archive:
        for number in range(5_000):
            archive.writestr(f"part-{number:04}.bin", content)
    with closing(sqlite3.connect(run / TABLE)) as db, db:
        db.execute("CREATE TABLE points (step INTEGER PRIMARY KEY, value REAL, note TEXT)")
        db.executemany("INSERT INTO points VALUES (?, ?, ?)", ((n, n / 3, f"{n:048}") for n in range(ROWS)))


def _fill(path: Path, size: int) -> None:
    """Bytes of which no two MiB are equal."""
    seed = random.Random(path.name).randbytes(1 << 20)
    with path.open("wb") as file:
        for number in range(size >> 20):
            file.write(number.to_bytes(8) + seed[8:])


def _upload(number: int, name: str) -> dict[str, Any]:
    more = {"assetId": f"{number:032x}", "fileName": name, "extension": name.rpartition(".")[2], "step": None}
    payload = {"upload_type": "asset", "file_path": name, "local_timestamp": 1, "metadata": {}}
    return {"type": "file_upload", "payload": {**payload, "additional_params": more}}


CONFIG = """
daemon off; pid {place}/pid; error_log {place}/error.log; worker_processes 1; user root;
events {{ worker_connections 512; }}
http {{
    log_format json escape=json '{{"path":"$uri","bytes":$body_bytes_sent,"status":$status}}';
    access_log {place}/access.jsonl json;
    sendfile on; tcp_nopush on; keepalive_requests 100000;
    client_body_temp_path {place}/t; proxy_temp_path {place}/t; fastcgi_temp_path {place}/t;
    uwsgi_temp_path {place}/t; scgi_temp_path {place}/t;
    server {{
        listen 127.0.0.1:{port};
        location / {{ root {folder}; autoindex on; {line} }}
        location = /wait {{ internal; proxy_pass {waits}/; access_log off; }}
    }}
}}
"""


@contextmanager
def nginx(folder: Path, place: Path, waits: Server | None = None) -> Iterator[Server]:
    """nginx over a folder; `waits`: what answers after the latency, if the line shall be slow."""
    place.mkdir(parents=True, exist_ok=True)
    log, port = place / "access.jsonl", _free_port()
    log.write_bytes(b"")
    line = f"auth_request /wait; limit_rate {LINE};" if waits else ""
    address = waits.url if waits else "http://127.0.0.1:9"
    config = CONFIG.format(place=place.resolve(), port=port, folder=folder.resolve(), line=line, waits=address)
    (place / "nginx.conf").write_text(config)
    command: Sequence[str | Path] = ["nginx", "-c", (place / "nginx.conf").resolve()]
    with running(command, place / "nginx.log") as process:
        begin = time.monotonic()
        while socket.socket().connect_ex(("127.0.0.1", port)):
            if process.poll() is not None or time.monotonic() - begin > PATIENCE:
                raise BenchError(f"nginx did not start: {(place / 'nginx.log').read_text()[-2000:]}")
            time.sleep(0.01)
        yield Server(f"http://127.0.0.1:{port}", log)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
