"""The real client, comet_ml: what its programs are given, and how they are run.

Each is a process of its own, in an empty folder and with an empty home; it is given loopback addresses only. Not here:
the programs (tests/client/scripts/).
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from tempfile import TemporaryFile

from tests.support.loaded_programs import Loaded, start
from tests.support.processes import PATIENCE

SCRIPTS = Path(__file__).parents[1] / "client" / "scripts"
API_KEY = "some-key"

NOWHERE = "http://127.0.0.1:9"
"""Nothing listens there."""


def surroundings(home: Path, url: str, **settings: str) -> dict[str, str]:
    """The environment of a user with no settings but these; nothing in it leads off this machine."""
    return {
        "HOME": str(home),
        "PATH": os.environ["PATH"],
        "COMET_API_KEY": API_KEY,
        "COMET_URL_OVERRIDE": f"{url}/clientlib/",
        "COMET_ERROR_TRACKING_ENABLE": "false",
        "COMET_LOGGING_CONSOLE": "ERROR",
        "GIT_CONFIG_GLOBAL": os.devnull,
        **settings,
    }


def run(script: str, *words: str, folder: Path, url: str) -> str:
    """What a script prints, to its end."""
    done = python(str(SCRIPTS / script), *words, folder=folder, url=url)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def python(*words: str, folder: Path, url: str, **settings: str) -> subprocess.CompletedProcess[bytes]:
    """`python WORDS`, to its end, where comet_ml is loaded already."""
    environ = surroundings(folder, url, **settings)
    common = tuple(sorted(surroundings(Path("/nonexistent"), NOWHERE).items()))
    loaded = Loaded(("comet_ml.experiment",), common)
    with TemporaryFile() as out, TemporaryFile() as err:
        program = start(loaded, words, folder, environ, out.fileno(), err.fileno())
        try:
            status = program.wait(PATIENCE)
        finally:
            program.kill()
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(words, status, out.read(), err.read())


def make_dirty_repository(folder: Path) -> None:
    """A git repository of one commit, with a change that is not committed."""

    def git(*words: str) -> None:
        who = ["-c", "user.name=T", "-c", "user.email=t@example.com"]
        subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True)

    (folder / "notes.txt").write_text("before\n")
    for words in (["init", "-b", "main"], ["add", "notes.txt"], ["commit", "-m", "first"]):
        git(*words)
    (folder / "notes.txt").write_text("after\n")
