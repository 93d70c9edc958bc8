"""Extended attributes tell where a file comes from, and cost nothing."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path

import pytest

from tests.support.processes import PATIENCE, Mounted

BASELINE = "vision-lab/digits/mlp-baseline"
KEY = "50d3a93fdfbc7f162d0165d3174ee601"


def attributes(mounted: Mounted, path: str) -> dict[str, str]:
    place = mounted / path
    return {name.removeprefix("user.comet."): os.getxattr(place, name).decode() for name in os.listxattr(place)}


def test_attributes_tell_key_address_state_and_source(cold: Mounted) -> None:
    """Of an experiment, of its files, of an asset."""
    url = f"{cold.comet.url}/vision-lab/digits/{KEY}"
    experiment = attributes(cold, BASELINE)
    assert 0 <= int(experiment.pop("age_s")) < 3600
    assert experiment == {"key": KEY, "url": url, "state": "finished", "stale": "false"}
    params = attributes(cold, f"{BASELINE}/params.json")
    assert params == {
        "key": KEY,
        "url": url,
        "state": "finished",
        "source": "experiment/parameters by name",
        "cached": "false",
    }
    (cold / f"{BASELINE}/params.json").read_bytes()
    params = attributes(cold, f"{BASELINE}/params.json")
    assert params["cached"] == "true"
    assert 0 <= int(params["age_s"]) < 3600
    image = attributes(cold, f"{BASELINE}/assets/first-layer-10.png")
    assert (image["asset_type"], image["step"], len(image["asset_id"])) == ("image", "10", 32)


def test_attributes_cost_no_call(cold: Mounted) -> None:
    """Neither listing nor reading them asks Comet, not even for what is not at hand."""
    list((cold / BASELINE).iterdir())
    with cold.comet.asked() as asked:
        for name in ("params.json", "output.txt", "metrics"):
            attributes(cold, f"{BASELINE}/{name}")
    assert asked == []


@pytest.mark.parametrize(
    ("name", "code"),
    [("user.comet.nosuch", errno.ENODATA), ("user.other", errno.ENODATA), ("security.selinux", errno.EOPNOTSUPP)],
)
def test_other_attributes_are_refused(warm: Mounted, name: str, code: int) -> None:
    """Those of other programs as not there, those of other classes once and for all."""
    with pytest.raises(OSError, match=os.strerror(code)) as raised:
        os.getxattr(warm / BASELINE, name)
    assert raised.value.errno == code


def test_links_list_no_attribute(warm: Mounted) -> None:
    """The kernel answers ENODATA for one, whatever a filesystem says, so that copies with attributes fail."""
    project = warm / "vision-lab/digits"
    for link in (project / "experiments.csv", project / "views/latest", project / "views/by-key" / KEY):
        assert os.listxattr(link, follow_symlinks=False) == []
    assert attributes(warm, "vision-lab/digits/views/latest/url.txt")["key"]


def test_a_copy_with_attributes_is_whole(tmp_path: Path, warm: Mounted) -> None:
    """By rsync, which ends with 23 for an attribute that is listed and cannot be read."""
    for place in (BASELINE, "vision-lab/digits/views/by-key"):
        command = ["rsync", "-aX", f"{warm / place}/", f"{tmp_path / 'copy'}/"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
        if "not supported" in done.stderr.lower():
            pytest.skip(f"no attributes in {tmp_path}: {done.stderr}")
        assert (done.returncode, done.stderr) == (0, "")
    assert os.getxattr(tmp_path / "copy/params.json", "user.comet.key").decode() == KEY


def test_readmes_say_what_is_here_and_what_it_costs(cold: Mounted) -> None:
    """At the root and in a project; reading them costs what listing the place costs."""
    assert "15,000 calls an hour" in (cold / "README.md").read_text()
    assert "`params.json`" in (cold / "README.md").read_text()
    text = (cold / "vision-lab/digits/README.md").read_text()
    assert text.startswith("# digits\n")
    assert "5 experiments" in text
