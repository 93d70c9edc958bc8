"""What every request of the kernel is wrapped in: an errno for every error, a deadline, a watch on the caller.

Not here: what the requests do (operations.py), and how the deadline is kept (limits.py).
"""

from __future__ import annotations

import errno
import functools
import logging
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from time import perf_counter
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

import pyfuse3

from cometfs.caller import CALLER, Caller
from cometfs.errnos import errno_of
from cometfs.errors import (
    CometFSError,
    Exists,
    Gone,
    Interrupted,
    NoSuchEntry,
    NotPermitted,
    ReadOnly,
    Refused,
    Superseded,
)
from cometfs.mountstate.limits import RequestLimiter
from cometfs.telemetry.gauges import Histogram

log = logging.getLogger(__name__)


QUIET = (NoSuchEntry, Gone, Interrupted, Exists, NotPermitted, ReadOnly, Superseded)
"""Errors that go to the program and not into the log: the request was for what cannot be, and nothing is wrong. Not so
a refusal whose reason no errno tells."""


P = ParamSpec("P")
S = TypeVar("S", bound="HasLimiter")
T = TypeVar("T")


class HasLimiter(Protocol):
    """What a class of handlers must offer."""

    limiter: RequestLimiter
    timings: defaultdict[str, Histogram]
    """How long requests took, by handler."""
    errnos: Counter[str]
    """Requests that failed, by the name of the errno."""

    def failed(self, request: str, args: tuple[Any, ...], name: str, sentence: str) -> Mapping[str, Any]:
        """Takes note of a failure: the handler, its arguments, and the name of the errno. What the log tells of it, by
        `logs.FIELDS`."""


def handler(
    handle: Callable[Concatenate[S, P], Awaitable[T]],
) -> Callable[Concatenate[S, P], Coroutine[Any, Any, T]]:
    """Makes a method a pyfuse3 handler: nothing but FUSEError ever leaves it, and it ends in time.

    The caller's pid is taken from a RequestContext among the arguments (reads have none: the kernel lets a process that
    waits in a buffered read die by itself).
    """

    def nothing(_self: S, /, *_args: P.args, **_kwargs: P.kwargs) -> T | None:
        return None

    return handler_after(nothing)(handle)


def handler_after(
    nowait: Callable[Concatenate[S, P], T | None],
    pid_of: Callable[..., int] | None = None,
    *,
    again: bool = False,
) -> Callable[[Callable[Concatenate[S, P], Awaitable[T]]], Callable[Concatenate[S, P], Coroutine[Any, Any, T]]]:
    """The same for a request that can often be answered at once: by `nowait`, which returns None where it cannot.

    What does not wait needs no deadline, and arming one costs more than most answers. `pid_of`: the caller, where
    the request itself does not tell it. `again`: the kernel asks anew where it is answered ESTALE.
    """

    def decorate(
        handle: Callable[Concatenate[S, P], Awaitable[T]],
    ) -> Callable[Concatenate[S, P], Coroutine[Any, Any, T]]:
        name = handle.__name__

        async def wrapped(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
            began = perf_counter()
            try:
                found = nowait(self, *args, **kwargs)
                if found is not None:
                    return found
                pid = _pid(args) if pid_of is None else pid_of(self, *args, **kwargs)
                CALLER.set(Caller(pid))
                with self.limiter.limit(pid, again=again):
                    return await handle(self, *args, **kwargs)
            except Exception as error:
                raise _refusal(self, name, args, error) from None
            finally:
                self.timings[name].add(perf_counter() - began)
            raise AssertionError("unreachable: limit() raises when it swallows a cancellation")

        functools.update_wrapper(wrapped, handle)
        return wrapped

    return decorate


def at_once(handle: Callable[Concatenate[S, P], T]) -> Callable[Concatenate[S, P], Coroutine[Any, Any, T]]:
    """The same for a request that never waits for anything."""
    name = handle.__name__

    async def wrapped(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        began = perf_counter()
        try:
            return handle(self, *args, **kwargs)
        except Exception as error:
            raise _refusal(self, name, args, error) from None
        finally:
            self.timings[name].add(perf_counter() - began)

    functools.update_wrapper(wrapped, handle)
    return wrapped


def _pid(args: tuple[Any, ...]) -> int:
    last = args[-1] if args else None
    return last.pid if isinstance(last, pyfuse3.RequestContext) else 0


def _refusal(face: HasLimiter, request: str, args: tuple[Any, ...], error: Exception) -> pyfuse3.FUSEError:
    """The errno of an error, for pyfuse3; its sentence goes into both logs."""
    number = error.errno if isinstance(error, pyfuse3.FUSEError) else _errno_in(request, error)
    face.errnos[errno.errorcode.get(number, str(number))] += 1
    if isinstance(error, pyfuse3.FUSEError):
        return error
    if _is_quiet(error):
        return pyfuse3.FUSEError(number)
    sentence = str(error)
    if not isinstance(error, CometFSError):
        sentence = f"bug in {request}: {type(error).__name__}; the log has its traceback"
    fields = _noted(face, request, args, errno.errorcode[number], sentence)
    if isinstance(error, CometFSError):
        log.warning("%s: %s", request, error, extra={**fields, "endpoint": error.endpoint})
    else:
        log.error("bug in %s", request, exc_info=error, extra=fields)
    return pyfuse3.FUSEError(number)


def _errno_in(request: str, error: Exception) -> int:
    found = errno_of(error)
    # The C library takes ENOENT there for the end of the list: programs would see an empty directory.
    return errno.ESTALE if (request, found) == ("readdir", errno.ENOENT) else found


def _is_quiet(error: Exception) -> bool:
    return isinstance(error, QUIET) and not isinstance(error, Refused)


def _noted(face: HasLimiter, request: str, args: tuple[Any, ...], name: str, sentence: str) -> Mapping[str, Any]:
    try:
        return {"request": request, "errno": name, **face.failed(request, args, name, sentence)}
    except Exception:  # what is wrong with this must not end the mount
        log.exception("bug in the notes on %s", request)
        return {}
