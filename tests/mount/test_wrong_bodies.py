"""Bodies that are not the asset: an error, kept nowhere. Those of another size that are: the listing is asked again."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.mount.test_faults import FOREST, said
from tests.support.faulty_comet import Answer, Faults, faulty_comet
from tests.support.processes import COMETFS, Comet, Mounted, running_mount

ASSET = f"{FOREST}/assets/importances.csv"
ARTIFACT = "vision-lab/.artifacts/digits-split/1.1.0/held-out/labels.csv"
PAGE = b"<html><head><title>Sign in</title></head></html>"
REFUSED = b'{"msg": "session expired", "code": 401}'

WRONG = {
    "login page": (Answer(200, PAGE, "text/html"), "Protocol error"),
    "login page, chunked": (Answer(200, PAGE, "text/html", framing="chunked"), "Protocol error"),
    "login page of no type": (Answer(200, PAGE, "application/octet-stream"), "Protocol error"),
    "page of a proxy by its type": (Answer(200, b"blocked", "text/html; charset=utf-8"), "Protocol error"),
    "error with status 200": (Answer(200, REFUSED), "Protocol error"),
    "empty": (Answer(200, b"", "text/csv"), "Protocol error"),
    "empty, chunked": (Answer(200, b"", "text/csv", framing="chunked"), "Protocol error"),
    "empty, no length": (Answer(200, b"", "text/csv", framing="close"), "Protocol error"),
    "cut, no length": (Answer(200, b"feature,importance\n", "text/csv", framing="close"), "Network is unreachable"),
}


@pytest.fixture
def faulty(comet: Comet) -> Iterator[tuple[Comet, Faults]]:
    with faulty_comet(comet) as found:
        yield found


def bodies(folder: Path) -> list[Path]:
    return [path for path in (folder / "cache").glob("cometfs/*/bodies/*/*") if path.is_file()]


def verify(folder: Path) -> str:
    """What `cometfs cache verify` says."""
    command = [*COMETFS, "cache", "verify", "--cache-dir", str(folder / "cache" / "cometfs")]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_wrong_bodies_are_errors_and_never_kept(tmp_path: Path, comet: Comet, faulty: tuple[Comet, Faults]) -> None:
    """Of an asset and of an artifact's file: no byte, an errno, a sentence; right after recovery and a remount."""
    behind, faults = faulty
    with running_mount(tmp_path, comet) as mounted:
        right = {name: (mounted / name).read_bytes() for name in (ASSET, ARTIFACT)}
    for number, (case, (answer, complaint)) in enumerate(WRONG.items()):
        folder = tmp_path / str(number)
        folder.mkdir()
        with running_mount(folder, behind) as mounted:
            for name in right:
                assert (mounted / name).stat().st_size == len(right[name])
                faults.answers["asset/get-asset"] = answer
                status, output, complained = said("cat", mounted / name)
                assert (status, output) == (1, b""), (case, name)
                assert complained.rstrip().endswith(complaint), (case, complained)
                assert bodies(folder) == []
                faults.answers.clear()
            assert "0 bodies read" in verify(folder)
            for name in right:
                assert (mounted / name).read_bytes() == right[name], case
            assert mounted.log.read_text().count(Path(ASSET).name) >= 1
        with running_mount(folder, behind) as mounted:
            for name in right:
                assert (mounted / name).read_bytes() == right[name], case
        assert "2 bodies read, all is well" in verify(folder)


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_whole_body_of_another_size_is_shown_logged_and_its_listing_asked_again(
    framing: Any, tmp_path: Path, faulty: tuple[Comet, Faults]
) -> None:
    """Once each, and the size is right at once."""
    behind, faults = faulty
    with running_mount(tmp_path, behind) as mounted:
        path = mounted / ASSET
        assert path.stat().st_size == 480
        listed = asked(faults, "asset/list")
        faults.answers["asset/get-asset"] = Answer(200, b"short", "application/octet-stream", framing=framing)
        for _ in range(2):
            assert said("cat", path) == (0, b"short", "")
            assert path.stat().st_size == 5
        assert said("ls", path.parent)[0] == 0
        assert asked(faults, "asset/list") == listed + 1
        (line,) = mounted.log.read_text().splitlines()
        assert "'importances.csv'" in line
        assert "has 5 bytes, its listing says 480" in line


def asked(faults: Faults, part: str) -> int:
    return sum(part in target for target in faults.arrivals)


def test_a_wrong_body_costs_its_neighbours_nothing(tmp_path: Path, faulty: tuple[Comet, Faults]) -> None:
    """The directory lists and the other files read while one asset cannot be had."""
    behind, faults = faulty
    with running_mount(tmp_path, behind) as mounted:
        faults.answers["asset/get-asset"] = Answer(200, PAGE, "text/html")
        assert said("cat", mounted / ASSET)[0] == 1
        assert said("ls", (mounted / ASSET).parent)[0] == 0
        assert said("cat", mounted / FOREST / "params.json")[0] == 0
        assert mounted_outlives(mounted)


def mounted_outlives(mounted: Mounted) -> bool:
    return mounted.process.poll() is None and "Traceback" not in mounted.log.read_text()
