"""What /proc tells of a program that asks. Not here: signals that are pending on it (requests.py).

The kernel passes on no mask of the attributes that are wanted, so a size that costs calls would be fetched for
`ls --color`, which only looks for the permission to execute, and follows links for that. While a program waits, /proc
tells the arguments of its system call to those that may trace it; where it does not, the command line tells enough of
some programs. Where the kernel itself decides by modes, it asks for them at every open(2), too.
"""

from __future__ import annotations

import os
import platform
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from cometfs.vfs.schema import names

REMEMBERED = 256
"""Threads whose processes are remembered."""


class Programs:
    """Which process a thread belongs to: the kernel tells the thread that asks, and `rg` and `restic` have many."""

    def __init__(self) -> None:
        self._known: OrderedDict[int, int] = OrderedDict()

    def of(self, thread: int) -> int:
        """The process; the thread itself where that cannot be seen."""
        process = self._known.get(thread)
        if process is None:
            process = self._known[thread] = process_of(thread)
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        return process


def process_of(thread: int) -> int:
    """The process of a thread, some 20 us; the number itself where that cannot be seen."""
    try:
        lines = Path(f"/proc/{thread}/status").read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return thread
    return next((int(line.split()[1]) for line in lines if line.startswith("Tgid:")), thread)


class _Options(NamedTuple):
    """Options of a program with which it shows and sorts by no size and no time, which come with the bytes; `long` ones
    may have a value."""

    short: frozenset[str]
    long: tuple[str, ...]
    needed: str = ""
    """Without this one it reads what it asks about."""

    def allow(self, argument: str) -> bool:
        if argument.startswith("--"):
            return argument == "--" or argument.startswith(self.long)
        return not argument.startswith("-") or self.short.issuperset(argument[1:])


_SIZELESS = {
    "ls": _Options(
        frozenset("1ABCFGNQRUXabdfimpqrvx"),
        ("--all", "--almost-all", "--classify", "--color", "--file-type", "--group-dir", "--indicator-", "--reverse"),
    ),
    "tree": _Options(
        frozenset("ACFJLNQSUXadfgilnpqruvx"),
        ("--dirsfirst", "--filesfirst", "--noreport", "--charset=", "--filelimit=", "--gitignore", "--prune"),
    ),
    "rg": _Options(
        frozenset("0.dgjtu"),
        ("--files", "--hidden", "--max-depth", "--no-ignore", "--null", "--threads", "--type"),
        needed="--files",
    ),
}
"""Programs that ask for all attributes to show a colour, a sign or no attribute at all: `ls --color` is what most
shells make of `ls`, and `rg --files` looks at what links lead to. Options that are not here may mean the size."""


def shows_no_size(pid: int) -> bool:
    """Whether what `pid` runs asks for attributes, and makes nothing of a size; False where that is not known.

    The kernel does not pass on which attributes a program wants.
    """
    return is_sizeless(_command(pid))


def _command(pid: int) -> list[str]:
    """A program and its arguments; nothing where that cannot be seen."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode("ascii", "replace").split("\0")
    except OSError:
        return []
    return words[:-1]


def is_sizeless(command: Sequence[str]) -> bool:
    """The same of a program and its arguments."""
    known = _SIZELESS.get(command[0].rpartition("/")[2]) if command else None
    if known is None or (known.needed and known.needed not in command):
        return False
    return all(known.allow(argument) for argument in command[1:])


_TAKES_ALL = {"-delete", "-depth", "-d", "-H", "-L", "-P", "-mount", "-xdev", "-noleaf", "-ignore_readdir_race"}
"""Words of `find` with which it finds everything."""


def chooses(pid: int) -> bool:
    """Whether `pid` is a `find` that does not delete everything that it looks through."""
    name, words = _named(pid)
    return name == "find" and any(word.startswith(("-", "!", "(")) and word not in _TAKES_ALL for word in words)


def moves(pid: int) -> bool:
    """Whether `pid` is `mv`."""
    return _named(pid)[0] == "mv"


def _named(pid: int) -> tuple[str, Sequence[str]]:
    """The name of a program, and its arguments."""
    command = _command(pid)
    if command[:1] and command[0].rpartition("/")[2] == "busybox":
        command = command[1:]
    return (command[0].rpartition("/")[2], command[1:]) if command else ("", ())


def still_holds(pid: int, inode: int, name: str) -> bool:
    """Whether `pid` has a descriptor left of the file with that inode and name; False where that cannot be seen.

    A shell that redirects opens the file, copies the descriptor and closes the first: the program is yet to write.
    Never follows the links of /proc: that would ask this very mount.
    """
    directory = Path(f"/proc/{pid}/fd")
    try:
        descriptors = os.listdir(directory)  # noqa: PTH208  # names are all that is wanted
    except OSError:
        return False
    return any(_is(pid, number, inode, names.encoded(name)) for number in descriptors)


def _is(pid: int, number: str, inode: int, name: bytes) -> bool:
    try:
        # A number alone may be another file system's.
        if name not in os.readlink(f"/proc/{pid}/fd/{number}".encode()):  # noqa: PTH115
            return False
        lines = Path(f"/proc/{pid}/fdinfo/{number}").read_text("ascii").splitlines()
    except OSError:
        return False  # closed meanwhile
    return f"ino:\t{inode}" in lines


class _Calls(NamedTuple):
    """Numbers of system calls."""

    statx: int
    modes: frozenset[int]
    """Those for which the kernel wants to know whether the file may be opened or run, which takes no size."""


def _calls(statx: int, *modes: int) -> _Calls:
    return _Calls(statx, frozenset({*modes, 437, 439}))  # openat2 and faccessat2 have these everywhere


_GENERIC = _calls(291, 56, 48, 221, 281)
"""openat, faccessat, execve, execveat; below with open and access, which newer machines do not have."""

_CALLS = {
    "x86_64": _calls(332, 257, 269, 59, 322, 2, 21),
    "aarch64": _GENERIC,
    "riscv64": _GENERIC,
    "loongarch64": _GENERIC,
    "ppc64le": _calls(383, 286, 298, 11, 362, 5, 33),
    "s390x": _calls(379, 288, 300, 11, 354, 5, 33),
}.get(platform.machine())

_SIZED = 0x40 | 0x80 | 0x200 | 0x400
"""STATX_MTIME, STATX_CTIME, STATX_SIZE, STATX_BLOCKS: what is known with the bytes only."""


def wants_size(thread: int) -> bool:
    """Whether a thread that waits for the attributes of a file may want its size; True where that cannot be known."""
    return _masks_size(thread) and not shows_no_size(thread)


def _masks_size(thread: int) -> bool:
    if _CALLS is None or not thread:
        return True
    try:
        call = Path(f"/proc/{thread}/syscall").read_text("ascii").split()
    except OSError:
        return True  # of another user, or on a system that forbids tracing (kernel.yama.ptrace_scope)
    # The number, then the arguments: directory, path, flags, mask.
    if len(call) < 5 or not call[0].isdecimal():
        return True
    number = int(call[0])
    return number not in _CALLS.modes and (number != _CALLS.statx or bool(int(call[4], 16) & _SIZED))
