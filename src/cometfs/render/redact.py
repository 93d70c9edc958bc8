"""Redaction of what must never be written anywhere: keys, and links that need no key. One function for all files.

What a program logged is no secret of Comet's and is shown as it was logged: its texts, its parameters, and the link of
a remote file, whose query may be all that opens it (a SAS of Azure). Not here: deciding what is shown otherwise.
"""

from __future__ import annotations

import re
from typing import Any

SECRET_FIELDS = frozenset({"apiKey", "api_key", "curlDownload", "s3Link", "compressedAssetLink", "preSignUrl"})
"""Fields of Comet's answers that hold the caller's key or a presigned link."""

LOGGED = frozenset({"params", "metadata"})
"""Fields that hold, under names of their own, what was logged."""

_LINK = re.compile("(link|url|path)$", re.IGNORECASE)
"""Names of fields that hold a link: Comet's own, unless the row is of a remote file."""

_OF_REMOTE = frozenset({"link", "imagePath"})

_SIGNED = re.compile(
    r"(https?://[^\s\"'?]+)\?[^\s\"']*(?:signature|x-amz-credential|x-goog-credential|awsaccesskeyid|sig=|token=)[^\s\"']*",
    re.IGNORECASE,
)


def redact_text(text: str) -> str:
    """A text with presigned links cut at their query."""
    return _SIGNED.sub(r"\1", text)


def redact(answer: Any) -> Any:
    """`answer` without the fields that hold secrets, and with Comet's presigned links cut at their query."""
    if isinstance(answer, dict):
        return {name: _value(answer, name) for name in answer if name not in SECRET_FIELDS}
    if isinstance(answer, list | tuple):
        return [redact(value) for value in answer]
    return answer


def _value(row: dict[str, Any], name: str) -> Any:
    value = row[name]
    if name in LOGGED or (name in _OF_REMOTE and row.get("remote")):
        return value
    return _SIGNED.sub(r"\1", value) if isinstance(value, str) and _LINK.search(name) else redact(value)
