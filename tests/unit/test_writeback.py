"""An open file that is being written, and the desk that it lies on, over a Comet that is a dict."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import msgspec
import pytest
import trio

from cometfs.comet.api import API
from cometfs.errors import BadName, BadText, Exists, NoSuchEntry, TooBig, Unreachable
from cometfs.vfs.schema.declaration import StoreSnapshot
from cometfs.vfs.sources import kv_store
from cometfs.vfs.writeback.buffer import WritebackBuffer
from cometfs.vfs.writeback.dirty_file import BIGGEST, DirtyFile


class Comet:
    """What is stored, and whether storing fails."""

    def __init__(self, **values: str) -> None:
        self.values = dict(values)
        self.failing = False
        self.doubts = self.changes = 0
        self.desk = WritebackBuffer(kv_store.WRITER, cast(API, self), self.doubt, self.change, lambda: 7.0)

    def doubt(self) -> None:
        self.doubts += 1

    def change(self) -> None:
        self.changes += 1

    async def store(self, key: str, value: str) -> Any:
        await trio.lowlevel.checkpoint()
        if self.failing:
            raise Unreachable("no network")
        self.values[key] = value

    async def rename_in_store(self, key: str, new_key: str) -> bytes | None:
        await trio.lowlevel.checkpoint()
        if key not in self.values:
            return None
        self.values[new_key] = self.values.pop(key)
        return msgspec.json.encode(self.values[new_key])

    async def delete_from_store(self, key: str) -> bool:
        await trio.lowlevel.checkpoint()
        return self.values.pop(key, None) is not None

    @property
    def answered(self) -> StoreSnapshot:
        return StoreSnapshot(trio.current_time(), {key: value.encode() for key, value in self.values.items()}, {})


@pytest.mark.parametrize("key", ["a", "a/b", "", "%", "%41", "..", "é\n", "a%2Fb", ".k.swp"])
def test_a_key_and_its_name_are_each_others_inverse(key: str) -> None:
    """Whatever the key, short of names that are too long."""
    assert kv_store.key_of(kv_store.name_of(key)) == key


@pytest.mark.parametrize("name", ["%41", "%FF", "a\nb", "\udcff"])
def test_a_name_that_would_be_shown_otherwise_is_refused(name: str) -> None:
    """So that what was made is found under the name that it was given."""
    with pytest.raises(BadName):
        kv_store.key_of(name)


async def test_a_draft_is_stored_once_when_it_is_saved() -> None:
    """Written at any offset, cut, lengthened; a gap is zeros."""
    comet = Comet(k="old")
    draft = comet.desk.open("k", comet.answered)
    assert draft.write(5, b"x") == 1
    draft.resize(7)
    assert (draft.dirty, comet.values) == (True, {"k": "old"})
    await draft.save()
    assert (draft.dirty, comet.values) == (False, {"k": "old\0\0x\0"})


@pytest.mark.logs("'k' is not stored: no network")
async def test_what_cannot_be_stored_stays_dirty_and_is_taken_back() -> None:
    """The old value is what the next one who opens it sees."""
    comet = Comet(k="old")
    comet.failing = True
    draft = comet.desk.open("k", comet.answered)
    draft.write(0, b"new")
    for _ in range(2):
        with pytest.raises(Unreachable):
            await draft.save()
    assert comet.doubts == 2
    draft.give_up()
    draft.close()
    assert comet.desk.open("k", comet.answered).value == b"old"


@pytest.mark.logs("no UTF-8 at byte")
async def test_what_is_no_text_or_too_big_is_refused() -> None:
    """At the write, and from then on; a letter in two parts is none; what comes in any order is seen at the save."""
    comet = Comet()
    draft = comet.desk.create("k", comet.answered, new=True)
    draft.write(0, b"a\xc3")
    draft.write(2, b"\xa9")
    for _ in range(2):
        with pytest.raises(BadText):
            draft.write(3, b"\xff")
    with pytest.raises(BadText):
        await draft.save()
    draft = comet.desk.create("k", comet.answered, new=False)
    draft.write(1, b"\xff")
    with pytest.raises(BadText):
        await draft.save()
    with pytest.raises(TooBig):
        draft.write(BIGGEST, b"x")
    with pytest.raises(TooBig):
        draft.resize(1)
    with pytest.raises(TooBig):
        await draft.save()
    assert comet.values == {}


@pytest.mark.parametrize("refused", [lambda draft: draft.write(BIGGEST, b"x"), lambda draft: draft.resize(BIGGEST + 1)])
async def test_what_was_refused_in_part_is_refused_whole(refused: Callable[[DirtyFile], object]) -> None:
    """The old value is what there is for the next one, who can write; none of it is where there was none."""
    comet = Comet(k="old")
    for key, base in (("k", b"old"), ("l", b"")):
        draft = comet.desk.create(key, comet.answered, new=False)
        draft.resize(0)
        draft.write(0, b"part")
        with pytest.raises(TooBig):
            refused(draft)
        assert (draft.broken, draft.dirty, draft.value) == (True, False, base)
    assert comet.desk.over(comet.answered).values == {"k": b"old"}
    second = comet.desk.open("k", comet.answered)
    second.write(0, b"O")
    draft.close()
    await second.save()
    assert comet.values == {"k": "Old"}


async def test_an_answer_that_was_asked_before_a_write_does_not_undo_it() -> None:
    """A younger one does."""
    comet = Comet(k="old")
    before = comet.answered
    await comet.desk.put("k", b"new")
    assert comet.desk.over(before).values == {"k": b"new"}
    comet.values["k"] = "newer"
    younger = StoreSnapshot(trio.current_time() + 1, comet.answered.values, {})
    assert comet.desk.over(younger).values == {"k": b"newer"}


async def test_a_swap_file_is_never_sent() -> None:
    """It lives here, whatever its bytes, until it is removed."""
    comet = Comet()
    draft = comet.desk.create(".k.swp", comet.answered, new=True)
    draft.write(0, b"\xff\x00")
    await draft.save()
    draft.close()
    assert comet.desk.over(comet.answered).values == {".k.swp": b"\xff\x00"}
    await comet.desk.remove(".k.swp", comet.answered)
    assert comet.desk.over(comet.answered).values == {}
    assert comet.values == {}


async def test_moving_and_removing_follow_the_names() -> None:
    """Over what is there, unless it must be new; what was removed is stored no more."""
    comet = Comet(a="1", b="2")
    with pytest.raises(Exists):
        await comet.desk.rename("a", "b", comet.answered, new=True)
    gone = comet.desk.open("b", comet.answered)
    await comet.desk.rename("a", "b", comet.answered, new=False)
    gone.write(0, b"late")
    await gone.save()
    assert comet.values == {"b": "1"}
    with pytest.raises(NoSuchEntry):
        await comet.desk.remove("a", comet.answered)


@pytest.mark.logs("'k' is not moved")
async def test_what_moves_is_what_comet_has_now() -> None:
    """Another mount may have stored it since this one asked, or have removed it."""
    comet = Comet(k="old")
    before = comet.answered
    comet.values["k"] = "new"
    await comet.desk.rename("k", "l", before, new=True)
    assert comet.values == {"l": "new"}
    assert comet.desk.over(before).values == {"l": b"new"}
    other = Comet()
    with pytest.raises(NoSuchEntry):
        await other.desk.rename("k", "l", before, new=True)
    assert (other.values, other.doubts) == ({}, 1)
