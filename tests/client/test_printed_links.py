"""The links that comet_ml prints and gives, opened as a browser opens them."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from subprocess import run
from typing import NamedTuple

import httpx
import pytest

from tests.browser.test_overview import Page
from tests.support.comet_ml_client import API_KEY, surroundings
from tests.support.processes import PATIENCE, Comet, running_comet

PROGRAM = """
import sys, json, comet_ml, comet_ml.experiment
comet_ml.experiment.get_env_cloud_details = lambda *_args, **_kwargs: None
experiment = comet_ml.Experiment(workspace=sys.argv[1], project_name=sys.argv[2], log_code=False, log_env_details=False)
experiment.set_name("linked")
experiment.log_metric("loss", 0.123456, step=7)
experiment.log_parameter("lr", 0.03)
url = experiment.url
experiment.end()
found = comet_ml.API(cache=False).get_experiment_by_key(experiment.id)
print(json.dumps({"own": url, "api": found.url}))
"""

PLACES = [("ws", "p"), ("ws é", "pro/ject 100"), ("<b>w</b>", "..")]


class Links(NamedTuple):
    """What comet_ml wrote for a person, and what it gives programs."""

    printed: str
    own: str
    api: str


@pytest.fixture(scope="module")
def comet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Comet]:
    folder = tmp_path_factory.mktemp("comet")
    with running_comet(folder, "--api-key", API_KEY, archives=folder / "runs") as running:
        yield running


def logged(comet: Comet, folder: Path, workspace: str, project: str) -> Links:
    environ = surroundings(folder, comet.url, COMET_LOGGING_CONSOLE="INFO")
    command = [sys.executable, "-c", PROGRAM, workspace, project]
    done = run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=PATIENCE, check=True)
    said = re.search(r"Experiment is live on comet\.com (http.*)$", done.stderr, re.MULTILINE)
    assert said, done.stderr
    given = json.loads(done.stdout.splitlines()[-1])
    return Links(said[1], given["own"], given["api"])


@pytest.mark.parametrize(("workspace", "project"), PLACES)
def test_the_printed_link_is_the_page_of_the_experiment(
    comet: Comet, tmp_path: Path, workspace: str, project: str
) -> None:
    """After a login; in one word, so that a terminal takes it whole. The API gives one that is not, and leads there."""
    links = logged(comet, tmp_path, workspace, project)
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/[\w%~./-]+", links.printed, re.ASCII)
    assert links.own == links.printed
    with httpx.Client(follow_redirects=True, timeout=PATIENCE) as browser:
        form = browser.get(links.printed)
        assert (form.status_code, "API key" in form.text) == (401, True)
        page = Page(browser.post(links.printed, data={"key": API_KEY}).content)
        again = browser.get(links.api) if project != ".." else None
    assert "linked" in page.text
    assert any(row[:2] == ["loss", "0.1235"] for row in page.rows)
    assert any(row[0] == "lr" and row[1].startswith("0.03") for row in page.rows)
    assert again is None or str(again.url) == links.printed
