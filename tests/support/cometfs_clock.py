"""cometfs, on a machine whose wall clock jumps: by the seconds that are in the file which COMETFS_CLOCK names."""

from __future__ import annotations

import os
import time
from pathlib import Path

_OFFSET, _TRUE = Path(os.environ["COMETFS_CLOCK"]), time.time


def _time() -> float:
    return _TRUE() + float(_OFFSET.read_text())


time.time = _time

from cometfs.cli import main  # noqa: E402  # those that take the clock by name take this one

main(prog_name="cometfs")
