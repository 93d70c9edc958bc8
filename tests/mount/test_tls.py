"""A Comet behind TLS with certificates of an organisation, mounted by a daemon, and looked at by the doctor."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cometfs.comet.network import UNCHECKED_WARNING
from tests.support.certificates import Authority
from tests.support.faulty_comet import faulty_comet
from tests.support.processes import Comet
from tests.support.subprocesses import Said, Stage

KEY = {"COMET_API_KEY": "test-key"}


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.made(tmp_path / "authority")


def test_a_daemon_trusts_the_bundle_of_its_working_directory(stage: Stage, comet: Comet, authority: Authority) -> None:
    """Which is another one by then, named by a path of the directory in which the command started."""
    (stage.home / ".env").write_text("COMET_INCLUDE_CUSTOM_CA_BUNDLE=authority/authority.pem\n")
    with faulty_comet(comet, authority.server("127.0.0.1")) as (before, _):
        assert before.url.startswith("https://")
        assert stage.run("mount", stage.home / "mnt", "--url", before.url, **KEY) == Said(0, "", "")
        assert (stage.home / "mnt/vision-lab/digits").is_dir()
        assert stage.run("umount", stage.home / "mnt") == Said(0, "", "")
        stage.await_no_process()


def test_a_mount_without_it_names_the_variable(stage: Stage, comet: Comet, authority: Authority) -> None:
    with faulty_comet(comet, authority.server("127.0.0.1")) as (before, faults):
        said = stage.run("mount", stage.home / "mnt", "--url", before.url, **KEY)
    assert said.status == 1
    assert said.complaint.startswith(f"cometfs: Comet is not asked at {before.url}: The certificate of ")
    assert "by COMET_INCLUDE_CUSTOM_CA_BUNDLE, or by SSL_CERT_FILE" in said.complaint
    assert faults.arrivals == []


def test_an_expired_certificate_is_named(stage: Stage, comet: Comet, authority: Authority) -> None:
    """By mount and by both doctors, with what helps: no other authority does."""
    expired = authority.server("127.0.0.1", days=-1)
    environ = {**KEY, "COMET_INCLUDE_CUSTOM_CA_BUNDLE": str(authority.certificate)}
    with faulty_comet(comet, expired) as (before, faults):
        host = before.url.removeprefix("https://").partition("/")[0]
        sentence = f"The certificate of {host} is not trusted (certificate has expired)"
        remedy = "the server needs a new one, unless this machine's clock is wrong"
        said = stage.run("mount", stage.home / "mnt", "--url", before.url, **environ)
        why = f"Comet is not asked at {before.url}: {sentence}: {remedy}"
        assert said.complaint == f"cometfs: {why} (asked workspaces)\n"
        said = stage.run("doctor", "--account", "--yes", "--url", before.url, **environ)
        assert why in said.complaint
        said = stage.run("doctor", "--json", "--url", before.url, **environ)
    assert said.status == 1
    (found,) = [one for one in json.loads(said.output)["findings"] if one["subject"] == "tls"]
    assert (found["result"], found["sentence"], found["remedy"]) == ("wrong", sentence, remedy)
    assert faults.arrivals == []


def test_an_unchecked_mount_warns_and_works(stage: Stage, comet: Comet, authority: Authority) -> None:
    """On the terminal, and in the log."""
    line = f"cometfs: warning: {UNCHECKED_WARNING}\n"
    environ = {**KEY, "COMET_INTERNAL_CHECK_TLS_CERTIFICATE": "false"}
    with faulty_comet(comet, authority.server("comet.example")) as (before, _):
        assert stage.run("mount", stage.home / "mnt", "--url", before.url, **environ) == Said(0, "", line)
        assert (stage.home / "mnt/vision-lab/digits").is_dir()
        assert stage.run("umount", stage.home / "mnt") == Said(0, "", "")
        stage.await_no_process()
    (log,) = (stage.home / ".local/state/cometfs/log").glob("*.log")
    assert log.read_text() == line


def test_the_doctor_goes_the_same_way(stage: Stage, comet: Comet, authority: Authority) -> None:
    """With the bundle it asks; without it says which variable helps."""
    with faulty_comet(comet, authority.server("127.0.0.1")) as (before, _):
        arguments = ("doctor", "--account", "--yes", "--url", before.url)
        trusting = stage.run(*arguments, **KEY, COMET_INCLUDE_CUSTOM_CA_BUNDLE=str(authority.certificate))
        assert "34 ok, 0 differs, 0 refused, 0 missing." in trusting.output
        doubting = stage.run(*arguments, **KEY)
    assert doubting.status == 1
    assert "by COMET_INCLUDE_CUSTOM_CA_BUNDLE, or by SSL_CERT_FILE" in doubting.complaint
