"""`cometfs completion`: by the shells themselves, of commands, options and the mounts that there are."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import COMETFS, PATIENCE, Comet, Mounted, running_mount

BASH = r"""
source <(cometfs completion bash)
complete -p cometfs
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_cometfs_completion cometfs
printf '%s\n' "${COMPREPLY[@]}"
"""

ZSH = r"""
autoload -Uz compinit && compinit -u -d "$TMPDIR/dump"
source <(cometfs completion zsh)
print -r -- "${_comps[cometfs]}"
(( CURRENT = $# )); words=("$@")
compadd() { print -rl -- "${@[-1]}" ${(P)${@[-1]}} }
_describe() { print -rl -- ${(P)${@[-1]}} ${(P)2} }
_path_files() { print -r -- files }
_cometfs_completion
"""


@pytest.fixture(scope="module")
def mounted(tmp_path_factory: pytest.TempPathFactory, comet: Comet) -> Iterator[Mounted]:
    with running_mount(tmp_path_factory.mktemp("completion"), comet) as found:
        yield found


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """With a `cometfs` on the path."""
    program = tmp_path / "bin" / "cometfs"
    program.parent.mkdir()
    program.write_text(
        f"#!/bin/sh\nexec {COMETFS[0]} -c 'import sys; from cometfs.cli import main;"
        ' main(prog_name="cometfs")\' "$@"\n'
    )
    program.chmod(0o755)
    path = f"{program.parent}:{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "HOME": str(tmp_path), "TMPDIR": str(tmp_path)}


def bash(environ: dict[str, str], *words: str) -> list[str]:
    """What a line that ends with the last of these words may go on with."""
    done = subprocess.run(
        ["bash", "--norc", "-c", BASH, "bash", "cometfs", *words],
        env=environ, capture_output=True, text=True, timeout=PATIENCE, check=True,
    )  # fmt: skip
    registered, *found = done.stdout.splitlines()
    assert registered == "complete -o nosort -F _cometfs_completion cometfs"
    return found


def test_bash_completes_commands_and_options(environ: dict[str, str]) -> None:
    assert bash(environ, "sta") == ["status"]
    assert bash(environ, "c") == ["cache", "completion", "config", "cost"]
    assert bash(environ, "status", "--wa") == ["--watch"]
    assert bash(environ, "export", "--layout", "") == ["mount", "cometx"]


@pytest.mark.parametrize("command", ["umount", "status", "refresh"])
def test_bash_completes_mounts(environ: dict[str, str], mounted: Mounted, command: str) -> None:
    """By the kernel's list: no daemon is asked, and a dead one is among them."""
    place = str(mounted.path)
    assert bash(environ, command, place[:-2]) == [place]
    near = {**environ, "HOME": str(mounted.path.parent)}
    assert bash(near, command, "~/m") == ["~/mnt"]


@pytest.mark.skipif(shutil.which("zsh") is None, reason="no test of zsh: it is not installed")
def test_zsh_completes(environ: dict[str, str], mounted: Mounted) -> None:
    """Its function is registered, and offers the mount."""
    done = subprocess.run(
        ["zsh", "-f", "-c", ZSH, "zsh", "cometfs", "umount", str(mounted.path)[:-2]],
        env=environ, capture_output=True, text=True, timeout=PATIENCE, check=True,
    )  # fmt: skip
    registered, *found = done.stdout.splitlines()
    assert registered == "_cometfs_completion"
    assert str(mounted.path) in found


@pytest.mark.skipif(shutil.which("fish") is None, reason="no test of fish: it is not installed")
def test_fish_completes(environ: dict[str, str], mounted: Mounted) -> None:
    script = 'cometfs completion fish | source; complete -C "$argv[1]"'
    for line, wanted in (("cometfs umo", "umount"), (f"cometfs umount {str(mounted.path)[:-2]}", str(mounted.path))):
        done = subprocess.run(
            ["fish", "--no-config", "-c", script, line],
            env=environ, capture_output=True, text=True, timeout=PATIENCE, check=True,
        )  # fmt: skip
        assert wanted in [found.split("\t")[0] for found in done.stdout.splitlines()], done.stderr
