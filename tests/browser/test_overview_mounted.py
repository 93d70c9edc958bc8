"""overview.html as a person opens it: from a mount of the sample, in a real Chromium."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest
from selenium.webdriver.chrome.webdriver import WebDriver

from tests.browser.test_overview_page import CSS, Page
from tests.support.processes import Mounted, running_comet, running_mount


@pytest.fixture(scope="module")
def mounted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mounted]:
    if not os.access("/dev/fuse", os.R_OK | os.W_OK) or not shutil.which("fusermount3"):
        pytest.skip("no mounted page: /dev/fuse or fusermount3 is missing here")
    folder = tmp_path_factory.mktemp("mounted")
    with running_comet(folder) as comet, running_mount(folder, comet) as running:
        yield running


@pytest.mark.parametrize("place", ["overview.html", "summary/overview.html"])
def test_the_page_of_a_mounted_project_filters_and_shows_its_charts(
    chromium: WebDriver, mounted: Mounted, place: str
) -> None:
    """Its rows are the project's experiments, its pictures those of charts/."""
    project = mounted / "vision-lab/digits"
    chromium.get((project / place).as_uri())
    page = Page(chromium)
    assert len(page.names()) == 5
    assert "mlp-baseline" in page.names()
    assert page.filter("mlp-wide")[0] == ["mlp-wide", "mlp-wide"]
    assert page.filter("validate_accuracy>0.95 hidden=[64]")[0] == ["mlp-wide"]
    assert page.filter("batch_size=32 alpha<0.001")[0] == ["sgd-20k-steps"]
    folded = chromium.find_elements(CSS, "details:not([open]) img")
    assert [chart.get_attribute("alt") for chart in folded] == ["process duration"]
    assert not [cell.text for cell in page.every("#experiments td.n") if len(cell.text) > 12]
    charts = chromium.find_elements(CSS, "img")
    assert len(charts) > 2
    chromium.execute_script("arguments[0].scrollIntoView()", charts[0])
    shown = "return new Promise(done => { const i = arguments[0]; const ok = () => done(i.naturalWidth);"
    shown += " if (i.complete) ok(); else i.onload = i.onerror = ok; })"
    assert chromium.execute_script(shown, charts[0]) > 0


@pytest.mark.parametrize("place", ["overview.html", "summary/overview.html"])
def test_links_of_the_page_lead_to_files_of_the_mount(chromium: WebDriver, mounted: Mounted, place: str) -> None:
    """Every relative link, of experiments with "/", "%" and letters of other scripts in their names too; also of a page
    that was opened by the link in the project's directory, of which a browser knows nothing."""
    project = mounted / "vision-lab/digits"
    chromium.get((project / place).as_uri())
    links = [link.get_attribute("href") or "" for link in chromium.find_elements(CSS, "#experiments a")]
    assert len(links) > 5
    base = project.as_uri() + "/"
    for link in links:
        assert link.startswith(base)
        assert not link.startswith(base + "summary")
        chromium.get(link)
        assert "ERR_FILE_NOT_FOUND" not in chromium.page_source, link
