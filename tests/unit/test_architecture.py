"""src/README.md says what the packages are: those that exist, and all of them."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "cometfs"
TEXT = (ROOT / "src" / "README.md").read_text("utf-8")
TABLED = re.findall(r"^\| `([a-z_/]+)/` \| ", TEXT, re.MULTILINE)
MOST = 15
"""Modules in a package, its `__init__` included."""


def packages() -> list[str]:
    """Every package below `cometfs`, by its path."""
    found = (init.parent.relative_to(PACKAGE).as_posix() for init in PACKAGE.rglob("__init__.py"))
    return sorted(name for name in found if name != ".")


def test_every_package_that_is_named_exists() -> None:
    """`manual/` holds pages, not modules."""
    assert [name for name in TABLED if not (PACKAGE / name).is_dir()] == []


def test_every_package_is_named() -> None:
    """Those that only hold packages are explained by what they hold."""
    holders = {name for name in packages() if any(other.startswith(f"{name}/") for other in packages())}
    assert [name for name in packages() if name not in TABLED and name not in holders] == []


def test_every_module_that_is_named_exists() -> None:
    """Modules are named as `package/module`."""
    named = set(re.findall(r"`(?!scripts/)((?:[a-z_]+/)+[a-z_]+)(?:\.[A-Za-z_]+)?`", TEXT))
    assert named
    assert [name for name in named if not (PACKAGE / f"{name}.py").exists() and not (PACKAGE / name).is_dir()] == []


@pytest.mark.parametrize("name", packages())
def test_a_package_says_what_is_in_it(name: str) -> None:
    """In its `__init__`; and it is small enough to be looked through."""
    folder = PACKAGE / name
    assert ast.get_docstring(ast.parse((folder / "__init__.py").read_text("utf-8")))
    assert len(list(folder.glob("*.py"))) <= MOST
