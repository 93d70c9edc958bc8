"""Many programs at a time: none fails, and nothing is held afterwards. `scripts/soak --load` does it for minutes."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

from tests.support import fault_kinds as kinds
from tests.support.fault_proxy import fault_proxy
from tests.support.load import PROGRAMS, loaded
from tests.support.processes import Comet, running_comet, running_mount

READERS = 64

MOST = 250_000
"""Kilobytes of the daemon; 50,000 are its own, and 64,000 its budget of answers."""


def test_programs_at_a_time_do_not_fail(tmp_path: Path) -> None:
    table, wrong = loaded(tmp_path, minutes=0.05, replicas=3, processes=6)
    assert wrong == []
    assert "0 failures" in table
    assert any(f"| `{name}` |" in table for name in PROGRAMS)


def test_readers_at_a_time_take_bounded_memory(tmp_path: Path) -> None:
    """64 of answers of half a MB each, which take several times as much while they are understood."""
    text = "a line of sixty characters, which is as long as most lines\n" * 8_500
    with running_comet(tmp_path, "--replicate", "6") as comet, fault_proxy(comet.url) as between:
        between.declare("long", lambda request: request.endpoint == "experiment/output", kinds.instead(_output(text)))
        behind = Comet(between.url, comet.process, comet.access_log, comet.archives)
        with running_mount(tmp_path, behind, "--deadline", "150") as mounted:
            runs = [path for path in mounted.path.glob("[!.]*/[!.]*/*[a-z0-9]") if (path / "metadata.json").is_file()]
            readers = [
                subprocess.Popen(["cat", path / "output.txt"], stdout=subprocess.PIPE) for path in runs[:READERS]
            ]
            found = [reader.communicate()[0] for reader in readers]
            assert found == [text.encode()] * READERS
            status = Path(f"/proc/{mounted.process.pid}/status").read_text()
            assert between.clear("long") >= READERS
    assert int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) < MOST


def _output(text: str) -> bytes:
    return json.dumps({"output": text}).encode()
