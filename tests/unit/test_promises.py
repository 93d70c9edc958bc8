"""What the manual promises of freshness, and the tests that hold it: neither without the other."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]


def promised() -> list[str]:
    """The names of the promises in the manual's page on semantics."""
    section = (ROOT / "src/cometfs/manual/semantics.md").read_text().split("## How fresh it is\n")[1].split("\n## ")[0]
    return re.findall(r"^- \*\*(.+?)\.\*\*", section, re.MULTILINE)


def held() -> Iterator[str]:
    """The names under which tests say that they hold one."""
    for path in (ROOT / "tests").rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "promise":
                yield from (str(name.value) for name in node.args if isinstance(name, ast.Constant))


def test_every_promise_is_held_by_a_test_and_every_test_of_one_is_promised() -> None:
    """By their names."""
    assert promised(), "the section is gone"
    assert sorted(set(held())) == sorted(promised())
