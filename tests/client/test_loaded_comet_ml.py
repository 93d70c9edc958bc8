"""Programs that are forked where comet_ml is loaded are processes as any other."""

from __future__ import annotations

import json
import os
from pathlib import Path

from tests.support.comet_ml_client import NOWHERE, python

PROGRAM = """
import atexit, json, os, signal, sys, threading
print(json.dumps([os.getpid(), os.getcwd(), os.environ["HOME"], __name__, *sys.argv]))
atexit.register(print, "exit handler")
threading.Thread(target=print, args=["thread"]).start()
if sys.argv[1] == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
print("complained", file=sys.stderr)
sys.exit(3)
"""


def test_status_streams_and_exit_handlers_are_those_of_the_program(tmp_path: Path) -> None:
    """It is as if the interpreter had been started for it."""
    script = tmp_path / "program.py"
    script.write_text(PROGRAM)
    done = python(str(script), "a word", folder=tmp_path, url=NOWHERE)
    assert (done.returncode, done.stderr) == (3, b"complained\n")
    first, *others = done.stdout.decode().splitlines()
    process, *told = json.loads(first)
    assert told == [str(tmp_path), str(tmp_path), "__main__", str(script), "a word"]
    assert process != os.getpid()
    assert others == ["thread", "exit handler"]
    assert python(str(script), "killed", folder=tmp_path, url=NOWHERE).returncode == -9
