"""Answers that are errors: Comet's own error numbers, and the exception that becomes such an answer.

Not here: HTTP (`http.app`); what the storage cannot do (`storage.errors`).
"""

from __future__ import annotations

from typing import Any

NO_SUCH_EXPERIMENT = 90211
KEY_NOT_REGISTERED = 90212
NO_SUCH_WORKSPACE = 90219
NO_EXPERIMENT_KEY = 90998
NO_PROJECT_NAME = 98219
NO_SUCH_MODEL = 42008
NO_SUCH_ARTIFACT = 624522
NO_SUCH_ARTIFACT_VERSION = 624523
NOT_FINAL = 90402
ARTIFACT_VERSION_EXISTS = 90399
INVALID_VERSION = 42001
SHOWN = 7777777
"""Comet's own error numbers, as its clients know them; the last one has a message for the user and no more."""


class ApiError(Exception):
    """An answer that is an error: an HTTP status, a sentence, and Comet's number where it has one."""

    def __init__(self, status: int, message: str, sdk_error_code: int | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.sdk_error_code = status, message, sdk_error_code

    def body(self) -> dict[str, Any]:
        """Comet's shape of an error."""
        body: dict[str, Any] = {"msg": self.message, "code": self.status}
        return body if self.sdk_error_code is None else body | {"sdk_error_code": self.sdk_error_code}
