"""Mounts as on older kernels than this machine's."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

ONE_BY_ONE = "import cometfs.fuse.notify as notices\nnotices.ALL_END = 99\n"
"""What Python runs first: the mount finds a kernel that cannot end all names at once, as those before 6.16 cannot."""


def ends_one_by_one(folder: Path) -> dict[str, Any]:
    """The environment of such a mount; `folder` keeps what it needs."""
    (folder / "sitecustomize.py").write_text(ONE_BY_ONE)
    return {"PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])}
