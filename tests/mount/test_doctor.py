"""`cometfs doctor --account` before the embedded Comet and before Comets that differ, and what mounts learn from it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.comet_switches import switched_comet
from tests.support.faulty_comet import Answer, Faults, faulty_comet
from tests.support.processes import Comet, running_mount
from tests.support.subprocesses import Said, Stage

KEY = "secret-api-key"
Doctor = Callable[..., Said]


@pytest.fixture
def doctor(tmp_path: Path) -> Doctor:
    stage = Stage(tmp_path)

    def run(url: str, *options: str) -> Said:
        environ = {"COMET_API_KEY": KEY, "XDG_CACHE_HOME": str(tmp_path / "cache")}
        return stage.run("doctor", "--url", url, *options, **environ)

    return run


def bad_rows(said: Said) -> dict[str, tuple[str, str, str]]:
    """Of what is not ok: result, words, and what the mount does instead."""
    lines = said.output.splitlines()
    found = {}
    for number, line in enumerate(lines):
        row = re.fullmatch(r"(differs|missing|refused)  +(\S+)  +(.*)", line)
        if row:
            following = lines[number + 1].strip()
            found[row[2]] = (row[1], row[3], following.removeprefix("the mount: "))
    return found


def test_the_embedded_comet_is_all_ok(doctor: Doctor, comet: Comet) -> None:
    """At most 60 calls, none of which writes anything."""
    with comet.asked() as paths:
        said = doctor(comet.url, "--account", "--yes")
    assert said.status == 0, said.complaint
    assert said.complaint == ""
    assert bad_rows(said) == {}
    assert re.search(r"^34 ok, 0 differs, 0 refused, 0 missing\.$", said.output, re.MULTILINE), said.output
    assert 40 < len(paths) <= 60
    assert f": {len(paths)} calls," in said.output
    assert [path for path in paths if path.startswith("write/")] == []


def test_it_asks_before_it_asks_comet(doctor: Doctor, comet: Comet) -> None:
    """Without a terminal that says yes nothing is asked."""
    with comet.asked() as paths:
        said = doctor(comet.url, "--account")
    assert said.status == 1
    assert f"At most 60 calls to {comet.url}, none of which writes anything. Go on? [y/N]" in said.output
    assert said.complaint.endswith("cometfs: nothing was asked: say yes, or give --yes\n")
    assert paths == []


def test_without_account_one_thing_is_asked(doctor: Doctor, comet: Comet) -> None:
    """Whether the key is accepted."""
    with comet.asked() as paths:
        said = doctor(comet.url)
    assert (said.status, paths) == (0, ["account-details"])
    assert f"ok     key           there is one, for {comet.url}" in said.output.splitlines()


def test_what_is_lacking_is_said_with_what_the_mount_does(doctor: Doctor, comet: Comet) -> None:
    """A row for each way in which a Comet differs; the rest stays ok."""
    switches = ("artifacts-refused", "get-all-fails", "search-missing", "values-are-numbers")
    with switched_comet(comet, *switches) as (before, faults):
        said = doctor(before.url, "--account", "--yes")
        assert len(faults.arrivals) <= 60
    assert said.status == 0, said.complaint
    found = bad_rows(said)
    assert set(found) == {
        "artifacts/get-all",
        "experiment/metrics/get-all",
        "experiments/search",
        "experiment/parameters",
    }
    assert found["artifacts/get-all"][:2] == ("refused", "answered 403: not allowed to this key")
    assert found["experiment/metrics/get-all"][:2] == ("refused", "answered 504")
    assert found["experiment/metrics/get-all"][2].startswith("each metric is asked for by itself")
    assert found["experiments/search"] == ("missing", "answered 404", "tables of projects cost more calls")
    assert found["experiment/parameters"][0] == "differs"
    assert "values.valueCurrent is a number instead of text or null" in found["experiment/parameters"][1]
    assert "experiment/metrics/get-all, experiments/search" in said.output


def test_the_report_has_nothing_private(doctor: Doctor, comet: Comet, tmp_path: Path) -> None:
    """No name, key, link or value of the account; and it says what came."""
    report = tmp_path / "report.json"
    assert doctor(comet.url, "--account", "--yes", "--report", str(report)).status == 0
    text = report.read_text()
    private = [
        KEY,
        "vision-lab",
        "tabular",
        "digits",
        "mlp-baseline",
        "alpha",
        "validate_loss",
        "first-layer",
        "127.0.0.1",
    ]
    assert [word for word in private if word in text] == []
    assert re.findall(r"[0-9a-f]{20,}|https?://", text) == []
    shapes = {one["check"]: one for one in json.loads(text)["findings"]}
    assert shapes["experiment/tags"]["shape"]["object"]["fields"]["tags"]["list"]["of"].keys() <= {"text"}


def test_a_mount_does_not_ask_for_what_is_missing(doctor: Doctor, comet: Comet, tmp_path: Path) -> None:
    """And shows the same bytes, by its second way; a mount of another key has learnt nothing."""
    place = "vision-lab/digits/mlp-baseline/.api/experiment_metric.json"
    with running_mount(tmp_path, comet) as mounted:
        wanted = sorted(json.loads((mounted / place).read_bytes()), key=str)
    with switched_comet(comet, "get-all-missing", "store-missing") as (before, faults):
        assert doctor(before.url, "--account", "--yes").status == 0
        asked = asking(faults, "get-all", "panel/store")
        for key, expected in ((KEY, set()), ("another", {"get-all", "panel/store"})):
            with running_mount(tmp_path, before, COMET_API_KEY=key) as mounted:
                assert sorted(json.loads((mounted / place).read_bytes()), key=str) == wanted
                with pytest.raises(OSError, match="not supported"):
                    list((mounted / ".cometfs/store").iterdir())
            assert asked() == expected


def asking(faults: Faults, *parts: str) -> Callable[[], set[str]]:
    """A function that says which of `parts` were asked for since it was called last."""
    faults.arrivals.clear()

    def asked() -> set[str]:
        found = {part for part in parts if any(part in target for target in faults.arrivals)}
        faults.arrivals.clear()
        return found

    return asked


def test_a_rejected_key_and_a_server_that_is_away_are_sentences(doctor: Doctor, comet: Comet, tmp_path: Path) -> None:
    with switched_comet(comet, "key-rejected") as (before, _):
        said = doctor(before.url, "--account", "--yes")
    assert (said.status, said.complaint) == (
        1,
        f"cometfs: {before.url} does not accept the API key: check COMET_API_KEY or --api-key-file\n",
    )
    said = doctor(before.url, "--account", "--yes")
    assert said.status == 1
    assert said.complaint.startswith(f"cometfs: cannot reach Comet at {before.url}: check the network and --url (")
    assert not (tmp_path / "cometfs-doctor.json").exists()


def test_a_server_in_trouble_is_no_missing_network(doctor: Doctor, comet: Comet, tmp_path: Path) -> None:
    """Nor for a mount that starts."""
    (tmp_path / "mnt").mkdir()
    with faulty_comet(comet) as (before, faults):
        faults.answers["/api/rest/v2/"] = Answer(503)
        said = doctor(before.url, "--account", "--yes")
        mounted = Stage(tmp_path).run("mount", tmp_path / "mnt", "--url", before.url, COMET_API_KEY=KEY)
    for one in (said, mounted):
        assert one.status == 1
        assert one.complaint.startswith(f"cometfs: {before.url} is in trouble: try again in a while ("), one.complaint
