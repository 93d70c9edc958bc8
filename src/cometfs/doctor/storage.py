"""What is known of the storage that a download is redirected to, in words without its links. Pure functions."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import parse_qsl, urlsplit

from cometfs.doctor.asking import Answer
from cometfs.doctor.findings import Finding, Result
from cometfs.text.numbers import number_of

_EXPIRY = ("X-Amz-Expires", "X-Goog-Expires")
"""Parameters of links that say for how many seconds they hold."""


STREAMED = "Comet is asked to stream what it would redirect"


def with_storage(finding: Finding, storage: Answer) -> Finding:
    """What was found of a redirect, and of the storage that it leads to."""
    words = f"{finding.words}; {storage_words(finding.answer, storage)}"
    if storage.status in (200, 206):
        return replace(finding, words=words)
    return replace(finding, words=words, result=Result.DIFFERS, instead=STREAMED)


def storage_words(redirect: Answer, storage: Answer) -> str:
    """Whether it takes Range and names an ETag, and how long the link holds."""
    if storage.status not in (200, 206):
        return f"its storage answered {storage.status}" if storage.status else "its storage cannot be reached"
    takes = "takes Range" if storage.status == 206 else "does not take Range"
    tag = "names an ETag" if "etag" in storage.headers else "names no ETag"
    return f"its storage {takes} and {tag}; {_lifetime(redirect.headers.get('location', ''))}"


def _lifetime(link: str) -> str:
    try:
        query = dict(parse_qsl(urlsplit(link).query))
    except ValueError:
        query = {}
    seconds = next((found for name in _EXPIRY if (found := number_of(query.get(name))) is not None), None)
    return "its links do not say how long they hold" if seconds is None else f"its links hold for {seconds:g} s"
