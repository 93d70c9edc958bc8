"""`cometfs export` as a command: from a mount and without one, without FUSE, killed, and beside `cp -r`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from cometfs.export.target import OWN
from tests.support.processes import COMETFS, PATIENCE, Comet, Mounted, running_comet
from tests.support.subprocesses import await_of

PROJECT = "vision-lab/digits"

WITHOUT_FUSE = [
    sys.executable,
    "-c",
    "import sys; sys.modules['pyfuse3'] = None; from cometfs.cli import main; main(prog_name='cometfs')",
]
"""The command where pyfuse3 cannot be imported."""


def surroundings(folder: Path, comet: Comet) -> dict[str, str]:
    return {**os.environ, "COMET_API_KEY": "k", "COMET_URL_OVERRIDE": comet.url, "XDG_CACHE_HOME": str(folder / "c")}


def export(folder: Path, comet: Comet, *words: str, program: Sequence[str] = COMETFS, status: int = 0) -> str:
    done = subprocess.run(
        [*program, "export", *words],
        env=surroundings(folder, comet),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def tree(folder: Path, *, times: bool) -> dict[str, object]:
    """Of each path its kind, bytes or target, and time; a directory's time is not looked at."""
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if name.split("/")[0] == OWN:
            continue
        modified = path.lstat().st_mtime_ns if times else 0
        if path.is_symlink():
            found[name] = (str(path.readlink()), modified)
        else:
            found[name] = "dir" if path.is_dir() else (path.read_bytes(), modified)
    return found


def test_a_mount_is_exported_as_cp_copies_it(cold: Mounted, tmp_path: Path) -> None:
    """Byte by byte, with links and times."""
    source = cold.path / PROJECT
    subprocess.run(["cp", "-r", "--preserve=timestamps", source, tmp_path / "copied"], check=True, timeout=PATIENCE)
    export(tmp_path, cold.comet, str(source), str(tmp_path / "exported"))
    assert tree(tmp_path / "exported", times=True) == tree(tmp_path / "copied", times=True)


def test_a_file_alone_is_exported_under_its_name(cold: Mounted, tmp_path: Path) -> None:
    """From a mount and without one, and again."""
    place = f"{PROJECT}/mlp-baseline/params.json"
    for number, source in enumerate((str(cold.path / place), place, place)):
        export(tmp_path, cold.comet, source, str(tmp_path / f"exported-{min(number, 1)}"))
    for folder in ("exported-0", "exported-1"):
        assert (tmp_path / folder / "params.json").read_bytes() == (cold.path / place).read_bytes()


def test_without_a_mount_and_without_fuse_it_has_the_same(cold: Mounted, tmp_path: Path) -> None:
    """Names and bytes, where pyfuse3 is not installed; a second time nothing is written that holds."""
    subprocess.run(["cp", "-r", cold.path / PROJECT, tmp_path / "copied"], check=True, timeout=PATIENCE)
    words = (PROJECT, str(tmp_path / "exported"), "--json")
    first = json.loads(export(tmp_path, cold.comet, *words, program=WITHOUT_FUSE))
    assert tree(tmp_path / "exported", times=False) == tree(tmp_path / "copied", times=False)
    again = json.loads(export(tmp_path, cold.comet, *words))
    assert (first["complete"], first["failed"], again["failed"]) == (True, [], [])
    assert again["kept"] + again["files"] == first["files"]
    assert again["kept"] > again["files"]


@pytest.mark.parametrize("blow", [signal.SIGINT, signal.SIGKILL])
def test_interrupted_it_leaves_no_half_file_and_goes_on(blow: signal.Signals, tmp_path: Path) -> None:
    """Ctrl-C is exit status 130 and a sentence; the same command ends with all files."""
    (tmp_path / "comet").mkdir()
    with running_comet(tmp_path / "comet", "--latency", "30") as comet:
        words = [PROJECT, str(tmp_path / "exported")]
        with subprocess.Popen(
            [*COMETFS, "export", *words], env=surroundings(tmp_path, comet), stderr=subprocess.PIPE, text=True
        ) as process:
            journal = tmp_path / "exported" / OWN / "journal.jsonl"
            await_of(process, lambda: journal.exists() and journal.read_bytes().count(b"[") >= 5)
            process.send_signal(blow)
            _, said = process.communicate(timeout=PATIENCE)
        part = tree(tmp_path / "exported", times=False)
        assert process.returncode == (130 if blow is signal.SIGINT else -blow)
        assert ("goes on from here" in said) == (blow is signal.SIGINT)
        export(tmp_path, comet, *words)
        export(tmp_path, comet, PROJECT, str(tmp_path / "whole"))
    whole = tree(tmp_path / "whole", times=False)
    assert part.items() <= whole.items()
    assert tree(tmp_path / "exported", times=False) == whole


def test_what_is_no_source_is_a_sentence(comet: Comet, tmp_path: Path) -> None:
    """A path outside of mounts, and a name that Comet does not have."""
    said = export(tmp_path, comet, str(tmp_path), str(tmp_path / "out"), status=1)
    assert "is in no mount of cometfs" in said
    said = export(tmp_path, comet, "vision-lab/nothing", str(tmp_path / "out"), status=1)
    assert "there is no 'nothing' in 'vision-lab/nothing'" in said
    assert not (tmp_path / "out").exists()
