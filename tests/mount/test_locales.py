"""Mounts and servers that are started under locales other than UTF-8: names are UTF-8 bytes all the same."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from cometfs.server import sample_directory
from tests.support.faulty_comet import Faults, faulty_comet
from tests.support.processes import PATIENCE, Comet, Mounted, running_comet, running_mount

COMETFS = (sys.executable, "-X", "warn_default_encoding", "-W", "error", "-m", "cometfs")
"""A text file that is opened in the locale's encoding is an error, too."""

LOCALES = {"ISO-8859-1": ("en_US", "iso8859-1"), "GB18030": ("zh_CN", "gb18030"), "EUC-JP": ("ja_JP", "euc_jp")}
"""By charmap: a language, and what Python calls the encoding. All bytes are text in the first only."""

NAME = "σ-é漢-\u0416🚀"
"""No one of these encodings has all of it."""


@pytest.fixture(scope="session", params=LOCALES)
def locale(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a locale that really is there: made for these tests, and told by Python itself."""
    charmap = request.param
    language, encoding = LOCALES[charmap]
    if not shutil.which("localedef") or not Path(f"/usr/share/i18n/locales/{language}").exists():
        pytest.skip("no test of other locales: the package locales is not installed")
    folder = tmp_path_factory.mktemp("locales")
    made = folder / f"{language}.{charmap}"
    # Its status is 1 for mere warnings.
    subprocess.run(["localedef", "-c", "-i", language, "-f", charmap, str(made)], capture_output=True, check=False)
    own = {"LOCPATH": str(folder), "LC_ALL": made.name, "LANG": made.name, "PYTHONCOERCECLOCALE": "0"}
    told = subprocess.run(
        [sys.executable, "-c", "import sys; print(sys.getfilesystemencoding())"],
        env={**os.environ, **own},
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.strip() == encoding, "Python does not take the locale: PYTHONUTF8 is set, perhaps"
    return own


@pytest.fixture
def named(comet: Comet) -> Iterator[tuple[Comet, Faults]]:
    """A Comet of which a project, and an experiment in it, have a name that no such locale has."""

    def project(told: Any, _query: dict[str, str]) -> Any:
        for row in told["projects"]:
            row["projectName"] = NAME if row["projectName"] == "digits" else row["projectName"]
        return told

    def experiment(told: Any, _query: dict[str, str]) -> Any:
        for row in told["experiments"]:
            row["experimentName"] = NAME if row["experimentName"] == "mlp-baseline" else row["experimentName"]
        return told

    with faulty_comet(comet) as (behind, faults):
        faults.edits |= {"projects": project, "experiments": experiment}
        yield behind, faults


def run(locale: dict[str, str], *command: str | Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*map(str, command)], env={**os.environ, **locale}, capture_output=True, timeout=PATIENCE, check=False
    )


def place_of(folder: Path, locale: dict[str, str]) -> Path:
    """A directory that has such a name itself, where a program of that locale can name it."""
    place = folder / ("plain" if locale["LC_ALL"].endswith("EUC-JP") else NAME)
    place.mkdir()
    return place


def test_a_mount_under_another_locale_shows_the_names_that_comet_has(
    locale: dict[str, str], tmp_path: Path, named: tuple[Comet, Faults]
) -> None:
    """Listed, looked up, read, linked to, refreshed, with attributes, at a place that has such a name itself."""
    comet, _ = named
    folder = place_of(tmp_path, locale)
    words = ("env", *(f"{name}={value}" for name, value in locale.items()))
    with running_mount(folder, comet, "--rw", before=words, program=COMETFS) as mounted:
        project = mounted / "vision-lab" / NAME
        assert NAME in names(mounted / "vision-lab")
        assert NAME in names(project)
        assert json.loads((project / NAME / "params.json").read_bytes())
        link = next(path for path in (project / "views/by-key").iterdir() if path.readlink().name == NAME)
        assert link.lstat().st_size == len(os.fsencode(link.readlink()))
        assert (link / "params.json").read_bytes() == (project / NAME / "params.json").read_bytes()
        assert os.getxattr(project, "user.comet.url").startswith(comet.url.encode())
        os.utime(project)
        assert NAME in names(project)
        with pytest.raises(FileNotFoundError):
            (project / os.fsdecode(b"\xff\xfe")).stat()
        write_and_read_back(mounted, locale)
        assert_commands_work(mounted, locale)
        assert mounted.log.read_text() == ""


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def write_and_read_back(mounted: Mounted, locale: dict[str, str]) -> None:
    value = mounted / ".cometfs/store" / NAME
    assert run(locale, "sh", "-c", f"echo text > '{value}'").returncode == 0
    assert value.read_text() == "text\n"
    assert NAME in names(value.parent)
    value.unlink()


def assert_commands_work(mounted: Mounted, locale: dict[str, str]) -> None:
    """What they print has no traceback, and is in the locale's encoding."""
    told = run(locale, *COMETFS, "status", mounted.path)
    assert (told.returncode, told.stderr) == (0, b"")
    assert b"calls" in told.stdout
    assert json.loads(run(locale, *COMETFS, "status", "--json").stdout.splitlines()[0])["mountpoint"]
    place = mounted / "vision-lab" / ("" if locale["LC_ALL"].endswith("EUC-JP") else NAME)
    assert run(locale, *COMETFS, "refresh", place).returncode == 0
    lost = run(locale, *COMETFS, "refresh", place / "nothing")
    assert (lost.returncode, b"Traceback" in lost.stderr, b"there is no" in lost.stderr) == (1, False, True)
    assert run(locale, *COMETFS, "umount", mounted.path).returncode == 0


def test_a_daemon_under_another_locale_tells_what_is_wrong(locale: dict[str, str], tmp_path: Path) -> None:
    """The sentence names a place whose bytes are no text there, and comes through the pipe from the daemon."""
    place = place_of(tmp_path, locale)
    own = {**locale, "COMET_API_KEY": "k", "XDG_CACHE_HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path)}
    told = run(own, *COMETFS, "mount", place, "--url", "http://127.0.0.1:1")
    assert told.returncode == 1
    assert told.stderr.startswith(b"cometfs: cannot reach Comet at http://127.0.0.1:1")
    assert len(told.stderr.splitlines()) == 1
    (log,) = tmp_path.rglob("*.log")
    assert "cannot reach Comet" in log.read_text("utf-8")


def test_a_place_that_a_locale_cannot_name_is_a_sentence(locale: dict[str, str], tmp_path: Path) -> None:
    """Under EUC-JP glibc and Python differ about some bytes, so that Python has no way to such a place."""
    place = tmp_path / NAME
    place.mkdir()
    told = run(locale, *COMETFS, "status", place)
    assert told.returncode == 1
    assert len(told.stderr.splitlines()) == 1
    assert (b"LC_ALL=C.UTF-8" in told.stderr) == locale["LC_ALL"].endswith("EUC-JP")


def test_a_server_under_another_locale_keeps_names_as_utf_8(
    locale: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of artifacts, their files and folders: as they lie on disk, and as they are sent."""
    archive = Path(shutil.copy(next(sample_directory().glob("*.zip")), tmp_path))
    version = tmp_path / "artifacts" / "ws" / NAME / "1.0.0"
    (version / NAME).mkdir(parents=True)
    (version / NAME / f"{NAME}.txt").write_bytes(b"text")
    for name, value in locale.items():
        monkeypatch.setenv(name, value)
    with running_comet(tmp_path, archives=tmp_path) as comet:
        (row,) = ask(comet, "artifacts/get-all?workspace=ws")["artifacts"]
        assert row["name"] == NAME
        asked = urlencode({"workspace": "ws", "artifactName": NAME, "version": "1.0.0"})
        (row,) = ask(comet, f"artifacts/version/files?{asked}")["files"]
        assert row["fileName"] == f"{NAME}/{NAME}.txt"
        body = {"artifactName": f"{NAME}2", "artifactType": "data", "experimentKey": archive.stem, "alias": []}
        assert ask(comet, "write/artifacts/upsert", body)["artifactVersionId"]
    (made,) = tmp_path.glob(f"artifacts/*/{NAME}2")
    assert (made / "1.0.0").is_dir()


def ask(comet: Comet, target: str, body: Any = None) -> Any:
    request = urllib.request.Request(
        f"{comet.url}/api/rest/v2/{target}",
        None if body is None else json.dumps(body).encode(),
        {"Authorization": "any", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=PATIENCE) as reply:
        return json.load(reply)
