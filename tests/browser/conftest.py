"""Fixtures of the browser tier: a real, headless Chromium. Where it or its driver is missing its tests are skipped."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from selenium.webdriver.chrome.webdriver import WebDriver

FLAGS = (
    "--headless=new",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--window-size=1366,900",
)

NOWHERE = "MAP * ~NOTFOUND"
"""Where names lead: a page that asks for another host fails, and says so in the log."""


def _found(*names: str) -> str:
    found = next(filter(None, map(shutil.which, names)), None)
    return found or pytest.skip(f"no browser test: none of {', '.join(names)} is installed")


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebDriver]:
    """One browser for all tests."""
    with browser(tmp_path_factory.mktemp("profile"), NOWHERE) as driver:
        yield driver


@contextmanager
def browser(profile: Path, resolving: str) -> Iterator[WebDriver]:
    """A browser whose names lead where `resolving` says. Both programs are named, so that selenium looks for none and
    downloads none."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="no browser test: selenium is not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = _found("chromium", "chromium-browser", "google-chrome")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    options.set_capability("unhandledPromptBehavior", "ignore")  # a dialog stays, and fails the test
    options.add_argument(f"--user-data-dir={profile}")
    options.add_argument(f"--host-resolver-rules={resolving}")
    for flag in FLAGS + (("--no-sandbox",) if os.geteuid() == 0 else ()):
        options.add_argument(flag)
    driver = webdriver.Chrome(options, webdriver.ChromeService(_found("chromedriver")))
    try:
        driver.get("about:blank")  # away from the browser's own first page, which asks for its parts
        yield driver
    finally:
        driver.quit()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Where a page lies; its name needs encoding, as a mountpoint's may."""
    place = tmp_path / "a mount #1 100%"
    (place / "charts").mkdir(parents=True)
    return place
