"""Redaction of what must never be written anywhere: keys, and links that need no key. One function for all files.

Not here: deciding what is shown otherwise.
"""

from __future__ import annotations

import re
from typing import Any

SECRET_FIELDS = frozenset({"apiKey", "api_key", "curlDownload", "s3Link", "compressedAssetLink", "preSignUrl"})
"""Fields of Comet's answers that hold the caller's key or a presigned link."""

_SIGNED = re.compile(
    r"(https?://[^\s\"'?]+)\?[^\s\"']*(?:signature|x-amz-credential|x-goog-credential|awsaccesskeyid|sig=|token=)[^\s\"']*",
    re.IGNORECASE,
)


def redact(answer: Any) -> Any:
    """`answer` without the fields that hold secrets, and with presigned links cut at their query."""
    if isinstance(answer, dict):
        return {name: redact(value) for name, value in answer.items() if name not in SECRET_FIELDS}
    if isinstance(answer, list | tuple):
        return [redact(value) for value in answer]
    if isinstance(answer, str):
        return _SIGNED.sub(r"\1", answer)
    return answer
