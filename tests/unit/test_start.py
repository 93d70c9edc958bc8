"""What `cometfs mount` loads before it can answer: the first `ls` of a mount waits for it."""

from __future__ import annotations

import subprocess
import sys

NOT_FOR_MOUNT = (
    "starlette",
    "hypercorn",
    "python_multipart",
    "rich",
    "pygments",
    "matplotlib",
    "jinja2",
    "dotenv",
    "cometfs.server.http.app",
)


def test_mount_loads_nothing_that_other_commands_need() -> None:
    """No web server, no colours, no pictures, no templates: together they take longer than all the rest."""
    code = (
        "import sys, cometfs.cli; from cometfs import app, config, daemon; from cometfs.fuse import session; "
        f"print([name for name in {NOT_FOR_MOUNT!r} if name in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said == "[]\n"


def test_httpx_is_whole_after_a_start_without_its_command() -> None:
    """Who imports that command later gets it."""
    code = "from cometfs import API; import httpx._main; print(httpx._main.main.name)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said == "main\n"
