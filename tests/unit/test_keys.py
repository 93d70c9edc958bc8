"""The keys of the cache: equal for what is the same, and on disk the same words as ever."""

from __future__ import annotations

from typing import Any

import pytest

from cometfs.cache.persistent.rows import key_of, of_name
from cometfs.vfs.engine.scope import Scope
from cometfs.vfs.keys import Key, owner_of
from cometfs.vfs.layout import tree
from cometfs.vfs.layout.experiment import METRIC_CSV
from cometfs.vfs.schema.declaration import Context
from cometfs.vfs.sources.experiment import ASSET
from cometfs.vfs.sources.metrics import METRIC
from cometfs.vfs.sources.parameters import PARAMS

AT = Context("", 0.0, ("exp", "loss"), "ws", item={"fileSize": 5}, version="v1")

WRITTEN = {
    '["experiment/parameters by name","v1","exp","loss"]': PARAMS.key(AT),
    '["experiment/asset/get-asset",5,"exp","loss"]': ASSET.key(AT),
    '["workspaces",""]': Key.answer("workspaces", "", ()),
    '["experiment/asset/get-asset",null,"exp"]': Key.answer(ASSET.name, None, ("exp",)),
    '["sizes","exp"]': Key.sizes(AT.key),
    '["sizes"]': Key.sizes(()),
}
"""What stands in the files that older versions left: other words would mean another format."""

IN_MEMORY = [
    Key.listing(tree(), "v1", AT.key, None),
    Key.empty_entries(tree(), AT.key),
    Key.rendered(METRIC_CSV, "v1", AT.key),
    Key.size_differs(5, AT.key),
    Key.walk(tree(), ("folder",), AT.key),
    Key.observed(METRIC.name, AT.key),
]

DAMAGED = ['["a","",["exp"]]', '["made"]', "[]", '["experiments"]', "5", "{}", '["a",[],"exp"]', "x"]

ALL = [*WRITTEN.values(), *IN_MEMORY]


@pytest.mark.parametrize(("text", "key"), WRITTEN.items(), ids=WRITTEN)
def test_a_key_on_disk_has_the_words_it_always_had(text: str, key: Key) -> None:
    """And is found to be the same when the file is read."""
    assert key_of(key) == text
    assert Key.parsed(of_name(text)) == key


@pytest.mark.parametrize("key", IN_MEMORY, ids=lambda key: key.kind)
def test_other_keys_are_not_written(key: Key) -> None:
    """Of what is made from a declaration of this process."""
    assert key_of(key) is None


def test_keys_of_different_things_differ() -> None:
    """Whatever kinds they are of, and wherever one ends and the next field begins."""
    more = [Key.listing(tree(), "v1", AT.key, revision) for revision in (0, 1)]
    assert len({*ALL, *more}) == len(ALL) + 2
    assert PARAMS.key(AT) == PARAMS.key(Context("other", 1.0, ("exp", "loss"), version="v1"))


@pytest.mark.parametrize("name", ["[]", '["experiments"]', "5", "{}", '["a",[],"exp"]', "x"])
def test_a_damaged_row_is_no_key_and_meant_by_no_refresh_of_a_part(name: str) -> None:
    """What is no key names no place; a refresh that reads all rows goes on to the next."""
    words: Any = of_name(name)
    assert Key.parsed(words) is None
    assert not Scope(whole=frozenset([()]))(words)


def test_the_owner_is_that_of_the_place() -> None:
    """Whose keys are dropped by owner; but for what no refresh means."""
    owners = {key.kind: owner_of(key) for key in ALL if key.place}
    assert {kind for kind, owner in owners.items() if owner is None} == {"walk"}
    assert set(owners.values()) == {"exp", None}
    assert owner_of(Key.sizes(())) is None


def test_what_is_meant_with_a_place() -> None:
    """All that is kept there, and nothing of another place; what a question answers by its name, too."""
    whole = Scope(whole=frozenset([("exp",)]))
    asked = Scope(names=frozenset([METRIC.name]), owners=frozenset([("exp",)]))
    other = Context("", 0.0, ("other", "loss"), version="v1")
    assert {key.kind for key in ALL if key.place and not whole(key)} == {"walk"}
    assert all(whole(key.words) == whole(key) for key in ALL if key.words)
    assert asked(METRIC.key(AT))
    assert asked(Key.rendered(METRIC_CSV, "v1", AT.key))
    assert not any(scope(METRIC.key(other)) for scope in (whole, asked))
    assert not asked(PARAMS.key(AT))
