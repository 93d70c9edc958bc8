"""Every error that cometfs raises on purpose.

A message (``str(error)``) is one sentence that names the thing asked for and, where there is one, the remedy. `API`
raises those down to `AnswerTooLarge`, `Conflict` for its store, and `SetupError` when it is made:

    try:
        rows = await api.projects("acme")
    except NotFound as error:
        print(error)  # Comet has no workspace 'acme' (projects answered 404: ...)

Every layer raises these and nothing foreign: ``comet/http/transport`` turns errors of httpx into them,
``errnos`` turns them into errnos.

    CometFSError
    ├── NotFound              Comet has no such thing
    ├── NotAllowed            Comet knows it and refuses it to this key
    │   └── KeyRejected       Comet refuses the key itself
    ├── Throttled             too many calls; ``retry_after`` says how long to wait
    │   └── Withheld          a call ahead of its time (a prefetch), while few are left
    ├── Unreachable           no usable answer: network, name; by themselves, the connection failed
    │   ├── ServerFailed      the server was reached, and fails (5xx)
    │   ├── DeadlineExceeded  no answer in time
    │   └── Untrusted         the server's certificate is not trusted: nothing was asked
    ├── Unsupported           this server does not offer it
    ├── Unintelligible        an answer that is not what its endpoint promises
    │   └── PageInstead       an HTML page, of a proxy or a login, instead of JSON
    ├── AnswerTooLarge        an answer with more bytes than are held in memory
    ├── NoSuchEntry           a directory has no entry of that name
    ├── NotADirectory         a file where a directory was wanted
    ├── IsADirectory          a directory where a file was wanted
    ├── ReadOnly              a write to what only shows what Comet has
    ├── NotPermitted          what a directory for values cannot hold: directories, links, devices
    │   └── Refused           a change that Comet cannot make, or that this mount does not make
    ├── Exists                a name that must be new is taken
    ├── BadName               a name that would be shown as another one
    ├── BadText               a value that is no text
    ├── BadEdit               an edited file that means nothing any more
    ├── Conflict              what was written is not there when it is read back
    ├── TooBig                a value bigger than any the store can hold, a chart with too many points
    ├── OutOfSpace            this machine has no room for what must be kept
    ├── OutOfFiles            this process has no file descriptor left
    ├── Stale                 what the kernel points at is gone
    │   ├── Superseded        a file is open in a version that is not current any more
    │   └── Gone              it was renamed, moved or deleted at Comet
    ├── Busy                  too many requests wait already
    ├── Interrupted           the process that made the request was killed while it waited
    └── SetupError            settings or surroundings that keep a command from starting
"""

from __future__ import annotations


class CometFSError(Exception):
    """Base of all errors that cometfs raises on purpose; ``str()`` is a sentence for a user."""

    endpoint = ""
    """What Comet was asked, where that is known."""


class NotFound(CometFSError):
    """Comet has no such workspace, project, experiment or asset (HTTP 404, and 400 on older servers)."""


class NotAllowed(CometFSError):
    """Comet refuses this to the key in use (HTTP 402, 403)."""


class KeyRejected(NotAllowed):
    """Comet does not accept the API key at all (HTTP 401)."""


class Throttled(CometFSError):
    """Comet asks to slow down (HTTP 429) for longer than the call's deadline allows to wait."""

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        """Seconds until Comet is willing to answer again."""


class Withheld(Throttled):
    """A call was not made: nothing waits for its answer, and the calls that are left are kept for readers that wait."""


class Unreachable(CometFSError):
    """No usable answer arrived: no network, no such host, a broken connection; and the three below."""


class ServerFailed(Unreachable):
    """The server was reached and failed (HTTP 5xx), after all retries: nothing is wrong with the network."""


class DeadlineExceeded(Unreachable):
    """The answer did not arrive within the deadline of the call."""


class Untrusted(Unreachable):
    """The server's certificate has expired, is for another name, or is signed by an authority that is not known."""


class Unsupported(CometFSError):
    """This server does not offer the endpoint, or another form of it (HTTP 404 without Comet's words, 405, 501)."""


class Unintelligible(CometFSError):
    """The server answered what its endpoint does not promise (no JSON, a missing field, a wrong type)."""


class PageInstead(Unintelligible):
    """An HTML page came where JSON was asked for: of a proxy, of a login, or of a server in trouble."""


class AnswerTooLarge(CometFSError):
    """An answer has more bytes than are held in memory for one: it must be asked for in parts, if at all."""


class NoSuchEntry(CometFSError):
    """A complete listing has no entry of that name."""

    def __init__(self, message: str, lease: float = 0.0) -> None:
        super().__init__(message)
        self.lease = lease
        """Seconds for which the listing, and so this absence, holds."""


class NotADirectory(CometFSError):
    """A file was used as a directory."""


class IsADirectory(CometFSError):
    """A directory was used as a file."""


class ReadOnly(CometFSError):
    """A write to something that only shows what Comet has."""


class NotPermitted(CometFSError):
    """Something was to be made in a writable directory that it cannot hold: a directory, a link, a device."""


class Refused(NotPermitted):
    """A change that Comet cannot make, or that this mount was not allowed to make."""


class Exists(CometFSError):
    """There is an entry already of a name that must be new."""


class BadName(CometFSError):
    """Something was to get a name under which nothing is ever shown."""


class BadText(CometFSError):
    """A value to store is not UTF-8."""


class BadEdit(CometFSError):
    """An edited file cannot be understood any more."""


class Conflict(CometFSError):
    """What was written is not there when it is read back, after several tries: others replace it."""


class TooBig(CometFSError):
    """A value to store has more bytes than a value can have, or a chart more than fit in memory."""


class OutOfSpace(CometFSError):
    """This machine has no room for something that must be kept (disk full)."""


class OutOfFiles(CometFSError):
    """This process, or the whole machine, has no file descriptor left for a file or a connection."""


class Stale(CometFSError):
    """An inode or a handle that the kernel still holds stands for nothing any more."""


class Superseded(Stale):
    """A file is open in a version that is not current any more: it must be looked up again before it is opened."""


class Gone(Stale):
    """What an inode stood for was renamed, moved, archived or deleted at Comet."""


class Busy(CometFSError):
    """Too many requests wait for the server: one more would take the place of those that are answered at once."""


class Interrupted(CometFSError):
    """The process that made the request has a fatal signal pending."""


class SetupError(CometFSError):
    """A command cannot start: the sentence says what is missing and what to do."""


_NO_DESCRIPTOR = frozenset({23, 24})
"""ENFILE and EMFILE, on every Linux: the module of that name is for what speaks to the kernel."""


def lacks_descriptor(error: BaseException) -> bool:
    """Whether that is what the system refuses a file or a connection for."""
    return isinstance(error, OSError) and error.errno in _NO_DESCRIPTOR


def no_place(error: OSError, what: str) -> CometFSError:
    """Why something could not be written to the disk: there is no room, or nothing to write with."""
    if lacks_descriptor(error):
        return OutOfFiles(f"no file can be opened for {what}: cometfs has too many open (ulimit -n)")
    return OutOfSpace(f"no room for {what}: {error.strerror or error}")


NO_OTHER_WAY = (KeyRejected, Throttled)
"""Where one endpoint answers so, another that has the same would, too: it is not worth a call."""

NO_ANSWER = (Unreachable, Throttled, Unintelligible)
"""Where nothing was learned of what was asked: what was answered before may still be so. Not so of a refusal, or of "no
such thing"."""
