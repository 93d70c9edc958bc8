"""What a user would take instead: cometx, rclone, curl, and the floor that nobody gets below.

A peer that is not there is told so in the table; `install` gets it. Not here: what is done with them (workloads).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmark.processes import BenchError, Command, Mount, Server, mounted

HERE = Path(__file__).resolve().parent

NOT_INSTALLED = "not installed"

DEBIAN = {name: name for name in ("rclone", "curl", "fio", "unzip")} | {"nginx-light": "nginx", "ffmpeg": "ffprobe"}
"""Packages, and a program that each has."""

RCLONE = (
    *("--read-only", "--dir-cache-time", "1h", "--attr-timeout", "5m"),
    *("--config", os.devnull, "--log-level", "ERROR"),
)
"""Options that make rclone as fast as it gets on files that do not change."""


def _quietly(command: Command) -> None:
    """Runs a program that talks much, and lets it talk only when it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"{command[0]} failed: {done.stderr[-2000:]}")


def cometx_python(work: Path) -> Path:
    """The Python of the environment that has cometx in it, or would have."""
    return work / "cometx" / "bin" / "python"


def has_cometx(work: Path) -> bool:
    return (work / "cometx" / "bin" / "cometx").exists()


def has(program: str) -> bool:
    return shutil.which(program) is not None


def install(work: Path) -> None:
    """Gets what is lacking: programs from Debian, cometx from PyPI into an environment of its own."""
    lacking = [package for package, program in DEBIAN.items() if not has(program)]
    if lacking:
        before = () if os.getuid() == 0 else ("sudo",)
        _quietly([*before, "apt-get", "update"])
        _quietly([*before, "apt-get", "install", "-y", *lacking])
    if not has_cometx(work):
        python = cometx_python(work)
        _quietly([sys.executable, "-m", "venv", "--clear", python.parent.parent])
        _quietly([python, "-m", "pip", "install", "cometx"])


def cometx(work: Path, server: Server, target: Path, *arguments: str) -> None:
    """`cometx` with these arguments against a server, its working directory and home in `target`."""
    target.mkdir(parents=True, exist_ok=True)
    environ = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(target),
        "COMET_URL_OVERRIDE": f"{server.url}/clientlib/",
        "COMET_API_KEY": "any",
        "COMET_ERROR_TRACKING_ENABLE": "false",
        "COMET_DISABLE_ANNOUNCEMENT": "1",
    }
    command: Command = [cometx_python(work), HERE / "cometx_apart.py", *arguments]
    done = subprocess.run(command, cwd=target, env=environ, capture_output=True, text=True, check=False)
    if done.returncode or "aborted" in done.stdout:
        raise BenchError(f"cometx {' '.join(arguments)}: {done.stdout[-2000:]} {done.stderr[-2000:]}")


def cometx_download(work: Path, server: Server, path: str, target: Path) -> None:
    cometx(work, server, target, "download", path, "--output", str(target))


def curl(url: str, out: Path, key: bool = False) -> None:
    """Downloads it. Not with subprocess's timeout, which waits in steps of up to 50 ms."""
    headers = ("--header", "Authorization: any") if key else ()
    command = ["curl", "--silent", "--show-error", "--fail", "--max-time", "120", *headers, "--output", str(out), url]
    subprocess.run(command, check=True)


@contextmanager
def rclone_mounted(server: Server, folder: Path, mode: str) -> Iterator[Mount]:
    """`rclone mount` of a web server's folder, its cache in `folder`; `mode` is its --vfs-cache-mode."""
    folder.mkdir(parents=True, exist_ok=True)
    command: list[str | Path] = ["rclone", "mount", ":http:", folder / "mnt", "--http-url", f"{server.url}/", *RCLONE]
    command += ["--vfs-cache-mode", mode, "--cache-dir", folder / "cache"]
    with mounted(command, folder / "mnt", folder / "rclone.log", {"HOME": str(folder)}) as mount:
        yield mount


@contextmanager
def floor_mounted(source: Path, folder: Path) -> Iterator[Mount]:
    """The bare pyfuse3 file system with what is in `source`."""
    folder.mkdir(parents=True, exist_ok=True)
    command: Command = [sys.executable, HERE / "floor.py", source, folder / "mnt"]
    with mounted(command, folder / "mnt", folder / "floor.log", {}) as mount:
        yield mount


def static_command(folder: Path, latency: float) -> list[str | Path]:
    """The web server over a folder that rclone gets."""
    return [sys.executable, HERE / "static.py", folder, "--latency", str(latency)]


def filesystem(path: Path) -> str:
    """The type of file system at a path: ext4, tmpfs ..."""
    command = ["stat", "--file-system", "--format", "%T", str(path)]
    kind = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    return "ext4" if kind == "ext2/ext3" else kind
