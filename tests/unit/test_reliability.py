"""The page of what was tried has every fault, and names tests that exist."""

from __future__ import annotations

from pathlib import Path

from cometfs import help
from tests.support.fault_report import named_faults
from tests.support.fault_rows import rows
from tests.support.fault_scenarios import scenarios
from tests.support.reliability import TESTS

ROOT = Path(__file__).parents[2]


def test_the_page_has_a_row_for_every_fault() -> None:
    """And none that is not tried any more: `scripts/reliability` writes it anew."""
    assert named_faults() == {f"{case.group}: {case.name}" for case in (*rows(), *scenarios())}
    assert "reliability" in help.topics()


def test_every_fault_has_a_project_of_its_own() -> None:
    """It would meet what another one has read before."""
    projects = [case.project for case in (*rows(), *scenarios())]
    assert len(set(projects)) == len(projects)


def test_the_files_of_tests_that_are_counted_exist() -> None:
    assert [name for name in TESTS if not (ROOT / f"tests/{name}.py").exists()] == []
