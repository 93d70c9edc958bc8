"""Who imports whom, where the contracts in pyproject.toml cannot say it."""

from __future__ import annotations

import ast
from importlib.metadata import version
from pathlib import Path

import cometfs

SOURCE = Path(cometfs.__file__).parent


def test_no_module_takes_anything_from_the_root() -> None:
    """The package itself is above all that is in it: it shows what is public, and holds nothing."""
    upwards = []
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.ImportFrom) and node.module == "cometfs":
                upwards += [(path.name, one.name) for one in node.names if not _is_module(SOURCE / one.name)]
            elif isinstance(node, ast.Import):
                upwards += [(path.name, one.name) for one in node.names if one.name == "cometfs"]
    assert upwards == []


def _is_module(path: Path) -> bool:
    return path.is_dir() or path.with_suffix(".py").is_file()


def test_the_version_is_said_once() -> None:
    """What was built, what is imported and what is sent to Comet agree."""
    assert cometfs.__version__ == version("cometfs")
