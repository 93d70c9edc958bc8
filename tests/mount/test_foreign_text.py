"""What a server, a program or a file's name says, on a terminal and in logs: it gives no command and forges no line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from cometfs.server import sample_directory
from tests.mount.test_faults import FOREST, said
from tests.support.faulty_comet import Answer, Faults, faulty_comet
from tests.support.processes import COMETFS, PATIENCE, Comet, running_mount

TITLE = "\x1b]0;owned\x07"
SHOWN = "\\x1b]0;owned\\x07"
REFUSAL = Answer(403, json.dumps({"msg": f"{TITLE}\x9b2J\n2026-01-01 ERROR forged", "code": 403}).encode())


@pytest.fixture
def faulty(comet: Comet) -> Iterator[tuple[Comet, Faults]]:
    with faulty_comet(comet) as found:
        yield found


def bears(text: bytes) -> bool:
    """Whether a terminal gets nothing from it but lines of text."""
    return all(line.isprintable() for line in text.decode().split("\n"))


def run(*command: str | Path, **environ: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*map(str, command)], env={**os.environ, **environ}, capture_output=True, timeout=PATIENCE, check=False
    )


def test_the_log_of_a_mount_bears_what_a_server_says(tmp_path: Path, faulty: tuple[Comet, Faults]) -> None:
    """One line for an error, in which the server's words are seen."""
    comet, faults = faulty
    with running_mount(tmp_path, comet) as mounted:
        faults.answers["experiment/code"] = REFUSAL
        assert said("cat", mounted / FOREST / "code.py")[0] == 1
    (line,) = mounted.log.read_text().splitlines()
    assert f"{SHOWN}\\x9b2J 2026-01-01 ERROR forged" in line
    assert bears(mounted.log.read_bytes())


@pytest.mark.parametrize("mode", [["--foreground"], []], ids=["foreground", "daemon"])
def test_a_mount_that_fails_bears_what_a_server_says(
    mode: list[str], tmp_path: Path, faulty: tuple[Comet, Faults]
) -> None:
    """On the terminal, and in the daemon's log."""
    comet, faults = faulty
    faults.answers["workspaces"] = REFUSAL
    place = tmp_path / "mnt"
    place.mkdir()
    own = {"COMET_API_KEY": "k", "XDG_CACHE_HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path)}
    failed = run(*COMETFS, "mount", place, "--url", comet.url, *mode, **own)
    assert failed.returncode == 1
    assert SHOWN in failed.stderr.decode()
    logs = [path.read_bytes() for path in tmp_path.rglob("*.log")]
    assert len(logs) == (0 if mode else 1)
    assert all(map(bears, [failed.stderr, *logs]))
    assert all(SHOWN in log.decode() for log in logs)


def test_status_bears_what_a_program_calls_itself(tmp_path: Path, comet: Comet) -> None:
    """A process gives itself its name, a newline in it too."""
    program = tmp_path / "\x1b]0;x\x07\n  calls"
    shutil.copy("/bin/cat", program)
    with running_mount(tmp_path, comet) as mounted:
        assert run(program, mounted / FOREST / "params.json").returncode == 0
        told = run(*COMETFS, "status", mounted.path)
        found = json.loads(run(*COMETFS, "status", mounted.path, "--json").stdout)
    assert "\\x1b]0;x\\x07\\n  calls" in told.stdout.decode()
    assert bears(told.stdout)
    assert program.name in found["calls"]["by_command"]


def test_cache_commands_bear_what_lies_in_the_cache(tmp_path: Path, comet: Comet) -> None:
    """The server's name is read from a file."""
    with running_mount(tmp_path, comet) as mounted:
        (mounted / FOREST / "params.json").read_bytes()
    (name,) = (tmp_path / "cache").rglob("server")
    name.write_text(f"http://{TITLE}\nforged: 0 B freed", "utf-8")
    for command in ("info", "verify", "clear"):
        told = run(*COMETFS, "cache", command, "--cache-dir", tmp_path / "cache/cometfs")
        assert told.returncode == 0
        assert f"http://{SHOWN}\\nforged" in told.stdout.decode()
        assert bears(told.stdout)


def test_serve_bears_the_names_of_files_and_what_is_asked(tmp_path: Path) -> None:
    """In its log of archives that it cannot read, and in its access log."""
    shutil.copy(next(sample_directory().glob("*.zip")), tmp_path)
    (tmp_path / f"{TITLE}\nforged.zip").write_bytes(b"PK no archive")
    log = tmp_path / "access.jsonl"
    command = [*COMETFS, "serve", str(tmp_path), "--access-log", str(log)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        url = process.stdout.readline().decode().split()[-1]
        asked = urllib.request.Request(
            f"{url}/api/rest/v2/workspaces/%7F%C2%9B2J%0A?x=%1B", headers={"Authorization": "k"}
        )
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(asked, timeout=PATIENCE)
        process.terminate()
        _, complaint = process.communicate(timeout=PATIENCE)
    assert SHOWN in complaint.decode()
    assert bears(complaint)
    assert bears(log.read_bytes())
    assert json.loads(log.read_bytes())["path"].endswith("/workspaces/\x7f\x9b2J\n")
