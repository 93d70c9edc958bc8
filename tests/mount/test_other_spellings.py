"""Comets that spell or leave out what the embedded one says: the tree is the same."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mount.test_odd_tables import same
from tests.support.comet_switches import switched_comet
from tests.support.processes import Comet, Mounted, running_comet, running_mount

RUN = "vision-lab/digits/mlp-baseline"
MODEL = "vision-lab/.models/digits-mlp"
ARTIFACT = "vision-lab/.artifacts/digits-split"
SAS = "https://account.blob.example/c/data.csv?sv=2024-01-01&sig=abc%3D"
LINKS = {
    "far.csv": "s3://bucket/far.csv?versionId=1",
    "page": "https://data.example/page?id=1",
    "local": "file:///data",
}


@pytest.fixture
def linked(tmp_path: Path) -> Iterator[Comet]:
    """A Comet with an artifact that has files here, an empty one too, and elsewhere."""
    version = tmp_path / "runs/artifacts/ws/set/1.0.0"
    version.mkdir(parents=True)
    (version / "here.txt").write_text("here")
    (version / "empty").touch()
    lines = [{"fileName": name, "assetId": f"id-{name}", "link": link} for name, link in LINKS.items()]
    version.with_name("1.0.0.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    with running_comet(tmp_path, archives=tmp_path / "runs") as comet:
        yield comet


def test_files_elsewhere_are_known_by_their_link(tmp_path: Path, linked: Comet) -> None:
    """By its scheme, or by a link without a size, where no row says whether its file is remote."""
    with (
        switched_comet(linked, "artifact-files-without-remote") as (before, _),
        running_mount(tmp_path, before) as mounted,
    ):
        version = mounted / "ws/.artifacts/set/1.0.0"
        found = {path.name: path.read_text() for path in version.iterdir()}
    assert found == {"here.txt": "here", "empty": "", **{f"{name}.url": f"{link}\n" for name, link in LINKS.items()}}


def test_the_newest_version_is_the_latest(tmp_path: Path, comet: Comet) -> None:
    """Where Comet says so by an alias, and where it only says which one it is."""
    with switched_comet(comet, "artifacts-without-latest") as (before, _), running_mount(tmp_path, before) as mounted:
        assert (mounted / ARTIFACT / "Latest").readlink() == Path("1.1.0")
        assert (mounted / ARTIFACT / "production").readlink() == Path("1.1.0")
        assert sorted(path.name for path in (mounted / ARTIFACT).iterdir()) == sorted(
            ["1.0.0", "1.1.0", "first try", "production", "Latest"]
        )


def test_a_models_name_may_be_in_another_field(tmp_path: Path, comet: Comet, warm: Mounted) -> None:
    """Its files are found by it, where no version lists them."""
    with (
        switched_comet(comet, "models-by-another-name") as (before, faults),
        running_mount(tmp_path, before) as mounted,
    ):
        assert same(warm / MODEL / "1.0.0", mounted / MODEL / "1.0.0")
        assert any("experiment/model/asset/list" in target for target in faults.arrivals)


def test_all_types_of_assets_are_asked_for(tmp_path: Path, comet: Comet, warm: Mounted) -> None:
    """Which ones a Comet lists that is not told is not known."""
    with (
        switched_comet(comet, "asset-list-chooses-a-type") as (before, _),
        running_mount(tmp_path, before) as mounted,
    ):
        for folder in ("assets", "images", "curves", "source"):
            assert same(warm / RUN / folder, mounted / RUN / folder)


def test_comets_own_presigned_links_are_shown_nowhere(tmp_path: Path, comet: Comet, warm: Mounted) -> None:
    """Not in the raw answers, and no copy has one; the bytes are there."""
    with switched_comet(comet, "links-are-presigned") as (before, _), running_mount(tmp_path, before) as mounted:
        raw = [
            (mounted / RUN / ".api" / name).read_text() for name in ("experiment_assets.json", "experiment_images.json")
        ]
        assert all("storage.example/o" in text and "secret" not in text for text in raw)
        assert same(warm / RUN / "assets", mounted / RUN / "assets")
