"""What is said in two places is the same in both: manual and tree, errors and errnos, layers and imports."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from cometfs import API, errors
from cometfs.errnos import ERRNOS
from cometfs.vfs.layout import tree
from cometfs.vfs.schema.declaration import Dir, File, ForEach, Source, Stream
from cometfs.vfs.schema.markdown import markdown, words
from cometfs.vfs.sources import logged_tables

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


NAMING = {
    "workspaces",
    "projects",
    "experiments",
    "experiments?archived=true",
    "experiments by directory",
    "experiments with their state",
    # On servers whose listing does not tell the state; else it is not asked.
    "experiment/metadata",
    "project/column-names",
    "project/query by tag",
    # Where queries fail, the tags of each experiment say which ones have one; else they are not asked.
    "experiment/tags",
    "experiment/tags, sorted",
    "experiment/asset/list",
    "names of metrics",
    # Which a batch has brought; it is never asked for.
    "metrics of an experiment in a chart",
    "experiment/metrics/summary by name",
    "experiment/metrics/summary",
    "artifacts/get-all",
    "artifacts/get",
    "artifacts/version/files",
    "registry-model",
    "registry-model/details",
    "experiment/model/asset/list",
    "panel/store",
    "the store as of a moment",
}
"""Questions whose answers are names (or whose values come with the names: the store's), one answer a directory."""


def test_a_listing_asks_for_nothing_but_names() -> None:
    """No body, no point, no answer for each child: what a walk through a tree asks is what its directories ask."""
    asked = {part.name for each in eaches(tree()) if each.source for part in parts(each.source)}
    assert asked == NAMING


def test_no_listing_can_be_declared_by_downloads() -> None:
    """Not even where another question stands between."""
    for source in (logged_tables.CURVES, logged_tables.CURVE):
        with pytest.raises(ValueError, match="listed by downloads"):
            ForEach(source, list, lambda at, _row: at, lambda _row: File("", None), "<name>")


def eaches(entry: Dir) -> Iterator[ForEach]:
    for child in entry.entries:
        if isinstance(child, ForEach):
            yield child
        for one in child.shown if isinstance(child, ForEach) else (child,):
            if isinstance(one, Dir):
                yield from eaches(one)


def parts(source: Source | Stream) -> Iterator[Source | Stream]:
    """A question and all that its answer is made of."""
    yield source
    for part in source.of if isinstance(source, Source) else ():
        yield from parts(part)
