"""No colour and no bold letter where none is wanted: `NO_COLOR`, a terminal that knows no escapes, a pipe."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cometfs.cli import main
from tests.support.processes import PATIENCE, Comet, Mounted, running_mount

ESCAPE = "\x1b"

STYLE = re.compile(r"\x1b\[[0-9;:]*m")

QUIET = {"mount", "umount", "serve"}
"""What these print goes through the same functions as the rest."""

ALL_OF_THEM = """
import json, sys
from pathlib import Path
from cometfs.process import console
from cometfs.demo import tour
from cometfs.cli import main
from cometfs.process.terminal import terminal

for words in json.loads(sys.argv[1]):
    print("$", *words, flush=True)
    try:
        main(words, prog_name="cometfs")
    except SystemExit as ended:
        print("status", ended.code, flush=True)
print("$ demo", flush=True)
tour.show(terminal(markup=True, highlight=True), Path("/tmp/place"), "http://127.0.0.1:1")
"""
"""In one process: to start the interpreter for each of them takes longer than all they do."""


@pytest.fixture(scope="module")
def mounted(tmp_path_factory: pytest.TempPathFactory, comet: Comet) -> Iterator[Mounted]:
    with running_mount(tmp_path_factory.mktemp("plain"), comet, COMET_API_KEY="k") as found:
        yield found


def commands(mounted: Mounted, folder: Path) -> dict[str, list[list[str]]]:
    """Each command as it prints something; some twice."""
    place, experiment = str(mounted.path), str(mounted.path / "vision-lab/digits/mlp-baseline")
    return {
        "list": [["list"]],
        "status": [["status"], ["status", place]],
        "cost": [["cost", experiment]],
        "warm": [["warm", f"{experiment}/git"]],
        "refresh": [["refresh", f"{experiment}/git"]],
        "log-level": [["log-level", place]],
        "cache": [["cache", "info"]],
        "export": [["export", f"{experiment}/git", str(folder / "out")]],
        "config": [["config"]],
        "doctor": [["doctor"]],
        "service": [["service", "--print"]],
        "completion": [["completion", "bash"]],
        "help": [["help"], ["help", "service"], ["help", "nothing"]],
        "version": [["version"]],
    }


def shown(mounted: Mounted, folder: Path, *, pipe: bool = False, **environ: str) -> str:
    """All that they print to a terminal."""
    words = [one for several in commands(mounted, folder).values() for one in several]
    kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR", "TERM")}
    environment = {**kept, "COMET_API_KEY": "k", "COMET_URL_OVERRIDE": mounted.comet.url, "PAGER": "cat", **environ}
    environment |= {"XDG_CACHE_HOME": str(mounted.path.parent / "cache"), "HOME": str(folder)}
    command = [sys.executable, "-W", "error", "-c", ALL_OF_THEM, json.dumps(words)]
    if pipe:
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, check=True, timeout=PATIENCE
        ).stdout
    ours, theirs = os.openpty()
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, start_new_session=True
    ) as process:
        os.close(theirs)
        found = b"".join(iter(lambda: _read(ours), b""))
    os.close(ours)
    assert process.returncode == 0, found.decode()
    return found.decode()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # EIO: the last of those that had it open is gone
        return b""


def test_every_command_is_looked_at(tmp_path: Path, mounted: Mounted) -> None:
    """One that comes is added here."""
    assert commands(mounted, tmp_path).keys() | QUIET | {"demo"} == main.commands.keys()


def test_terminals_get_styles_unless_they_are_not_wanted(tmp_path: Path, mounted: Mounted) -> None:
    """With `NO_COLOR` bars are drawn, without colours; an empty one means nothing. Dumb ones get text alone."""
    styled = shown(mounted, tmp_path, TERM="xterm-256color", NO_COLOR="")
    assert len(STYLE.findall(styled)) > 20
    plain = shown(mounted, tmp_path, TERM="xterm-256color", NO_COLOR="1")
    assert STYLE.findall(plain) == []
    assert ESCAPE not in shown(mounted, tmp_path, TERM="dumb")


def test_a_pipe_gets_text_alone(tmp_path: Path, mounted: Mounted) -> None:
    """Whatever the environment says of terminals."""
    assert ESCAPE not in shown(mounted, tmp_path, pipe=True, TERM="xterm-256color", FORCE_COLOR="1", TTY_COMPATIBLE="1")
