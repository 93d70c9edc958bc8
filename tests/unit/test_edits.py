"""What an edited file means, and how changes are made at a Comet that fails, without any Comet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
import trio

from cometfs.comet.api import API
from cometfs.errors import BadEdit, BadText, CometFSError, Conflict, NotAllowed, Refused, ServerFailed, Throttled
from cometfs.vfs.changes.settling import Settling
from cometfs.vfs.edits import OTHERS, TAGS, Other, Tags, other_changes, tag_changes
from cometfs.vfs.schema.changes import Change


@pytest.mark.parametrize(
    ("before", "after", "added", "removed"),
    [
        (b"a\nb\n", b"a\nb\n", (), ()),
        (b"a\nb\n", b"b\n\na\na", (), ()),
        (b"a\nb\n", b"a\r\nc\r\n", ("c",), ("b",)),
        (b"", b"x y\n  \n \xc3\xa9\n", ("x y", " é"), ()),
        (b"a\nb\n", b"", (), ("a", "b")),
    ],
)
def test_tags_are_added_and_removed(
    before: bytes, after: bytes, added: tuple[str, ...], removed: tuple[str, ...]
) -> None:
    """Lines that are new, and lines that are gone."""
    wanted = [Tags("k", tags, there) for tags, there in ((added, True), (removed, False)) if tags]
    assert tag_changes("k", before, after) == wanted


@pytest.mark.parametrize(
    ("after", "changed"),
    [
        ('{"a": "x", "n": 1.50, "t": true}', {}),
        ('{"t":true,"n":1.5,"a":"x"}', {}),
        ('{"a": "y", "n": 1e3, "t": false}', {"a": "y", "n": "1e3", "t": "false"}),
        ('{"a": "x", "n": "1.50", "t": "true", "new": "é\\n"}', {"new": "é\n"}),
        (
            '{"a": "x", "n": 0.10, "t": true, "new": 12345678901234567890123}',
            {"n": "0.10", "new": "1234567890" * 2 + "123"},
        ),
    ],
)
def test_others_are_changed(after: str, changed: dict[str, str]) -> None:
    """Numbers keep their spelling, and one that is only spelled anew is no change."""
    before = '{"a": "x", "n": 1.50, "t": true}'
    found = [cast(Other, change) for change in other_changes("k", before.encode(), after.encode())]
    assert {one.name: one.value for one in found} == changed
    assert [one.before is None for one in found] == sorted(one.before is None for one in found)


@pytest.mark.parametrize(
    ("after", "error"),
    [
        (b'{"a": "x"}', Refused),
        (b'{"a": "x", "n": null}', BadEdit),
        (b'{"a": ["x"], "n": "1"}', BadEdit),
        (b"[1]", BadEdit),
        (b'{"a": "x"', BadEdit),
        (b"[" * 100_000, BadEdit),
        (b'{"a": "\xff"}', BadText),
    ],
)
def test_what_comet_cannot_keep_is_refused(after: bytes, error: type[CometFSError]) -> None:
    """As a whole."""
    with pytest.raises(error):
        other_changes("k", b'{"a": "x", "n": "1"}', after)


@dataclass
class Comet:
    """What is there, what was asked for, and what sending and looking meet."""

    there: set[str] = field(default_factory=set)
    sent: list[str] = field(default_factory=list)
    sending: dict[str, CometFSError] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    """What does not arrive."""
    looking: list[CometFSError | None] = field(default_factory=list)


@dataclass(frozen=True)
class Fake:
    comet: Comet = field(hash=False)
    word: str
    there: bool = True
    lasting: bool = False

    @property
    def what(self) -> str:
        return self.word

    async def send(self, _api: API) -> None:
        await trio.lowlevel.checkpoint()
        self.comet.sent.append(self.word if self.there else f"-{self.word}")
        error = self.comet.sending.get(self.word) if self.there else None
        if self.word not in self.comet.lost:
            (self.comet.there.add if self.there else self.comet.there.discard)(self.word)
        if error is not None:
            raise error

    async def came(self, _api: API) -> bool:
        await trio.lowlevel.checkpoint()
        error = self.comet.looking.pop(0) if self.comet.looking else None
        if error is not None:
            raise error
        return (self.word in self.comet.there) is self.there

    def back(self) -> Change | None:
        return None if self.lasting else Fake(self.comet, self.word, not self.there)


async def make(*changes: Fake) -> None:
    await Settling(cast(API, None), 30.0).make(cast(Sequence[Change], changes))


async def test_changes_are_made_in_order_and_looked_for(autojump_clock: Any) -> None:
    """Also where Comet is a moment behind, or fails after it has made one."""
    comet = Comet(sending={"b": ServerFailed("500")}, looking=[None, ServerFailed("look")])
    with pytest.raises(ServerFailed, match="whether Comet has b cannot be asked now"):
        await make(Fake(comet, "a"), Fake(comet, "b"))
    comet = Comet(sending={"b": ServerFailed("500")})
    await make(Fake(comet, "a"), Fake(comet, "b"))
    assert (comet.sent, comet.there) == (["a", "b"], {"a", "b"})


async def test_all_or_nothing(autojump_clock: Any) -> None:
    """What was made before the one that fails is taken back, the last one first."""
    for error in (NotAllowed("403"), ServerFailed("500"), Throttled("429", 1.0)):
        comet = Comet(sending={"c": error}, lost={"c"})
        with pytest.raises(type(error)):
            await make(Fake(comet, "a"), Fake(comet, "b"), Fake(comet, "c"))
        assert (comet.sent, comet.there) == (["a", "b", "c", "-b", "-a"], set())


@pytest.mark.logs("a stays, although what belongs to it failed: it cannot be taken back: Comet has no way to")
async def test_what_cannot_be_taken_back_is_logged(autojump_clock: Any) -> None:
    """A new other is such."""
    comet = Comet(sending={"b": NotAllowed("403")}, lost={"b"})
    with pytest.raises(NotAllowed):
        await make(Fake(comet, "a", lasting=True), Fake(comet, "b"))


async def test_an_answer_alone_is_no_change(autojump_clock: Any) -> None:
    """Comet took it and does not show it; or cannot be asked, and then its answer is believed."""
    comet = Comet(lost={"a"})
    with pytest.raises(Conflict, match="does not show it"):
        await make(Fake(comet, "a"))
    comet = Comet(looking=[ServerFailed("look")] * 3)
    await make(Fake(comet, "a"))


async def test_a_program_that_is_killed_leaves_nothing_half_made(autojump_clock: Any) -> None:
    """What was made is taken back, although the request is over."""
    comet = Comet()
    with trio.CancelScope() as scope:

        @dataclass(frozen=True)
        class Killed(Fake):
            async def send(self, _api: API) -> None:
                scope.cancel()
                await trio.sleep_forever()

        await make(Fake(comet, "a"), Killed(comet, "b"))
    assert scope.cancelled_caught
    assert (comet.sent, comet.there) == (["a", "-a"], set())


@pytest.mark.parametrize(
    ("after", "error"),
    [
        (b"a\n\xff", BadText),
        (b"a\n\xc3", None),
        (b"", None),
    ],
)
def test_tags_that_are_no_text_are_seen_at_once(after: bytes, error: type[Exception] | None) -> None:
    """A letter of which a part is yet to come is none."""
    found = TAGS.hopeless("k", b"a\n", after)
    assert error is None if found is None else type(found) is error


@pytest.mark.parametrize(
    ("after", "error"),
    [
        (b'{"a": "1"}\nx\n', BadEdit),
        (b'{"a": "1"} x', BadEdit),
        (b"x\n", BadEdit),
        (b"[]", BadEdit),
        (b"12", BadEdit),
        (b'{"b": "1"}', Refused),
        (b'{"a": []}', BadEdit),
        (b'{"a": "\xff', BadText),
        (b'{"a": "1\n', BadEdit),
        (b'{"a": "2"}\n', None),
        (b'{"a": "2 ', None),
        (b'{"a": "2\xc3', None),
        (b'{"a":\n', None),
        (b'{"a": 1,\n', None),
        (b"{\n", None),
        (b'{"a": tr', None),
        (b"", None),
    ],
)
def test_others_that_cannot_become_right_are_seen_at_once(after: bytes, error: type[Exception] | None) -> None:
    """Before the file is closed; what may become right is waited for."""
    found = OTHERS.hopeless("k", b'{"a": "1"}', after)
    assert error is None if found is None else type(found) is error
    if found is not None:
        with pytest.raises(type(found)):
            other_changes("k", b'{"a": "1"}', after + b"  \n")
