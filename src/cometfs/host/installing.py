"""How an extra such as `cometfs[fuse]` is installed here: the commands for this system, and for this environment.

Not here: whether it is lacking (fuse/mountpoints.py).
"""

from __future__ import annotations

import json
import os
import platform
import shlex
import sys
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path

SYSTEM = {
    "debian": "apt install fuse3 libfuse3-dev pkg-config gcc python3-dev",
    "fedora": "dnf install fuse3 fuse3-devel pkgconf-pkg-config gcc python3-devel",
    "arch": "pacman -S --needed fuse3 pkgconf gcc",
    "suse": "zypper install fuse3 fuse3-devel pkg-config gcc python3-devel",
    "alpine": "apk add fuse3 fuse3-dev pkgconf gcc musl-dev linux-headers python3-dev",
}
"""What brings libfuse3's headers and a compiler, by the names that /etc/os-release uses."""

ALIASES = {"ubuntu": "debian", "rhel": "fedora", "centos": "fedora", "opensuse": "suse", "sles": "suse"}


def remedy() -> str:
    """The two commands, as a part of a sentence."""
    return f"run '{system_command()}', then '{python_command()}'"


def system_command() -> str:
    """What installs the system's packages that the extra is built with."""
    command = next((SYSTEM[name] for name in _names_of_system() if name in SYSTEM), None)
    if command is None:
        return "your package manager's command for fuse3 with its headers, pkg-config, gcc and Python's headers"
    return command if os.geteuid() == 0 else f"sudo {command}"


def _names_of_system() -> list[str]:
    """ID and ID_LIKE of os-release, the nearest first."""
    try:
        found = platform.freedesktop_os_release()
    except OSError:
        return []
    words = [found.get("ID", ""), *found.get("ID_LIKE", "").split()]
    return [ALIASES.get(word, word) for word in words]


def python_command(extra: str = "fuse", brings: str = "pyfuse3") -> str:
    """What adds an extra, which brings a library, to the environment that runs, by the program that made it."""
    prefix = Path(sys.prefix)
    if (prefix / "pipx_metadata.json").exists():
        return f"pipx inject {prefix.name} {brings}"
    if (prefix / "uv-receipt.toml").exists():
        return f"uv tool install --with {brings} {shlex.quote(_origin())}"
    python, wanted = shlex.quote(sys.executable), f'"cometfs[{extra}]"'
    if find_spec("pip") is None:
        return f"uv pip install --python {python} {wanted}"
    return f"{python} -m pip install {wanted}"


def _origin() -> str:
    """What cometfs was installed from, as PEP 610 records it: a file, or its name at the index."""
    try:
        record = distribution("cometfs").read_text("direct_url.json")
    except PackageNotFoundError:
        record = None
    return str(json.loads(record)["url"]) if record else "cometfs"
