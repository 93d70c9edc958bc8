"""`.cometfs/errors.log` of a real mount: what programs were refused, and why."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mount.test_faults import FOREST, said
from tests.support.faulty_comet import Answer, Faults, faulty_comet
from tests.support.processes import Comet, Mounted, running_mount

ASSET, PROJECT = f"{FOREST}/assets/importances.csv", "vision-lab/digits"


@pytest.fixture
def faulty(comet: Comet) -> Iterator[tuple[Comet, Faults]]:
    with faulty_comet(comet) as found:
        yield found


def lines(mounted: Mounted) -> list[list[str]]:
    text = (mounted / ".cometfs/errors.log").read_text("utf-8")
    return [line.split("\t") for line in text.splitlines()]


def test_each_error_has_its_line_at_once(tmp_path: Path, faulty: tuple[Comet, Faults]) -> None:
    """Its errno, program, path and sentence, in the order of their coming."""
    behind, faults = faulty
    with running_mount(tmp_path, behind) as mounted:
        assert lines(mounted) == []
        said("ls", mounted / FOREST)
        faults.answers["experiment/output"] = Answer(503, json.dumps({"msg": "\x1b[2Jbusy\n"}).encode())
        faults.answers["experiment/code"] = Answer(200, b"<html>Sign in</html>", "text/html")
        faults.answers["experiment/graph"] = Answer(200, b"[]")
        faults.answers["asset/get-asset"] = Answer(403)
        for name in ("output.txt", "code.py", "graph.txt", "assets/importances.csv"):
            before = len(lines(mounted))
            with subprocess.Popen(["cat", str(mounted / FOREST / name)], stderr=subprocess.DEVNULL) as cat:
                assert cat.wait() == 1
            found = lines(mounted)
            assert len(found) == before + 1
            assert found[-1][2] == str(cat.pid)
            assert found[-1][4] == f"{FOREST}/{name}"
        assert [line[1] for line in found] == ["EREMOTEIO", "EREMOTEIO", "EPROTO", "EACCES"]
        assert "503: busy" not in found[0][5]
        assert "\\x1b[2Jbusy" in found[0][5]
        assert "An HTML page came instead" in found[1][5]
        assert all(line[0].endswith("Z") for line in found)


def test_a_read_that_fails_names_the_program_that_opened_the_file(tmp_path: Path, faulty: tuple[Comet, Faults]) -> None:
    """The kernel does not say which one reads; a directory has its own path."""
    behind, faults = faulty
    with running_mount(tmp_path, behind) as mounted:
        size = (mounted / ASSET).stat().st_size
        faults.answers["asset/get-asset"] = Answer(200, b"x" * 100, missing=size - 100)
        opened = os.open(mounted / ASSET, os.O_RDONLY)
        try:
            with pytest.raises(OSError, match="unreachable"):
                os.pread(opened, size, 0)
        finally:
            os.close(opened)
        (line, *_) = lines(mounted)
        assert line[1] == "ENETUNREACH"
        assert line[2] == str(os.getpid())
        assert line[4] == ASSET
        faults.answers["rest/v2/experiments"] = Answer(500)
        assert said("ls", mounted / PROJECT)[0] != 0
        assert lines(mounted)[-1][1:2] + lines(mounted)[-1][4:5] == ["EREMOTEIO", PROJECT]


def test_what_is_refused_to_every_program_is_no_error(tmp_path: Path, comet: Comet) -> None:
    """Names that are not there, attributes that nothing has, writing where nothing can be written."""
    with running_mount(tmp_path, comet) as mounted:
        assert said("stat", mounted / FOREST / "nosuch")[0] == 1
        assert said("touch", mounted / FOREST / "new")[0] == 1
        assert said("rm", mounted / FOREST / "output.txt")[0] == 1
        with pytest.raises(OSError, match="No data available"):
            os.getxattr(mounted / FOREST, "user.comet.nosuch")
        assert lines(mounted) == []
        assert [path.name for path in (mounted / ".cometfs").iterdir()] == ["store"]
