"""Which bodies can be what their listing tells, and which error the others are."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cometfs.comet.http.sniffing import is_page, is_refusal
from cometfs.errors import CometFSError, Unintelligible, Unreachable
from cometfs.vfs.answers.validation import Came, Expected, flaw, validated
from cometfs.vfs.sources.experiment import ASSET
from tests.unit.test_follow import NODE

PAGE = b"<!DOCTYPE html><html><body>Sign in</body></html>"
REFUSED = b'{"msg": "no such user", "code": 401}'
LISTED = Expected("asset 'a.bin'", 1000)
UNLISTED = Expected("asset 'a.bin'", None)

VERDICTS = {
    "the listed size": (LISTED, Came(1000), None),
    "the listed size, marked by nothing": (LISTED, Came(1000, close_delimited=True), None),
    "the listed size, and a page": (LISTED, Came(1000, PAGE, is_html=True), None),
    "another size with a certain end": (LISTED, Came(5, b"short"), None),
    "a longer one with a certain end": (LISTED, Came(2000, b"long"), None),
    "shorter, marked by nothing": (LISTED, Came(999, b"x", close_delimited=True), Unreachable),
    "longer, marked by nothing": (LISTED, Came(1001, b"x", close_delimited=True), Unreachable),
    "nothing": (LISTED, Came(0), Unintelligible),
    "a page by its type": (LISTED, Came(45, b"Sign in", is_html=True), Unintelligible),
    "a page by its bytes": (LISTED, Came(len(PAGE), PAGE), Unintelligible),
    "a page, marked by nothing": (LISTED, Came(len(PAGE), PAGE, close_delimited=True), Unintelligible),
    "a page that was expected": (LISTED._replace(may_be_html=True), Came(45, PAGE, is_html=True), None),
    "a refusal with status 200": (LISTED, Came(len(REFUSED), REFUSED), Unintelligible),
    "JSON that was expected": (LISTED._replace(may_be_json=True), Came(len(REFUSED), REFUSED), None),
    "no size was listed": (UNLISTED, Came(7, b"x"), None),
    "no size was listed, and nothing came": (UNLISTED, Came(0), None),
    "no size was listed, and a page came": (UNLISTED, Came(45, PAGE), Unintelligible),
}


@pytest.mark.parametrize(("listed", "size"), [(5, 5), (0, None), (None, None), (-1, None)])
def test_a_size_is_known_where_the_listing_has_one(listed: int | None, size: int | None) -> None:
    """Zero may be a listing that does not know; less is none."""
    assert ASSET.size(replace(NODE.at, item={"assetId": "a", "fileSize": listed})) == size


@pytest.mark.parametrize(("expected", "came", "error"), VERDICTS.values(), ids=VERDICTS)
def test_a_body_is_taken_or_refused(expected: Expected, came: Came, error: type[CometFSError] | None) -> None:
    """One verdict for each kind of body, and a sentence that names the asset."""
    found = flaw(expected, came)
    assert (found and type(found)) == error
    assert found is None or "asset 'a.bin'" in str(found)


@given(st.integers(0, 5), st.integers(0, 5), st.booleans())
def test_without_a_certain_end_only_the_listed_size_is_taken(listed: int, size: int, close_delimited: bool) -> None:
    """A cut body cannot be told from a whole one otherwise. An empty body is no asset that has bytes."""
    found = flaw(LISTED._replace(size=listed or None), Came(size, b"x" * size, close_delimited))
    assert (found is None) == (size == listed or not listed or (size > 0 and not close_delimited))


@pytest.mark.parametrize(
    ("name", "kind", "html"),
    [
        ("a.HTML", "asset", True),
        ("x/report.htm", None, True),
        ("card", "metaflow-card", True),
        ("a.txt", "asset", False),
    ],
)
def test_html_is_expected_by_name_or_type(name: str, kind: str | None, html: bool) -> None:
    """Of everything else a page is none."""
    at = NODE.at
    at = type(at)(at.web, 0, ("k", "a"), item={"fileName": name, "type": kind, "fileSize": 3, "assetId": "a"})
    assert Expected.of(ASSET, at) == (f"asset {name!r} of 'k'", 3, html, False)


@pytest.mark.parametrize(
    "beginning",
    [PAGE, b"\xef\xbb\xbf\r\n <HTML>", b"<!-- x -->\n<html lang=en>", b'<?xml version="1.0"?><html>', b"<head><title>"],
)
def test_pages_are_known_by_their_beginning(beginning: bytes) -> None:
    """In the ways in which servers write them."""
    assert is_page(beginning)


@pytest.mark.parametrize(
    "beginning", [b"", b"<svg>", b"<htmlx>", b"a <html>", b"{}", b'<?xml version="1.0"?><svg>', b"PK"]
)
def test_other_files_are_no_pages(beginning: bytes) -> None:
    """Nor refusals."""
    assert not is_page(beginning)
    assert not is_refusal(beginning)


@dataclass
class Sent:
    """A body in chunks of one byte."""

    body: bytes
    size: int | None
    close_delimited: bool = False
    is_html: bool = False
    encoded_size: int | None = None

    def keep_encoded(self, size: int | None) -> None:
        """It is in no encoding."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for place in range(len(self.body)):
            yield self.body[place : place + 1]


@asynccontextmanager
async def begun(sent: Sent) -> AsyncIterator[Sent]:
    yield sent


@pytest.mark.parametrize("announced", [True, False])
async def test_another_size_is_told_before_it_is_known_to_anybody(announced: bool) -> None:
    """Once, and no byte is lost or doubled by the look at the beginning."""
    told: list[int] = []

    async def differs(size: int) -> None:
        told.append(size)

    body = bytes(range(256)) * 8
    async with validated(begun(Sent(body, len(body) if announced else None)), LISTED, differs) as stream:
        assert told == ([2048] if announced else [])
        assert stream.size == (2048 if announced else None)
        assert b"".join([chunk async for chunk in stream]) == body
    assert told == [2048]


async def test_a_page_that_announces_its_size_is_refused_before_that_is_shown() -> None:
    """Who waits for the size gets the error."""

    async def differs(_size: int) -> None:
        raise AssertionError

    with pytest.raises(Unintelligible, match="HTML page"):
        async with validated(begun(Sent(PAGE, len(PAGE))), LISTED, differs):
            raise AssertionError
