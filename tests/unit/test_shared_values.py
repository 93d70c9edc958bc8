"""Values as they stand in a place that others can write to: what is believed of them, and what never gets there."""

from __future__ import annotations

import pytest

from cometfs.shared.clock import ServerClock
from cometfs.shared.refreshes import MOST, MOST_KEYS, Refreshes
from cometfs.shared.sealed import MARK, TIME, Seal, Value

NAME = b"cometfs:2:account:answer:0123"
VALUE = Value(b"what Comet has answered", 1_700_000_000.25, 1_700_000_060.5)


def test_what_was_sealed_is_opened() -> None:
    seal = Seal("the-key-of-an-account")
    for value in (VALUE, VALUE._replace(missing=True), VALUE._replace(written=b"")):
        sealed = seal.sealed(NAME, value)
        assert sealed is not None
        assert seal.opened(NAME, sealed) == value
        assert int(sealed[MARK : MARK + TIME]) == 1_700_000_000_250, "a script of the server compares that"


def test_nothing_else_is_opened() -> None:
    """Not a byte may be another, nor the name, nor the key."""
    seal = Seal("the-key-of-an-account")
    sealed = seal.sealed(NAME, VALUE) or b""
    for place in range(len(sealed)):
        forged = sealed[:place] + bytes([sealed[place] ^ 1]) + sealed[place + 1 :]
        assert seal.opened(NAME, forged) is None
    for cut in (b"", sealed[:MARK], sealed[:-1], sealed + b"x"):
        assert seal.opened(NAME, cut) is None
    assert seal.opened(NAME + b"4", sealed) is None
    assert Seal("another-key").opened(NAME, sealed) is None


@pytest.mark.parametrize(
    "written",
    [
        b'{"link":"https://b.s3.amazonaws.com/a?X-Amz-Algorithm=A&X-Amz-Signature=00ff"}',
        b"https://b.s3.amazonaws.com/a?AWSAccessKeyId=A&Signature=00ff&Expires=1",
        b"https://b.s3.amazonaws.com/a?Signature=00ff",
        b"https://storage.googleapis.com/b/a?x-goog-signature=00ff",
        b"https://a.blob.core.windows.net/b?sv=1&sig=00ff",
        b"https://a.blob.core.windows.net/b?sig=00ff",
        b'"https://a.blob.core.windows.net/b?sv=1\\u0026sig=00ff"',
        b"<a href='https://a.blob.core.windows.net/b?sv=1&amp;sig=00ff'>",
        b"https://login?next=https%3A%2F%2Fb%3Fa%3D1%26Signature%3D00ff",
        b"COMET_API_KEY=the-key-of-an-account",
    ],
)
def test_keys_and_links_that_need_none_stay(written: bytes) -> None:
    assert Seal("the-key-of-an-account").sealed(NAME, VALUE._replace(written=written)) is None


@pytest.mark.parametrize("written", [b"sig=1", b"loss?significance=1", b"https://comet.com/a?design=1", b"Signature:"])
def test_other_words_are_shared(written: bytes) -> None:
    assert Seal("the-key-of-an-account").sealed(NAME, VALUE._replace(written=written)) is not None


def test_times_are_taken_so_that_nothing_holds_for_longer() -> None:
    """What lies between two machines is what the way may have taken, at most."""
    writer, reader = ServerClock(), ServerClock()
    writer.note(1000.0, sent=10.0, came=12.0)  # at 10 to 12 of its own clock
    reader.note(1001.0, sent=501.0, came=502.0)
    assert writer.written(12.0) == 1000.0, "as early as it can be"
    assert reader.passed(502.0) == 1002.0, "as late as it can be"


def test_of_many_refreshes_all_count() -> None:
    refreshes = Refreshes()
    for number in range(3 * MOST):
        refreshes.note(lambda key, number=number: key == number, float(number))  # type: ignore[misc]
        assert refreshes.mean(0, -1.0)
    assert refreshes.mean("anything", 10.0), "of too many, all are taken to be meant"
    assert not refreshes.mean(3 * MOST - 1, 3.0 * MOST)


def test_a_refresh_that_is_repeated_counts_from_the_last_time() -> None:
    refreshes, which = Refreshes(), {"a"}.__contains__
    refreshes.note(which, 1.0)
    refreshes.note({"b"}.__contains__, 2.0)
    refreshes.note(which, 3.0)
    assert refreshes.mean("a", 2.5)
    assert not refreshes.mean("a", 3.5)
    assert not refreshes.mean("c", 0.0)


def test_of_many_keys_all_count() -> None:
    refreshes = Refreshes()
    for number in range(2 * MOST_KEYS):
        refreshes.note_key(number, float(number))
        assert refreshes.mean(number, float(number))
        assert refreshes.mean(0, 0.0)
    refreshes.note_key("a", 5.0)
    refreshes.note_key("a", 4.0)
    assert refreshes.mean("a", 4.5)
    assert not refreshes.mean("a", 2.0 * MOST_KEYS)
