"""`cometfs doctor` on machines with something wrong, and the archive that it makes for a bug report."""

from __future__ import annotations

import gzip
import json
import signal
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.support.faulty_comet import Answer, faulty_comet
from tests.support.processes import Comet, running_mount
from tests.support.small_disks import small_disk
from tests.support.subprocesses import Said, Stage


def findings(said: Said) -> dict[str, list[dict[str, Any]]]:
    """By subject, what `--json` has."""
    found: dict[str, list[dict[str, Any]]] = {}
    for one in json.loads(said.output)["findings"]:
        found.setdefault(one["subject"], []).append(one)
    return found


def wrong(said: Said, home: Path) -> dict[str, str]:
    """The sentences and remedies of what is wrong, and the exit status that follows from it. A mount that a test beside
    this one has killed is no concern of this one."""
    found = [one for some in findings(said).values() for one in some if one["result"] == "wrong"]
    assert all(one["remedy"] for one in found)
    assert said.status == bool(found)
    own = [one for one in found if one["subject"] != "mounts" or str(home) in one["sentence"]]
    return {one["subject"]: f"{one['sentence']}: {one['remedy']}" for one in own}


def wrong_lines(shown: str, home: Path) -> list[str]:
    """The same of what is printed for people: the subjects."""
    lines = [line.split() for line in shown.splitlines() if line.startswith("wrong ")]
    return [words[1] for words in lines if words[1] != "mounts" or str(home) in " ".join(words)]


def test_all_is_well(stage: Stage, comet: Comet) -> None:
    """Exit status 0, every subject in the table, and one call."""
    with comet.asked() as paths:
        said = stage.run("doctor", "--json", "--url", comet.url, COMET_API_KEY="k")
    assert wrong(said, stage.home) == {}
    named = {"fuse", "other users", "mounts", "cache", "cache space", "kernel", "locale", "limits", "key", "proxy"}
    assert findings(said).keys() >= named | {"address", "clock"}
    assert paths == ["account-details"]


def test_three_faults_at_once(stage: Stage, comet: Comet, tmp_path: Path) -> None:
    """No key, a mount whose daemon was killed, a cache on a full disk: each with what to do; status 1."""
    with small_disk(tmp_path, "9M") as disk, running_mount(tmp_path, comet) as mounted:
        mounted.stop(signal.SIGKILL)
        (disk / "fill").write_bytes(bytes(3 << 20))
        words = ("doctor", "--url", comet.url, "--cache-dir", str(disk))
        said = stage.run(*words, "--json")
        shown = stage.run(*words)
    found = wrong(said, tmp_path)
    assert shown.status == 1
    assert found.keys() == {"key", "mounts", "cache space"}
    assert found["key"].startswith("No Comet API key was found: set COMET_API_KEY")
    assert found["mounts"] == f"the daemon of {mounted.path} is gone: cometfs umount {mounted.path}"
    assert "its disk is full" in found["cache space"]
    assert sorted(wrong_lines(shown.output, tmp_path)) == ["cache", "key", "mounts"]
    assert " wrong, " in shown.output.splitlines()[-1]
    assert f"cometfs umount {mounted.path}" in shown.output


@pytest.mark.parametrize(
    ("answer", "subject", "sentence"),
    [
        (Answer(401), "key", "does not accept it: check COMET_API_KEY"),
        (Answer(200, b"<html>Sign in</html>", "text/html"), "address", ""),
        (Answer(503), "address", "503"),
    ],
)
def test_what_the_server_says(stage: Stage, comet: Comet, answer: Answer, subject: str, sentence: str) -> None:
    """A key that is rejected, a page of a proxy, a server in trouble."""
    with faulty_comet(comet) as (before, faults):
        faults.answers["account-details"] = answer
        said = stage.run("doctor", "--json", "--url", before.url, COMET_API_KEY="k")
    assert wrong(said, stage.home).keys() == {subject}
    assert sentence in wrong(said, stage.home)[subject]


def test_a_proxy_is_named_without_its_password(stage: Stage) -> None:
    proxies = {"HTTPS_PROXY": "http://ada:canary-42@127.0.0.1:9", "https_proxy": "http://ada:canary-42@127.0.0.1:9"}
    said = stage.run("doctor", "--json", "--url", "https://comet.invalid", COMET_API_KEY="k", **proxies)
    assert said.status == 1
    assert findings(said)["proxy"][0]["sentence"] == "calls go through 127.0.0.1:9"
    assert "canary" not in said.output


CANARIES = {
    name: f"cAnArY{number}x{'0a1b2c3d4e5f6g7h8' if number else '9q8w7e6r5t4y3u2i1'}"
    for number, name in enumerate(["environ", "comet config", "profile", ".env", "proxy", "key file", "log"])
}
"""Where a key may stand, and one for each place, in the form of Comet's keys."""


def test_the_archive_has_no_key(stage: Stage, comet: Comet, tmp_path: Path) -> None:
    """Of none of the places where one may stand, whether it is in force or not; and all else that is needed."""
    home = stage.home
    (home / ".comet.config").write_text(f"[comet]\napi_key = {CANARIES['comet config']}\n")
    (home / ".env").write_text(f"COMET_API_KEY={CANARIES['.env']}\n")
    (home / ".config/cometfs").mkdir(parents=True)
    (home / ".config/cometfs/config.toml").write_text(f'[profiles.work]\napi_key = "{CANARIES["profile"]}"\n')
    (home / "key").write_text(CANARIES["key file"])
    log = json.dumps([f"https://u:{CANARIES['proxy']}@h/", f"sent {CANARIES['log']}", f"env {CANARIES['environ']}"])
    environ = {"COMET_API_KEY": CANARIES["environ"], "http_proxy": f"http://u:{CANARIES['proxy']}@127.0.0.1:9"}
    environ |= {"COMET_URL_OVERRIDE": comet.url}
    environ |= {"COMET_ALLOW_HEADER_NAME": "X-Pass", "COMET_ALLOW_HEADER_VALUE": CANARIES["log"][:12]}
    mountpoint = tmp_path / "mnt"
    assert stage.run("mount", mountpoint, **environ).status == 0
    try:
        (written,) = (home / ".local/state/cometfs/log").glob("*.log")
        written.write_text(log + "\n" + "\n".join(f"a line about {canary}" for canary in CANARIES.values()))
        bundle = tmp_path / "report.tar.gz"
        words = ("--api-key-file", str(home / "key"), "--bundle", str(bundle))
        said = stage.run("doctor", *words, **environ)
    finally:
        stage.run("umount", mountpoint)
    texts = contents(bundle)
    assert wrong_lines(texts["doctor.txt"], tmp_path) == [], said.output
    whole = gzip.decompress(bundle.read_bytes()).decode("utf-8", "replace")
    assert [name for name, canary in CANARIES.items() if canary in whole or canary[:12] in whole] == []
    assert whole.count("a line about [removed]") == len(CANARIES)
    assert bundle.stat().st_mode & 0o077 == 0
    assert json.loads(texts["versions.json"])["libraries"]["trio"]
    assert json.loads(texts["settings.json"])["url"]["value"] == comet.url
    statuses = [json.loads(text) for name, text in texts.items() if name.endswith("/status.json")]
    assert comet.url in [one["server"] for one in statuses]
    assert f"{bundle} has" in said.output


def contents(bundle: Path) -> dict[str, str]:
    with tarfile.open(bundle) as archive:
        found = {}
        for member in archive.getmembers():
            file = archive.extractfile(member)
            assert file is not None
            found[member.name.removeprefix("cometfs-report/")] = file.read().decode()
        return found
