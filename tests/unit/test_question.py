"""What the refusals of servers mean, by values: status, body, error."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cometfs.comet.http.retries import InTrouble
from cometfs.comet.question import Question, StorageInTrouble, about, refusal, storage_refusal, without
from cometfs.errors import (
    CometFSError,
    KeyRejected,
    NotAllowed,
    NotFound,
    PageInstead,
    ServerFailed,
    Throttled,
    Unintelligible,
    Unreachable,
    Unsupported,
)

ASKED = Question("experiment/tags", {"experimentKey": "abc"})
NEWER = Question("experiment/metrics/get-all", {"experimentKey": "abc"}, lacking="all metrics in one answer")
STORE = Question("panel/store", lacking="a store")
LIST = Question("workspaces")
HTML = b"<html><h1>404 Not Found</h1></html>"


def said(message: str = "no such", **more: Any) -> bytes:
    return json.dumps({"msg": message, **more}).encode()


@pytest.mark.parametrize(
    ("question", "status", "body", "kind"),
    [
        (ASKED, 401, said(), KeyRejected),
        (ASKED, 402, said(), NotAllowed),
        (ASKED, 403, said(), NotAllowed),
        (ASKED, 404, said(), NotFound),
        (ASKED, 404, b"", NotFound),
        (ASKED, 400, said(), NotFound),
        (ASKED, 400, said(sdk_error_code=90211), NotFound),
        (ASKED, 400, said(sdk_error_code=90212), KeyRejected),
        (ASKED, 400, said(sdk_error_code=90210), NotAllowed),
        (ASKED, 400, said(sdk_error_code=34323), Unsupported),
        (ASKED, 500, said(sdk_error_code=34323), Unsupported),
        (ASKED, 400, said(sdk_error_code="90212"), NotFound),
        (ASKED, 400, HTML, PageInstead),
        (ASKED, 400, b"Bad Request", Unintelligible),
        (ASKED, 404, HTML, Unsupported),
        (ASKED, 404, b'{"timestamp": 1, "status": 404, "error": "Not Found"}', Unsupported),
        (LIST, 400, said(), Unsupported),
        (NEWER, 404, HTML, Unsupported),
        (NEWER, 404, b"", Unsupported),
        (NEWER, 404, said(sdk_error_code=90211), NotFound),
        (STORE, 404, said(), Unsupported),
        (STORE, 404, HTML, Unsupported),
        (ASKED, 405, b"", Unsupported),
        (ASKED, 501, b"", Unsupported),
        (ASKED, 418, b"", Unsupported),
        (ASKED, 407, b"", Unreachable),
        (ASKED, 429, b"", Throttled),
        (ASKED, 500, HTML, InTrouble),
        (ASKED, 502, b"", InTrouble),
        (ASKED, 503, b"", InTrouble),
        (ASKED, 504, b"", InTrouble),
        (ASKED, 507, b"", ServerFailed),
        (ASKED, 204, b"", Unintelligible),
        (ASKED, 302, b"", Unintelligible),
    ],
)
def test_a_refusal_has_its_error(question: Question, status: int, body: bytes, kind: type[CometFSError]) -> None:
    """By Comet's own number where there is one, else by the status; a proxy's page is never "no such thing"."""
    assert type(refusal(question, status, body)) is kind


def test_a_refusal_names_what_was_asked_and_what_was_said() -> None:
    """One sentence: thing, endpoint, status, the server's words on one line."""
    question = Question("experiment/metrics/get-metric", {"experimentKey": "abc", "metricName": "loss"})
    assert str(refusal(question, 404, said("no\n  such"))) == (
        "Comet has no metric 'loss' of experiment 'abc' (experiment/metrics/get-metric answered 404: no such)"
    )
    place = Question("experiments", {"workspaceName": "w", "projectName": "p", "archived": "false"})
    assert "project 'p' of workspace 'w'" in str(refusal(place, 403, b""))


def test_a_server_without_a_store_is_told_so() -> None:
    """In a sentence of its own."""
    assert str(refusal(STORE, 404, b"")) == "This Comet server does not offer a store (panel/store answered 404)"


def test_throttling_says_for_how_long() -> None:
    """In seconds, for whoever asks next."""
    error = refusal(ASKED, 429, b"", "key", 17.5)
    assert isinstance(error, Throttled)
    assert error.retry_after == 17.5


@pytest.mark.parametrize("words", ["API key {} is not registered", "({})", "key={};", "{}"])
def test_the_key_is_in_no_message(words: str) -> None:
    """Though servers say it back; of a smart key neither the whole nor its first part."""
    for key in ("0123456789abcdefghijklmno", "0123456789*eyJiYXNlVXJsIjoieCJ9"):
        for told in (key, key.split("*")[0]):
            assert told not in str(refusal(ASKED, 401, said(words.format(told)), key))


def test_a_short_key_does_not_eat_words() -> None:
    """Any text may be a key on a server of one's own."""
    assert without("k", "k is no key") == "(the API key) is no key"


def test_links_lose_their_query() -> None:
    """What makes a presigned link open."""
    words = "see https://bucket.example/a/b?X-Amz-Signature=secret&x=1 there"
    assert "secret" not in str(refusal(ASKED, 403, said(words)))


def test_a_long_answer_is_cut() -> None:
    """A message stays a sentence."""
    assert len(str(refusal(ASKED, 403, said("x" * 10_000)))) < 400


@pytest.mark.parametrize(
    ("status", "kind"),
    [(403, NotAllowed), (401, NotAllowed), (404, NotFound), (503, StorageInTrouble), (418, ServerFailed)],
)
def test_a_storage_does_not_judge_the_key(status: int, kind: type[CometFSError]) -> None:
    """It never sees it."""
    assert type(storage_refusal(ASKED, status)) is kind


def test_what_is_posted_to_is_not_absent() -> None:
    """A 404 of a POST means that there is no such endpoint, never that "Comet has no this account"."""
    posted = Question("project/query", body={"projectName": "p"}, lacking="queries")
    for body in (b"", b"<html>", b'{"msg": "HTTP 404 Not Found", "code": 404}'):
        error = refusal(posted, 404, body)
        assert type(error) is Unsupported
        assert "does not offer queries" in str(error)
    assert type(refusal(posted, 404, b'{"msg": "no such workspace", "sdk_error_code": 90219}')) is NotFound


def test_a_name_of_any_length_leaves_a_message_readable() -> None:
    """The log would have it with each error."""
    question = about("k", "metrics/get-metric", metricName="n" * 10_000)
    assert str(question) == f"experiment/metrics/get-metric for metric '{'n' * 200}…' of experiment 'k'"
