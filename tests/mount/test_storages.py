"""Assets behind redirects: from the storage, without the key; from Comet itself where the storage cannot be used."""

from __future__ import annotations

import subprocess
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from tests.mount.test_odd_tables import copy, same
from tests.support.comet_switches import switched_comet
from tests.support.processes import Comet, Mounted, running_comet, running_mount

RUN = "vision-lab/digits/mlp-baseline"
GET = "/api/rest/v2/experiment/asset/get-asset"


def files(mounted: Mounted, folder: str) -> list[Path]:
    return sorted(path for path in (mounted / RUN / folder).rglob("*") if path.is_file())


def test_assets_come_from_the_object_store(tmp_path: Path, warm: Mounted) -> None:
    """Byte for byte; the store, which refuses every request with a key, was asked once for each."""
    with running_comet(tmp_path, "--assets", "redirect") as comet, running_mount(tmp_path, comet) as mounted:
        assert copy(mounted / RUN / "assets", tmp_path / "copy").returncode == 0
        assert same(warm / RUN / "assets", tmp_path / "copy")
        asked = [request for request in comet.requests() if request["path"] == GET]
        stored = [request for request in comet.requests() if request["path"].startswith("/objects/")]
    assert {request["status"] for request in asked} == {302}
    assert {request["status"] for request in stored} == {200}
    assert len(asked) == len(stored) > 3
    assert mounted.log.read_text() == ""


@pytest.mark.parametrize("switch", ["storage-forbids", "storage-is-silent", "storage-is-unreachable"])
def test_assets_come_from_comet_itself(tmp_path: Path, comet: Comet, warm: Mounted, switch: str) -> None:
    """The redirect that leads nowhere costs the first of them two calls more; the log has a line, without the link."""
    begun = len(comet.requests())
    with (
        switched_comet(comet, switch) as (before, faults),
        running_mount(tmp_path, before, "--deadline", "8") as mounted,
    ):
        (first,) = files(warm, "source")
        assert (mounted.path / first.relative_to(warm.path)).read_bytes() == first.read_bytes()
        redirected = [target for target in faults.arrivals if "allow301=true" in target]
        assert copy(mounted / RUN, tmp_path / "copy").returncode == 0
        assert same(warm / RUN / "assets", tmp_path / "copy/assets")
        assert [target for target in faults.arrivals if "allow301=true" in target] == redirected
    assert len(redirected) == 1
    asked = [request for request in comet.requests()[begun:] if request["path"] == GET]
    assert {parse_qs(request["query"])["allow301"][0] for request in asked} == {"false"}
    (line,) = mounted.log.read_text().splitlines()
    assert "their storage cannot be used from here" in line
    assert "secret" not in line


def test_a_comet_without_redirects_is_asked_for_them_all_the_same(tmp_path: Path, comet: Comet, cold: Mounted) -> None:
    """And answers with the bytes."""
    begun = len(comet.requests())
    subprocess.run(["cat", *map(str, files(cold, "source"))], check=True, capture_output=True)
    asked = [request for request in comet.requests()[begun:] if request["path"] == GET]
    assert asked
    assert {(request["status"], "allow301=true" in request["query"]) for request in asked} == {(200, True)}
