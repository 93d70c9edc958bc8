"""What `cometfs mount` loads before it can answer: the first `ls` of a mount waits for it."""

from __future__ import annotations

import subprocess
import sys

import pytest

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
        "import sys, cometfs.cli; from cometfs import app, config; from cometfs.fuse import session; "
        "from cometfs.process import daemon, lifetime; "
        f"print([name for name in {NOT_FOR_MOUNT!r} if name in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said == "[]\n"


@pytest.mark.parametrize(
    ("code", "others"),
    [
        ("from cometfs.fuse import mountpoints, occupants", ("pyfuse3", "trio", "httpx", "msgspec", "sqlite3")),
        (
            "from cometfs import config, exposure, serving; from cometfs.process import lifetime",
            ("pyfuse3", "httpx", "cometfs.vfs"),
        ),
    ],
    ids=["umount and refresh", "serve"],
)
def test_a_command_loads_nothing_that_a_mount_needs(code: str, others: tuple[str, ...]) -> None:
    """No event loop to unmount, no client and no tree to serve: they take longer than the command itself."""
    code = f"import sys, cometfs.cli; {code}; print([name for name in {others!r} if name in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said == "[]\n"


def test_httpx_is_whole_after_a_start_without_its_command() -> None:
    """Who imports that command later gets it."""
    code = "from cometfs import API; import httpx._main; print(httpx._main.main.name)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said == "main\n"


def test_what_a_command_imported_is_no_garbage_to_look_through() -> None:
    """Python's own thresholds take a tenth of the CPU time of a copy."""
    code = (
        "import gc; from cometfs.process import lifetime\n"
        "async def main(): print(gc.get_freeze_count() > 0, gc.get_threshold() == lifetime.GARBAGE)\n"
        "lifetime.run(main)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert found == "True True\n"
