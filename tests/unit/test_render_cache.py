"""What was slow to make is shown again, and only of the very answer that it was made of."""

from __future__ import annotations

from dataclasses import replace

import pytest
import trio

from cometfs.cache.memory import CacheEntry, Memory
from cometfs.cache.singleflight import Flights
from cometfs.cache.store import Store
from cometfs.vfs.engine.render_cache import RenderCache
from cometfs.vfs.layout import tree
from cometfs.vfs.layout.experiment import METRIC_CSV, PLOT_SVG
from cometfs.vfs.schema.declaration import Context, File
from cometfs.vfs.schema.markdown import words
from cometfs.vfs.sources.metrics import Plotted

ENDED = Context("https://comet", 0.0, ("a-key", "loss"), item="loss", version="1")


def answer(*values: object) -> CacheEntry:
    return CacheEntry(Plotted("loss", repr(values).encode()), 1e9, 64)


@pytest.fixture
def store(nursery: trio.Nursery) -> Store:
    return Store(Memory(1 << 20, clock=lambda: 0.0), Flights(nursery))


async def test_what_was_made_of_an_answer_is_found_by_it_and_by_no_other(store: Store) -> None:
    """Nor at another place: a digest tells answers apart, the key tells experiments apart."""
    made = RenderCache(store, words(tree()))
    made.keep(PLOT_SVG, ENDED, answer(1, 2), b"<svg/>")
    assert made.of(PLOT_SVG, ENDED, answer(1, 2)) == b"<svg/>"
    assert made.of(PLOT_SVG, ENDED, answer(1, 3)) is None
    assert made.of(PLOT_SVG, replace(ENDED, key=("another", "loss")), answer(1, 2)) is None


async def test_what_another_version_drew_is_not_shown(store: Store) -> None:
    """A word names what makes the file, its version included."""
    RenderCache(store, {PLOT_SVG: "a picture, old"}).keep(PLOT_SVG, ENDED, answer(1, 2), b"<svg/>")
    assert RenderCache(store, {PLOT_SVG: "a picture, new"}).of(PLOT_SVG, ENDED, answer(1, 2)) is None


@pytest.mark.parametrize(
    ("file", "place"), [(PLOT_SVG, replace(ENDED, version="")), (METRIC_CSV, ENDED)], ids=["may be running", "fast"]
)
async def test_what_changes_or_is_made_at_once_is_not_kept(store: Store, file: File, place: Context) -> None:
    """The disk is for what took time and will be wanted again."""
    made = RenderCache(store, words(tree()))
    made.keep(file, place, answer(1, 2), b"bytes")
    assert made.of(file, place, answer(1, 2)) is None
