"""Many at once: mounts on one place, files of one mount."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.support.processes import COMETFS, PATIENCE, is_mounted, running_comet, running_mount


def test_two_mounts_that_start_at_once_do_not_stack(tmp_path: Path) -> None:
    """One mounts, the other is told so; one umount is enough."""
    place = tmp_path / "mnt"
    place.mkdir()
    with running_comet(tmp_path, "--latency", "700") as comet:
        environ = {**os.environ, "COMET_API_KEY": "k", "HOME": str(tmp_path)}
        command = [*COMETFS, "mount", str(place), "--url", comet.url]
        both = [subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True) for _ in range(2)]
        said = [process.communicate(timeout=PATIENCE)[1] for process in both]
        assert sorted(process.returncode for process in both) == [0, 1], said
        assert Path("/proc/self/mountinfo").read_text().count(f" {place} ") == 1
        subprocess.run([*COMETFS, "umount", str(place)], check=True, env=environ)
        assert not is_mounted(place)


def test_more_assets_than_file_descriptors_can_be_read(tmp_path: Path) -> None:
    """What was downloaded is kept only as far as the process has descriptors to spare."""
    with running_comet(tmp_path, "--replicate", "20") as comet:
        limits = "resource.setrlimit(resource.RLIMIT_NOFILE, (400, 400))"
        limited = f"import resource, os, sys; {limits}; os.execv(sys.argv[1], sys.argv[1:])"
        with running_mount(tmp_path, comet, before=(COMETFS[0], "-c", limited)) as mounted:
            found = mounted.path.glob("tabular/wine-cultivars/*/assets/*")
            read = [path.read_bytes() for path in found if path.is_file()]
            assert len(read) > 500
            assert mounted.log.read_text() == ""
