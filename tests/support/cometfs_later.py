"""cometfs, a week later: by its clock, all that the cache has is that much older."""

from __future__ import annotations

import time

now = time.time

time.time = lambda: now() + 7 * 86400.0

from cometfs.cli import main  # noqa: E402  # those that take the clock by name take this one

main(prog_name="cometfs")
