"""One call to Comet as a value, how it is named in a sentence, and what the refusals of servers mean.

Not here: sending it (`transport`), trying again (`calls`).
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urljoin, urlsplit

import msgspec

from cometfs.comet.http.retries import PASSING, RETRIES, InTrouble
from cometfs.comet.http.sniffing import is_page
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

LISTED = 256 << 20
"""Bytes of the list of an experiment's assets, which has no pages: 100,000 of them take some 70 MB."""

SHOWN = 200
"""Characters of a server's own words, and of a name, that go into a message."""

_SUBJECTS = (
    ("assetId", "asset"),
    ("assetName", "asset"),
    ("metricName", "metric"),
    ("artifactName", "artifact"),
    ("modelName", "model"),
    ("experimentKey", "experiment"),
    ("projectName", "project"),
    ("projectId", "project"),
    ("workspaceName", "workspace"),
    ("workspace", "workspace"),
)
"""How the parameters that name a thing are read out, the smallest thing first."""

_BY_CODE: Mapping[int, type[CometFSError]] = {
    90210: NotAllowed,  # no write access
    90211: NotFound,  # experiment
    90212: KeyRejected,  # not registered
    90219: NotFound,  # workspace
    90998: Unsupported,  # "no experiment key was given": it was, so this server wants it otherwise
    34323: Unsupported,  # a project of prompts and traces, which this API does not serve
    42008: NotFound,  # registered model
    624522: NotFound,  # artifact
    624523: NotFound,  # version of an artifact
    7000011: NotAllowed,  # view-only
    7000023: NotAllowed,  # service account
}
"""``sdk_error_code``: more exact than the status, where a server sends one."""


@dataclass(frozen=True, slots=True)
class Question:
    """A call: what is asked of which endpoint."""

    endpoint: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    """What is posted, as JSON; None makes it a GET."""
    lacking: str = ""
    """For an endpoint that not every server has: what then cannot be had."""
    retries: int = RETRIES
    """Tries after the first one; fewer where there is another way than to try again."""
    alone: bool = False
    """Whether its failure is no answer to others that ask: it is read for a change."""
    most: int = 0
    """Bytes of the answer that are held in memory, where these are more than of any other."""

    @property
    def subject(self) -> str:
        """What is asked about: ``metric 'loss' of experiment 'abc'``."""
        found = [f"{word} {_named(self.query[name])}" for name, word in _SUBJECTS if name in self.query]
        return " of ".join(found) or "this account"

    @property
    def key(self) -> Hashable:
        """The same for the same question; None of a change, of which each is meant, and of what is read for one."""
        if self.alone or self.endpoint.startswith("write/"):
            return None
        return self.endpoint, tuple(sorted(self.query.items())), msgspec.json.encode(self.body)

    def unredirected(self) -> Question:
        """The same, answered by Comet itself; of a call that Comet never redirects no other one."""
        if self.query.get("allow301") != "true":
            return self
        return replace(self, query={**self.query, "allow301": "false"})

    def __str__(self) -> str:
        return f"{self.endpoint} for {self.subject}" if self.query else self.endpoint


def about(experiment_key: str, what: str, lacking: str = "", **more: str) -> Question:
    """What Comet is asked about one experiment: endpoint ``experiment/<what>``."""
    return Question(f"experiment/{what}", {"experimentKey": experiment_key, **more}, lacking=lacking)


def refusal(question: Question, status: int, body: bytes, secret: str = "", retry_after: float = 0.0) -> CometFSError:
    """What an answer of Comet itself that is not 200 means. `secret`, the API key, stays out of the sentence."""
    refused = _Refusal.of(body)
    kind = _kind(question, status, refused)
    sentence = _sentence(question, status, kind, refused.shown(secret))
    return Throttled(sentence, retry_after) if kind is Throttled else kind(sentence)


def words_in(body: bytes, secret: str) -> str:
    """What a refusal says, after a colon; nothing where it says nothing. `secret`: as for `refusal`."""
    shown = _Refusal.of(body).shown(secret)
    return f": {shown}" if shown else ""


def _named(name: str) -> str:
    """A name in a sentence: programs log names of any length."""
    return repr(name if len(name) <= SHOWN else f"{name[:SHOWN]}…")


class StorageInTrouble(InTrouble):
    """The place to which Comet redirects a download answered a status of `PASSING`, or 429."""


def storage_refusal(question: Question, status: int) -> CometFSError:
    """What it means when the place to which Comet redirects a download answers `status`.

    It has never seen the API key, so it cannot reject it; and its words are about links, which are secret.
    """
    kinds: Mapping[int, type[CometFSError]] = {401: NotAllowed, 403: NotAllowed, 404: NotFound, 410: NotFound}
    kind = StorageInTrouble if status in PASSING | {429} else kinds.get(status, ServerFailed)
    return kind(f"The storage behind {question} answered {status}")


def target_of(question: Question, url: str, location: str | None) -> str:
    """Where a redirect leads; a link of that kind is as good as a key, so it is in no message."""
    try:
        target = urljoin(url, location or "")
        if location and urlsplit(target).scheme in ("http", "https") and urlsplit(target).hostname:
            return target
    except ValueError:
        pass
    raise Unintelligible(f"A redirect that leads nowhere came from {question}")


def elsewhere(question: Question, location: str) -> Unintelligible:
    """What it means that Comet redirects what it should answer itself."""
    try:
        host = f" to {urlsplit(location).scheme}://{urlsplit(location).hostname}" if urlsplit(location).hostname else ""
    except ValueError:
        host = ""
    return Unintelligible(f"The server redirects{host} instead of answering {question}; check its address")


def _kind(question: Question, status: int, refused: _Refusal) -> type[CometFSError]:
    if refused.code in _BY_CODE:
        return _BY_CODE[refused.code]
    if status in PASSING:
        return InTrouble
    if status == 404:
        return _missing(question, refused)
    if status == 400:
        return _bad(question, refused)
    by_status = {401: KeyRejected, 402: NotAllowed, 403: NotAllowed, 407: Unreachable, 429: Throttled}
    return by_status.get(status) or _unforeseen(status)


def _missing(question: Question, refused: _Refusal) -> type[CometFSError]:
    """404: the thing is not there if Comet says so in its own form; else it is the endpoint that is not.

    What is posted to names nothing that could be missing: where something in the body is, Comet has a code for that.
    """
    if question.body is not None or question.endpoint.endswith("panel/store"):
        return Unsupported
    if not (refused.comet or refused.empty):
        return Unsupported
    return Unsupported if refused.empty and question.lacking else NotFound


def _bad(question: Question, refused: _Refusal) -> type[CometFSError]:
    """400: what older servers answer when they do not have what a key names."""
    if not refused.comet:
        return PageInstead if refused.page else Unintelligible
    return NotFound if question.query else Unsupported


def _unforeseen(status: int) -> type[CometFSError]:
    if status in (405, 501):
        return Unsupported
    if status >= 500:
        return ServerFailed
    return Unsupported if status >= 400 else Unintelligible


def _sentence(question: Question, status: int, kind: type[CometFSError], words: str) -> str:
    answered = f"{question.endpoint} answered {status}{f': {words}' if words else ''}"
    if kind is NotFound:
        return f"Comet has no {question.subject} ({answered})"
    if kind is KeyRejected:
        return f"Comet does not accept the API key ({answered}); check COMET_API_KEY or .comet.config"
    if kind is NotAllowed:
        return f"Comet refuses {question.subject} to this API key ({answered})"
    if kind is Unsupported and question.lacking:
        return f"This Comet server does not offer {question.lacking} ({answered})"
    if kind is Unsupported:
        return f"This server does not offer {question}, or is no Comet server: check its address ({answered})"
    return f"Comet could not answer about {question.subject} ({answered})"


@dataclass(frozen=True, slots=True)
class _Refusal:
    """The body of a refusal, as far as it can be understood."""

    message: str = ""
    code: int = 0
    comet: bool = False
    """Whether it has Comet's form, so that it is an answer of Comet and not of a proxy."""
    empty: bool = False
    page: bool = False

    @classmethod
    def of(cls, body: bytes) -> _Refusal:
        try:
            found = msgspec.json.decode(body, type=dict[str, Any])
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return cls(empty=not body.strip(), page=is_page(body))
        message, code = found.get("msg"), found.get("sdk_error_code")
        return cls(
            message=message if isinstance(message, str) else "",
            code=code if isinstance(code, int) else 0,
            comet=not found.keys().isdisjoint(("msg", "code", "sdk_error_code")),
        )

    def shown(self, secret: str) -> str:
        """One line, without the API key and without what follows the ``?`` of links."""
        return " ".join(re.sub(r"\?\S*", "", without(secret, self.message)).split())[:SHOWN]


def without(secret: str, text: str) -> str:
    """`text` with every mention of the API key taken out; of a smart key the part before the ``*`` too."""
    for part in (secret, secret.split("*")[0]):
        if part:
            text = re.sub(rf"(?<![0-9A-Za-z]){re.escape(part)}(?![0-9A-Za-z])", "(the API key)", text)
    return text
