"""What a body that should be a file really is, by how it begins. Pure functions of bytes."""

from __future__ import annotations

import re

import msgspec

LOOK = 1024
"""Bytes at the beginning of a body that are looked at."""

_PAGE = re.compile(
    rb"(?:\xef\xbb\xbf)?(?:\s|<!--.*?-->|<\?xml.*?\?>)*<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE | re.DOTALL
)

_REFUSAL = re.compile(rb'\s*\{\s*"(?:msg|code|sdk_error_code)"\s*:')


def is_page(beginning: bytes) -> bool:
    """Whether it is an HTML page."""
    return _PAGE.match(beginning) is not None


def is_refusal(beginning: bytes) -> bool:
    """Whether it is an error in Comet's form."""
    return _REFUSAL.match(beginning) is not None


def is_cut_json(body: bytes) -> bool:
    """Whether it is the beginning of an answer in JSON, or nothing."""
    if body.strip()[:1] not in (b"", b"{", b"["):
        return False
    try:
        msgspec.json.decode(body, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):
        return True
    return False
