"""Old versions of comet_ml log to the embedded Comet and read back, or show why not.

They need environments of their own, which a test does not make: `COMETFS_OLD_SDKS` names their interpreters, with `:`
between them. Before 3.32 they also need a urllib3 of their time:

    python -m venv /tmp/old && /tmp/old/bin/pip install comet_ml==3.31.22 'urllib3<2'
    COMETFS_OLD_SDKS=/tmp/old/bin/python pytest tests/client/test_old_sdks.py
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.support.comet_ml_client import API_KEY, SCRIPTS, surroundings
from tests.support.processes import PATIENCE, running_comet

KEY = "01d5d4" * 6

PYTHONS = [path for path in os.environ.get("COMETFS_OLD_SDKS", "").split(":") if path]


@pytest.mark.skipif(not PYTHONS, reason="COMETFS_OLD_SDKS names no interpreters that have old versions of comet_ml")
@pytest.mark.parametrize("python", PYTHONS)
def test_an_old_sdk(python: str, tmp_path: Path) -> None:
    """From 3.31.5 on all is logged and read; an older one shows the sentence that the server answers."""
    with running_comet(tmp_path, "--api-key", API_KEY, archives=tmp_path / "runs") as comet:
        (folder := tmp_path / "client").mkdir()
        settings = surroundings(folder, comet.url, COMET_LOGGING_CONSOLE="INFO")
        command = [python, str(SCRIPTS / "log_with_old_sdk.py"), KEY]
        done = subprocess.run(command, cwd=folder, env=settings, capture_output=True, timeout=PATIENCE)
        assert done.returncode == 0, done.stderr.decode()
        told = json.loads(done.stdout.splitlines()[-1])
        if tuple(map(int, told["version"].split("."))) < (3, 31, 5):
            assert not told["alive"]
            assert f"does not take runs of comet_ml {told['version']}" in done.stderr.decode() + done.stdout.decode()
            return
        assert [request for request in comet.requests() if request["status"] >= 400] == []
    assert told["points"] == [[str(1 / (step + 1)), step] for step in range(5)]
    assert (told["name"], told["html"], told["bytes"]) == ("old run", "<b>x</b>", "content")
    assert (told["params"]["lr"], told["params"]["word"], told["others"]["note"]) == ("0.1", "x", "v")
    assert (told["tags"], told["models"]) == (["t1", "t2"], ["model"])
    assert {"asset", "curve", "model-element"} <= set(told["assets"])
    assert "a printed line" in told["output"]
