"""Memory of large answers goes back to the system, in a process of its own."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

PROGRAM = """
from pathlib import Path
from cometfs.compat.glibc_malloc import give_back
assert give_back()
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) >> 8
# The first block that is freed would raise the threshold for all that follow.
for _ in range(3):
    bytearray(b"x") * (16 << 20)
before = resident()
blocks = []
for _ in range(20):
    blocks += [bytearray(b"x") * (16 << 20), bytearray(b"x") * 100_000]
del blocks[::2]
print(resident() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another library of C")
def test_what_is_freed_is_given_back_though_small_blocks_lie_between() -> None:
    """320 MiB in large blocks, freed; what is left is less than one of them."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 16
