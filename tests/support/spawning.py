"""Processes that work inside a mount: they enter it by themselves, after this process has let go of its threads.

`Popen(cwd=...)` enters the directory between `vfork` and `exec`. Until then the parent stands still, and CPython before
3.11.6 keeps the interpreter's lock meanwhile. Where a thread of this process answers for the mount's Comet
(faulty_comet.py), the kernel then waits for a thread that waits for the kernel. A fault in a mapped page keeps the lock
on every version. Both are refused here, so that no test depends on what is cached."""

from __future__ import annotations

import os
import shutil
import sys
import threading
from pathlib import Path
from typing import Any

ANSWERING = "answers for a Comet"
"""What threads of this process are called on which a mount depends."""


ENV = shutil.which("env") or "env"
"""By its path: a test may take the programs away from the command's own PATH."""


def inside(place: Path, *command: str | Path) -> list[str | Path]:
    """The command, in a directory that it enters when it runs by itself already."""
    return [ENV, f"--chdir={place}", *command]


def guard_interpreter_lock() -> None:
    """From now on this process refuses what would wait for a mount and let no other thread run."""
    sys.addaudithook(_refuse)


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "subprocess.Popen":
        executable, _, directory, _ = arguments
        assert not _is_in_mount(executable), f"{executable} lies in a mount: start it by `env` (spawning.py)"
        assert not _is_in_mount(directory), f"cwd={directory} lies in a mount: use `inside` (spawning.py)"
    elif event == "os.posix_spawn":
        assert not _is_in_mount(arguments[0]), f"{arguments[0]} lies in a mount: start it by `env` (spawning.py)"
    elif event == "mmap.__new__" and arguments[0] >= 0 and _answers_here():
        mapped = f"/proc/self/fd/{arguments[0]}"
        assert not _is_in_mount(Path(mapped).readlink()), "a page of this map may wait for this very process"


def _answers_here() -> bool:
    return any(thread.name == ANSWERING for thread in threading.enumerate())


def _is_in_mount(path: str | bytes | os.PathLike[str] | None) -> bool:
    """By its words: to ask the kernel of it might be to ask the mount."""
    if path is None:
        return False
    whole = f"{os.path.abspath(os.fsdecode(path))}/"  # noqa: PTH100  # resolve() asks the kernel
    return any(whole.startswith(f"{point}/") for point in _mountpoints())


def _mountpoints() -> list[str]:
    """Where this process sees a mount of cometfs."""
    mounts = [line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return [fields[4] for fields in mounts if "fuse.cometfs" in fields]
