"""For all tiers: silence is a feature. A test that logs a WARNING or worse fails, unless it declares it.

`@pytest.mark.logs("part of the message")` declares one; every declared one must really come.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.support.signals import pass_on_no_dispositions

# What is drawn is the same in every run, and how long it takes on a busy machine is nobody's fault.
settings.register_profile("same", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("same")

TIERS = ("mount", "client", "browser", "inprocess", "unit")
"""In the order in which they run: the last files are short ones, so that of two workers none waits for the other."""

LONG = ("test_model.py", "test_suite.py")
"""Files of few and long tests, which run first."""


def pytest_configure(config: pytest.Config) -> None:
    pass_on_no_dispositions()
    # Hundreds of processes import the package: compiled by each of them, the suite takes half as long again.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["COMETFS_CONFIG"] = os.devnull  # not that of the user of this machine
    config.addinivalue_line("markers", "logs(*parts): warnings that this test expects, by a part of their text")
    config.addinivalue_line("markers", "promise(name): holds the promise of that name in manual/semantics.md")
    config.option.loadscopereorder = False  # pytest-xdist's own order is by the number of tests in a file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """More than there are cores: a test waits for processes, and these for each other."""
    return len(os.sched_getaffinity(0)) + 2


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: (item.path.name not in LONG, TIERS.index(item.path.parent.name)))


@pytest.fixture(autouse=True)
def _no_undeclared_warnings(request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    declared = [part for mark in request.node.iter_markers("logs") for part in mark.args]
    records = [*caplog.get_records("setup"), *caplog.get_records("call")]
    said = [record.getMessage() for record in records if record.levelno >= logging.WARNING]
    undeclared = [message for message in said if not any(part in message for part in declared)]
    missing = [part for part in declared if not any(part in message for message in said)]
    assert not undeclared, f"logged without being declared: {undeclared}"
    assert not missing, f"declared but never logged: {missing}"
