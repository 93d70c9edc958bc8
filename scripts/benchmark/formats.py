"""The workload of tools that read a little of a file of 8 GiB in a format of its own.

Each tool finds in the mount what it finds in the same file on the disk. Not here: the files and the tools that are
Python's (format_tools.py), and assets without a format (huge.py).
"""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import NamedTuple

from benchmark import huge, peers, store
from benchmark.figures import Peer, Row, Runs, timed
from benchmark.processes import BenchError, Command
from benchmark.stage import Stage, say

PLACE = "bench/formats/run/assets"
PROGRAM = peers.HERE / "format_tools.py"
LIBRARIES = ("numpy", "safetensors", "pyarrow", "torch")

PATIENCE = 900
"""Seconds that a library may take to be installed: torch is gigabytes."""

PYTHON = "python"
"""Stands for the environment that has the libraries."""

NPY, PT, TENSORS, SQLITE, PARQUET, MP4, TAR, ZIP = FILES = tuple(
    f"huge.{suffix}" for suffix in ("npy", "pt", "safetensors", "sqlite", "parquet", "mp4", "tar", "zip")
)


class Tool(NamedTuple):
    """A tool: what it is called in the table, what it reads, and its command, to which the file's name is added."""

    name: str
    file: str
    command: tuple[str, ...]
    library: str = ""


def _read(what: str) -> tuple[str, ...]:
    return (PYTHON, str(PROGRAM), "read", what)


TOOLS = (
    Tool("mmap, three pages", NPY, _read("mmap")),
    Tool('`numpy.load(mmap_mode="r")`, three elements', NPY, _read("numpy"), "numpy"),
    Tool("`torch.load(mmap=True)`, a small layer", PT, _read("torch"), "torch"),
    Tool("`safetensors`, one tensor", TENSORS, _read("safetensors"), "safetensors"),
    Tool("`sqlite3`, read-only, one row by an index", SQLITE, _read("sqlite3")),
    Tool("`pyarrow.parquet`, metadata", PARQUET, _read("metadata"), "pyarrow"),
    Tool("`pyarrow.parquet`, one row group of 32 MiB", PARQUET, _read("group"), "pyarrow"),
    Tool("`ffprobe`, the index at the end", MP4, ("ffprobe", "-v", "error", "-show_streams", "-show_format")),
    Tool("`unzip -l`", ZIP, ("unzip", "-l")),
    Tool("`tar tf`, 16 members", TAR, ("tar", "tf")),
    Tool("`tail -c 4096`", NPY, ("tail", "-c", "4096")),
    Tool("`dd skip=`, 64 KiB in the middle", NPY, ("sh", "-c", 'dd if="$0" bs=64k skip=65536 count=1 status=none')),
)


def tools(stage: Stage) -> list[Row]:
    """Tools that read a little of 8 GiB: numpy, torch, safetensors, sqlite3, pyarrow, ffprobe, unzip, tar, tail, dd."""
    python = _environment(stage.work)
    runs = store.made(stage.work, "formats-runs", partial(_write, python))
    usable = [tool for tool in TOOLS if _is_there(tool, python, runs)]
    found: dict[Tool, tuple[Runs, Peer]] = {tool: ([], Peer("on the local disk")) for tool in usable}
    with huge.stores(stage, runs) as (web, comet):
        for _ in range(stage.runs):
            for tool, (cold, local) in found.items():
                on_disk, mounted = list[bytes](), list[bytes]()
                local.runs.append(timed(partial(_use, tool, python, runs / store.KEY, on_disk)))
                with huge.fresh(stage, comet, PLACE) as mount:
                    web.settle()
                    cold.append(timed(partial(_use, tool, python, mount.path / PLACE, mounted), web, mount.daemon))
                if mounted != on_disk or not any(mounted):
                    raise BenchError(f"WRONG: {tool.name}: {mounted} instead of {on_disk}")
    return [
        Row(f"{tool.name}, of 8 GiB", "cold", cold, "as on the disk", True, [local])
        for tool, (cold, local) in found.items()
    ]


def _use(tool: Tool, python: Path, folder: Path, says: list[bytes]) -> None:
    words = [str(python) if word == PYTHON else word for word in tool.command]
    done = subprocess.run([*words, tool.file], cwd=folder, capture_output=True, check=False)
    if done.returncode or done.stderr:
        raise BenchError(f"{tool.name}: status {done.returncode}, {done.stderr.decode(errors='replace')[-2000:]}")
    says.append(done.stdout)


def _is_there(tool: Tool, python: Path, runs: Path) -> bool:
    """Whether there is the tool, and the file that it reads; says what is lacking."""
    program = str(python) if tool.command[0] == PYTHON else tool.command[0]
    there = peers.has(program) and (not tool.library or _has(python, tool.library))
    if not there or not (runs / store.KEY / tool.file).exists():
        say(f"    {tool.name}: {peers.NOT_INSTALLED}")
        return False
    return True


def _environment(work: Path) -> Path:
    """The Python of an environment with the libraries, as far as they could be installed."""
    python = work / "formats" / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", python.parent.parent], check=True)
    for library in LIBRARIES:
        if not _has(python, library):
            say(f"    installing {library}")
            _install(python, library)
    return python


def _install(python: Path, library: str) -> None:
    command: Command = [python, "-m", "pip", "install", "--quiet", library]
    try:
        subprocess.run(command, capture_output=True, check=True, timeout=PATIENCE)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        say(f"    {library} cannot be installed: {error}")


def _has(python: Path, library: str) -> bool:
    command: Command = [
        python,
        "-c",
        f"from importlib.util import find_spec; raise SystemExit(not find_spec({library!r}))",
    ]
    return subprocess.run(command, check=False).returncode == 0


def _write(python: Path, run: Path) -> None:
    """Makes what can be made: without torch or ffmpeg, their files are not there."""
    for name in FILES:
        say(f"    making {name}")
        done = subprocess.run([python, PROGRAM, "make", run / name], capture_output=True, text=True, check=False)
        if done.returncode:
            (run / name).unlink(missing_ok=True)
            say(f"    {name} cannot be made: {done.stderr[-200:]}")
    store.log(run, "formats", [name for name in FILES if (run / name).exists()])
