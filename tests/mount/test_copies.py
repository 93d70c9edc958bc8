"""Copies belong to the user that made them: they can be made again, changed and removed, without being root."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import PATIENCE, Mounted
from tests.support.spawning import inside

FOREST = "tabular/wine-cultivars/forest-200"

OVERRIDES = "-dac_override,-dac_read_search,-fowner"
"""What lets root remove what the permissions of a directory forbid."""


def sh(command: str, folder: Path, status: int = 0) -> str:
    """What a shell prints there that modes bind: root does without what makes it root. Skips where it cannot."""
    bound: list[str] = []
    if os.geteuid() == 0:
        if not shutil.which("setpriv"):
            pytest.skip("no test of copies as root: setpriv is not installed here")
        bound = ["setpriv", f"--inh-caps={OVERRIDES}", f"--bounding-set={OVERRIDES}"]
    done = subprocess.run(
        inside(folder, *bound, "sh", "-euc", command), capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert (done.returncode == 0) == (status == 0), done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_shell_of_these_tests_is_bound_by_modes(tmp_path: Path) -> None:
    """It cannot remove what lies in a directory without w."""
    (tmp_path / "d").mkdir()
    (tmp_path / "d/f").write_text("x")
    (tmp_path / "d").chmod(0o555)
    try:
        assert "Permission denied" in sh("rm -rf d", tmp_path, status=1)
    finally:
        (tmp_path / "d").chmod(0o755)


COPYTREE = "import shutil, sys; shutil.copytree(*sys.argv[1:], symlinks=True, dirs_exist_ok=True)"

COPIERS = {
    "cp -r": "cp -rT {source} copy",
    "cp -a": "cp -aT {source} copy",
    "rsync -a": "rsync -a --ignore-times {source}/ copy/",
    "tar": "tar -cf all.tar -C {source} . && mkdir -p copy && tar -xpf all.tar --overwrite -C copy",
    "shutil.copytree": f"{sys.executable} -c '{COPYTREE}' {{source}} copy",
}


@pytest.mark.parametrize("copier", COPIERS)
def test_a_copy_is_made_again_changed_and_removed(copier: str, warm: Mounted, tmp_path: Path) -> None:
    """Twice to the same place, a file of it appended to, one added, and then `rm -rf`."""
    if not shutil.which(program := copier.split()[0]) and "." not in program:
        pytest.skip(f"{program} is not installed here")
    copy = COPIERS[copier].format(source=warm / FOREST)
    assert sh(f"{copy}; {copy}", tmp_path) == ""
    assert (tmp_path / "copy/params.json").read_bytes() == (warm / FOREST / "params.json").read_bytes()
    sh("echo >> copy/params.json; echo mine > copy/assets/mine.txt; rm -rf copy", tmp_path)
    assert not (tmp_path / "copy").exists()


def test_a_file_is_copied_over_its_copy(warm: Mounted, tmp_path: Path) -> None:
    """By plain cp, without -f."""
    assert sh(f"cp {warm / FOREST}/code.py .; cp {warm / FOREST}/code.py .; rm code.py", tmp_path) == ""


@pytest.mark.parametrize(("umask", "folder", "file"), [(0o022, 0o755, 0o644), (0o077, 0o700, 0o600)])
def test_the_umask_says_who_else_may_read_a_copy(
    umask: int, folder: int, file: int, warm: Mounted, tmp_path: Path
) -> None:
    """As of every copy."""
    sh(f"umask {umask:03o}; cp -r {warm / FOREST} copy", tmp_path)
    assert stat.S_IMODE((tmp_path / "copy/assets").stat().st_mode) == folder
    assert stat.S_IMODE((tmp_path / "copy/code.py").stat().st_mode) == file


def test_the_mount_itself_stays_read_only_to_all_who_ask(warm: Mounted, tmp_path: Path) -> None:
    """`test -w`, rm, cp, and an editor: modes with w promise nothing."""
    place = warm / FOREST
    assert sh("test -w code.py", place, status=1) == ""
    assert sh("test -w assets", place, status=1) == ""
    for command in ("rm -f code.py", "rm -rf assets", "cp params.json code.py", "echo >> code.py", "mv code.py c.py"):
        assert "Read-only file system" in sh(command, place, status=1)
    if shutil.which("vim"):
        shown = tmp_path / "shown"
        sh(f"vim -u NONE -i NONE -n -es -c 'call writefile([&readonly], \"{shown}\")' -c q code.py < /dev/null", place)
        assert shown.read_text() == "1\n"
