"""The report of a survey, fit to be shown to others: what came, as types and lengths.

Not here: how private text is taken out of an answer (redaction.py).
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from cometfs._version import __version__
from cometfs.doctor.asking import Answer
from cometfs.doctor.checks import BYTES, CHECKS
from cometfs.doctor.findings import Finding
from cometfs.doctor.shapes.forms import compared
from cometfs.doctor.shapes.redaction import names_in, outline
from cometfs.doctor.shapes.vocabulary import FURTHER
from cometfs.doctor.survey import Survey

KNOWN = FURTHER.union(*(names_in(check.form) for check in CHECKS))
"""Names of fields that are Comet's own."""

HEADERS = (
    "content-encoding",
    "content-length",
    "transfer-encoding",
    "retry-after",
    "retry-after-custom",
    "accept-ranges",
    "content-range",
)
"""Whose values are shown; of others it is shown that they are there."""

CLOUD = ("comet.com", "comet.ml")


def report(found: Survey, root: str) -> dict[str, Any]:
    """For JSON."""
    median, longest = found.latencies
    return {
        "cometfs": __version__,
        "server": {"kind": _server(root), "version": found.version},
        "calls": len(found.answers),
        "seconds": {"median": round(median, 3), "longest": round(longest, 3)},
        "clock_ahead_s": None if found.clock is None else round(found.clock, 1),
        "findings": [_finding(one) for one in found.findings],
        "not_asked": [{"check": check.title, "about": where} for check, where in found.not_asked],
    }


def _server(root: str) -> str:
    """Comet's own, or one of an organisation, whose name is left out."""
    parts = urlsplit(root)
    host = parts.hostname or ""
    cloud = any(host == name or host.endswith(f".{name}") for name in CLOUD)
    return f"{parts.scheme}, {'comet.com' if cloud else 'on premise'}{', with a path' if parts.path else ''}"


def _finding(one: Finding) -> dict[str, Any]:
    return {
        "check": one.check.title,
        "about": one.where,
        "result": str(one.result),
        "words": one.words,
        "the_mount": one.instead,
        "answer": _answer(one.answer),
        **_shape(one),
    }


def _answer(answer: Answer) -> dict[str, Any]:
    return {
        "endpoint": answer.question.endpoint,
        "status": answer.status,
        "seconds": round(answer.seconds, 3),
        "bytes": len(answer.body),
        "media_type": answer.kind[:60] if answer.kind.isprintable() else "",
        "headers": {name: answer.headers[name][:40] for name in HEADERS if name in answer.headers},
        "other_headers": sorted(_named(answer)),
    }


def _named(answer: Answer) -> set[str]:
    """Names of headers are those of servers and proxies; one that is long may be anything."""
    return {name for name in answer.headers if name not in HEADERS and len(name) < 40}


def _shape(one: Finding) -> dict[str, Any]:
    """Of what came, and which fields of rows of a declared form are new."""
    if one.check.form is BYTES and one.answer.error is None:
        return {}
    try:
        value = one.answer.decoded()
    except ValueError:
        return {}
    comparison = compared(value, one.check.form)
    new = frozenset(name.rpartition(".")[2] for name in comparison.new if _is_word(name))
    return {
        "shape": outline([value], KNOWN | new),
        "new_fields": sorted(name for name in comparison.new if _is_word(name)),
        "left_out_fields": sorted(comparison.left_out),
    }


def _is_word(name: str) -> bool:
    """Whether a field of one of Comet's own rows is called as fields are."""
    last = name.rpartition(".")[2]
    return last.isascii() and last.isidentifier() and len(last) <= 40
