"""What is said in two places is the same in both: manual and tree, errors and errnos, layers and imports."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from cometfs import API, errors
from cometfs.fuse.errnos import ERRNOS
from cometfs.vfs.layout import tree
from cometfs.vfs.schema.declaration import Dir, File, ForEach
from cometfs.vfs.schema.markdown import markdown, words

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "src/cometfs/manual/tree.md").read_text()


def test_the_table_of_the_tree_is_the_declaration() -> None:
    """`scripts/manual` writes it; this says when it was forgotten."""
    assert f"-->\n{markdown(tree())}<!-- end of the tree -->" in PAGE


def test_every_error_has_an_errno() -> None:
    """No error of ours becomes an errno by accident of its base class."""
    ours = {
        value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, errors.CometFSError)
    }
    assert set(ERRNOS) == ours


def test_imports_go_down_only() -> None:
    """The layers and every third party's confinement, type-checking and in-function imports included."""
    # In a process of its own: it sets up logging for itself, and silences everybody else's.
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


SDK = Path(__file__).parents[2] / "tests/recorded/sdk-methods.txt"


def test_every_method_of_the_sdk_has_a_file() -> None:
    """Those of Comet's JavaScript SDK, in snake_case; the store's three are the files of .cometfs/store/."""
    shown = set(methods(tree()))
    wanted = {name for name in dir(API) if not name.startswith("_")}
    assert set(SDK.read_text().split()) <= wanted
    assert set(SDK.read_text().split()) <= shown
    assert all(f"`{name}`" in markdown(tree()) for name in SDK.read_text().split())


def methods(entry: Dir) -> Iterator[str]:
    for child in entry.entries:
        shown = child.shown if isinstance(child, ForEach) else (child,)
        for one in shown:
            if isinstance(one, Dir):
                yield from methods(one)
            elif isinstance(one, File):
                yield from one.sdk


def test_every_file_has_a_word_of_its_own() -> None:
    """Under which its size is remembered on disk: two that share one would show each other's."""
    found = words(tree())
    doubled = [word for word, count in Counter(found.values()).items() if count > 1]
    assert doubled == []
    assert len(found) > 60
