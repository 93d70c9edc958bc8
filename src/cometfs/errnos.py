"""The one table from our errors to the errno that a program sees, whichever face it looks at.

Not here: what the kernel makes of them (fuse/requests.py).
"""

from __future__ import annotations

import errno
from collections.abc import Mapping

from cometfs import errors
from cometfs.errors import CometFSError

ERRNOS: Mapping[type[errors.CometFSError], int] = {
    errors.CometFSError: errno.EIO,
    errors.NotFound: errno.ENOENT,
    errors.NoSuchEntry: errno.ENOENT,
    errors.NotAllowed: errno.EACCES,
    errors.KeyRejected: errno.EACCES,
    errors.Throttled: errno.EAGAIN,
    errors.Withheld: errno.EAGAIN,
    errors.Busy: errno.EAGAIN,
    errors.Unreachable: errno.ENETUNREACH,
    errors.ServerFailed: errno.EREMOTEIO,
    errors.DeadlineExceeded: errno.ETIMEDOUT,
    errors.Untrusted: errno.EPROTO,
    errors.Unsupported: errno.ENOTSUP,
    errors.Unintelligible: errno.EPROTO,
    errors.PageInstead: errno.EREMOTEIO,
    errors.NotADirectory: errno.ENOTDIR,
    errors.IsADirectory: errno.EISDIR,
    errors.ReadOnly: errno.EROFS,
    errors.NotPermitted: errno.EPERM,
    errors.Refused: errno.EPERM,
    errors.Exists: errno.EEXIST,
    errors.BadName: errno.EINVAL,
    errors.BadText: errno.EILSEQ,
    errors.BadEdit: errno.EINVAL,
    errors.Conflict: errno.EAGAIN,
    errors.TooBig: errno.EFBIG,
    errors.AnswerTooLarge: errno.EFBIG,
    errors.OutOfSpace: errno.ENOSPC,
    errors.OutOfFiles: errno.EMFILE,
    errors.Stale: errno.ESTALE,
    errors.Superseded: errno.ESTALE,
    errors.Gone: errno.ESTALE,
    errors.Interrupted: errno.EINTR,
    errors.SetupError: errno.EINVAL,
}
"""Every error of errors.py has a row (a test holds it); a class without one would get its base's."""

BUG = errno.EIO
"""For an exception that is not one of ours: the one request fails, the mount goes on."""


def errno_of(error: Exception) -> int:
    """The errno for an exception, looked up along its class's bases."""
    return next((ERRNOS[base] for base in type(error).__mro__ if base in ERRNOS), BUG)


class NoAnswer(OSError):
    """ETIMEDOUT. Python's own class for that is one that libraries take for their own time-outs, without its words."""


def as_oserror(error: CometFSError, path: str | None = None) -> OSError:
    """What a program in Python gets: the errno, and the sentence in `strerror`."""
    number = errno_of(error)
    return (NoAnswer if number == errno.ETIMEDOUT else OSError)(number, str(error), path)
