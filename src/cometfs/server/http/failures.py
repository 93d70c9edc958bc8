"""Errors of the storage as answers: the one place that knows both.

Not here: the errors (`storage.errors`), the shape of an answer that is one (`server.errors`).
"""

from __future__ import annotations

from cometfs.server.errors import ARTIFACT_VERSION_EXISTS, INVALID_VERSION, NO_SUCH_EXPERIMENT, ApiError
from cometfs.server.storage.errors import (
    Damaged,
    InvalidKey,
    InvalidVersion,
    NotThere,
    StorageError,
    StorageFull,
    Unreadable,
    VersionExists,
)

ANSWERS: dict[type[StorageError], tuple[int, int | None]] = {
    StorageFull: (507, None),
    NotThere: (400, NO_SUCH_EXPERIMENT),
    InvalidKey: (400, None),
    Unreadable: (400, None),
    Damaged: (409, None),
    InvalidVersion: (400, INVALID_VERSION),
    VersionExists: (400, ARTIFACT_VERSION_EXISTS),
}
"""The HTTP status of each, and Comet's number where it has one."""


def answer_to(exc: StorageError) -> ApiError:
    """What a client is answered."""
    status, number = ANSWERS[type(exc)]
    return ApiError(status, str(exc), number)
