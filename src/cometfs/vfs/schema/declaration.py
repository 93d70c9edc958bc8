"""The words in which the tree is declared: questions (Source, Stream) and what is seen of them (File, Dir, Link,
ForEach).

Not here: the tree itself (layout/) and the engine that walks it (engine/).
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from cometfs.cache.downloads.fetch import AskPart
from cometfs.comet.api import API, AssetStream
from cometfs.errors import CometFSError
from cometfs.lease import RUNNING, SEALED, Lease
from cometfs.vfs.keys import Key, Place
from cometfs.vfs.schema.changes import Edit, Movable
from cometfs.vfs.schema.names import Path
from cometfs.vfs.schema.probe_names import is_junk, is_searched

Row = Mapping[str, Any]
"""One object of a Comet answer, in the normal form of comet/answers/models.py."""


@dataclass(slots=True)
class Context:
    """What is known at a place of the tree: bound on the way down, never asked for again.

    Never changed, but not frozen: that would make it three times as slow to make, and a listing has thousands.
    """

    web: str
    """Root of Comet's web pages, without a final slash."""
    modified_ms: float
    """When this place last changed, in milliseconds since 1970."""
    key: Place = ()
    """What tells this place from others of its kind: a workspace's name, a project's id, an experiment's key ..."""
    workspace: str = ""
    project: Row | None = None
    experiment: Row | None = None
    item: Any = None
    """The row that stands for this place in the listing of a directory inside an experiment."""
    version: str = ""
    """Of what has ended: changes with its row in the listing, and what was answered about it before holds no more."""
    live: Lease = RUNNING
    """How long answers about an experiment hold that may be running."""


Failed = dict[Place, CometFSError]
"""Why what was asked at some places could not be had."""


class Resolver(Protocol):
    """What a question is asked with: Comet itself, and the answers to other questions, which may be at hand."""

    @property
    def api(self) -> API: ...

    async def answer(self, source: Source, at: Context) -> Any:
        """What `source` answers at a place, asked for only if it must be."""

    async def answers(
        self,
        source: Source,
        places: Sequence[Context],
        failed: Failed | None = None,
        make: Callable[[Any], Any] = lambda answer: answer,
    ) -> dict[Place, Any]:
        """What `make` makes of what `source` answers at many places, by their keys: by its batch where that loses
        nothing, else one by one. `make` is called as answers come: all of them may be more than fits in memory.

        Places of which Comet knows nothing any more are left out. `failed` takes the errors of some places, where
        others are answered; what is made of it holds for a moment then. Without it the first error comes out.
        """

    async def in_turn(
        self,
        source: Source,
        places: Sequence[Context],
        ask: Callable[[Sequence[Context]], Awaitable[object]],
        came: Callable[[Sequence[Context]], object],
    ) -> None:
        """Calls `ask` about those places of which no other machine has the answer of `source`, or asks for it, and
        `came` with those whose answers others have brought: these are at hand. What is kept by `ask` others get."""

    def lacks(self, errors: Sequence[CometFSError]) -> None:
        """Something of what is made could not be had, for these reasons, if there are any: it holds for a moment."""

    async def status(self) -> Row:
        """What there is to say about the mount itself: its calls, its cache."""

    async def metrics(self) -> str:
        """What the mount counts and measures, for Prometheus."""

    def failures(self) -> list[str]:
        """The last failures of requests to the mount, a line for each."""

    def answer_nowait(self, source: Source, at: Context) -> Any:
        """What `source` has answered at a place, None where it was not asked or holds no more; makes no call."""

    def fill(self, source: Source, at: Context, answer: Any) -> None:
        """Keeps what `source` would answer at a place, which came with another answer."""

    def recall(self, source: Source, at: Context) -> Any:
        """The same, also from disk; what is made of it holds no longer than it does."""

    def keep(self, source: Source, at: Context, answer: Any) -> None:
        """Keeps what a call has brought of `source` at a place; what is made of it holds no longer than it does."""

    def wants_all(self, source: Source, at: Context) -> bool:
        """Records that one item of the experiment at a place is asked for; whether to ask for all, with `source`."""

    def agreement(self, subject: str, project: Context) -> bool | None:
        """Whether what batches tell of a `subject` in a project is what single calls tell; None: not compared yet."""

    def record_agreement(self, subject: str, project: Context, *, agrees: bool, lease: Lease = SEALED) -> None:
        """Lets `agreement` say so from now on."""

    def count(self, subject: str, at: Context) -> int:
        """What was counted of a `subject` at a place; 0 where nothing was."""

    def record_count(self, subject: str, at: Context, count: int, lease: Lease = SEALED) -> None:
        """Lets `count` say so from now on."""

    def doubts(self, at: Context) -> bool:
        """Whether the row that an experiment has in its listing may be out of date, because of a refresh."""

    def has(self, stream: Stream, at: Context) -> bool:
        """Whether a body is at hand, or on its way."""

    async def body(self, stream: Stream, at: Context, most: int | None = None) -> bytes:
        """A body, or its first `most` bytes; it is kept for its next reader."""


class Known(Protocol):
    """What is at hand, for those that reckon what a question costs. Makes no call."""

    def known(self, source: Source, at: Context) -> Any:
        """What `source` has answered at a place; None where that is not at hand."""

    def comes(self, source: Source, at: Context) -> bool:
        """Whether that is at hand, or comes with the answers of many experiments that are reckoned already."""


class Weighs(NamedTuple):
    """So many times as much as an answer of an endpoint."""

    times: float
    endpoint: str
    grows: bool = False
    """Whether those answers grow with the points of an experiment's metrics ..."""
    amount: float | None = None
    """... and how many these are, where that is known."""


class Needs(NamedTuple):
    """What an answer costs that is not at hand."""

    calls: float = 0.0
    """Of its own ..."""
    of: Sequence[tuple[Source | Stream, Context]] = ()
    """... and the other answers that it needs."""
    weighs: Sequence[Weighs] = ()
    """How much its calls bring, all together; empty: as much as other calls to its endpoint."""
    perhaps: Weighs | None = None
    """A call that may come with it, by which it is verified."""


class Found(NamedTuple):
    """What a source would answer at a place, as it came in a batch."""

    source: Source
    at: Context
    answer: Any


SAMPLE = 2
"""Experiments asked by themselves that the first batch of a project is verified against."""


@dataclass(frozen=True, eq=False)
class Batch:
    """How several experiments of a project, ended and not archived, are asked about in one call.

    What it says must be what each single call says, to the byte: an experiment of which the batch could lose
    something is left out, and asked by itself.
    """

    name: str
    ask: Callable[[Resolver, Sequence[Context]], Awaitable[list[Found]]]
    first: int
    """Experiments in the first call about a project, when it is not known how much it brings."""
    most: int = 256
    """Experiments in one call at most: Comet documents no limit, its own clients ask for few."""
    brings: Callable[[Known, Context], bool] = lambda _known, _project: True
    """Whether a project has what it asks for, as far as that is known."""
    calls: int = 1
    """Calls that it makes each time, beside what is asked of a project once."""
    checks: int = 0
    """Calls of single questions by which the first one about a project is verified."""
    weighs: Callable[[Known, Context], Weighs] | None = None
    """How much it brings of one experiment."""
    into: Source | None = None
    """What has all that it says of an experiment, where that is one value; None: what is asked for."""
    loses: Callable[[Known, Context], float] = lambda _known, _at: 0
    """Whether an experiment is asked by itself all the same, as far as that is known: 1, or something between."""
    divides: bool = True
    """Whether a call about fewer experiments asks for less, and so may be answered where one about more was not."""


_DECLARED: set[str] = set()
"""The names of all questions: under which their answers are kept, on disk too, where other mounts find them."""


def _declare(name: str) -> None:
    """Refuses a second question of that name. So none is made for one mount, of its settings: it would be the second
    as soon as a process, such as the one that runs the tests, makes another tree."""
    if name in _DECLARED:
        raise ValueError(f"two questions are called {name!r}: each would be given the other's answers")
    _DECLARED.add(name)


class Within(NamedTuple):
    """Another answer that tells this one, too, so that both need no room."""

    source: Source
    at: Callable[[Context], Context]
    """Where that is kept, of a place."""
    tell: Callable[[Resolver, Any, Context], Any]
    """This answer, of that one; None where it must be asked for."""


@dataclass(frozen=True, eq=False)
class Source:
    """One question to Comet. Its answer is kept under its name and the key of the place, never under a path.

    So its answer depends on nothing else: not on a mount's settings, and of the place on no more than its key tells.
    """

    name: str
    ask: Callable[[Resolver, Context], Awaitable[Any]]
    lease: Callable[[Context], Lease]
    batch: Batch | None = None
    after: Source | None = None
    """What must be known of an experiment before it is worth asking this ahead: it lists the items of which there is an
    answer, and may bring that."""
    brought_by: Source | None = None
    """Of what is asked about an item of an experiment: the question about the experiment whose batch brings it."""
    renewed: bool = False
    """Whether it is asked again shortly before it holds no more, as long as it is used."""
    kept: bool = True
    """Whether the answer is worth a place on disk: False for what is made of others' answers at once."""
    of: tuple[Source | Stream, ...] = ()
    """The questions whose answers it is made of; a test finds those that are left out."""
    grows: bool = False
    """Whether the answer, a text, is only added to while the experiment runs: one that lacks the end is late."""
    of_each: bool = False
    """Whether it is kept for each experiment, and the answers about a project are made of it."""
    needs: Callable[[Known, Context], Needs] | None = None
    """What it costs, where that is not a call, or, of what is made of others, what those cost at its experiment."""
    endpoint: str = ""
    """What it calls, where its name does not begin with that."""
    within: Within | None = None
    """What may tell it beside its own answer, which comes first."""
    apart: Callable[[Context, Any], list[Found]] | None = None
    """What others it tells, with which a batch that brings it is verified."""
    told_by: tuple[Source, Callable[[Any], Any]] | None = None
    """Another question whose answer tells the same, and how: what is only reckoned asks that, and leaves this one to a
    batch."""
    together: Source | None = None
    """What is asked at the place of its directory where the sizes of all files there are wanted, and has at hand then
    what this is made of."""

    def __post_init__(self) -> None:
        _declare(self.name)

    def key(self, at: Context) -> Key:
        """Where the answer for `at` is kept."""
        return Key.answer(self.name, at.version, at.key)

    @property
    def called(self) -> str:
        """The endpoint that it calls."""
        return self.endpoint or self.name.split(" ")[0].split("?")[0]


@dataclass(frozen=True, eq=False)
class Stream:
    """A question whose answer is too big for memory: a stream of bytes, which becomes a file as it is."""

    name: str
    begin: Callable[[API, Context], AbstractAsyncContextManager[AssetStream]]
    row: Callable[[Context], Row]
    """What the listing says of the body: its name, type and size."""
    listed_by: tuple[Source, ...] = ()
    """The listings that may have that row ..."""
    listed_at: Callable[[Context], Place] = lambda at: at.key[:1]
    """... and the place that they are about."""
    parts: Callable[[API, Context], AskPart] | None = None
    """How parts of the body are asked for; None where it only comes as a whole."""
    same_as: Stream | None = None
    """Another question for the very same bodies, whose name it bears: they are kept once for both."""

    def __post_init__(self) -> None:
        if self.same_as is None or self.same_as.name != self.name:
            _declare(self.name)

    def size(self, at: Context) -> int | None:
        """The size in bytes that the listing says. None for 0: that may be the truth or a listing that does not know,
        which the body shows; nor is a negative one known."""
        return max(0, self.row(at).get("fileSize") or 0) or None

    def key(self, at: Context) -> Key:
        """Where the body for `at` is kept: another size in the listing means another body."""
        return Key.answer(self.name, self.size(at), at.key)

    def shared_key(self, at: Context) -> Key:
        """Where the body is shared: one that was logged at another time is another body, too."""
        return Key.answer(self.name, f"{self.size(at)} of {self.row(at).get('createdAt')}", at.key)

    def block_key(self, at: Context, etag: str, number: int) -> Key:
        """Where a block of the body is kept that comes in parts."""
        return Key.answer(self.name, f"{self.size(at)} {etag} {number}", at.key)

    def version_key(self, at: Context) -> Key:
        """Where the version (ETag) is kept of a body that comes in parts."""
        return Key.answer(self.name, f"{self.size(at)} version", at.key)


class StoredValue(NamedTuple):
    """One file of a writable directory: its key, its bytes, and when it last changed if that is known."""

    key: str
    value: bytes
    modified_ms: float | None


class StoreSnapshot(NamedTuple):
    """What a writable directory holds, as of the moment (`trio.current_time`) at which that was asked for."""

    began: float
    values: dict[str, bytes]
    """By key."""
    times: dict[str, float]
    """When those changed of which that is known, in milliseconds since 1970."""


@dataclass(frozen=True, eq=False)
class Writer:
    """How the files of a directory are written, in a mount that may be written to; elsewhere it changes nothing.

    Such a directory stands at one place of the tree, all its files are written so, and the place of each is its
    directory's with the file's own key added.
    """

    source: Source
    """Answers with the directory's `StoreSnapshot`."""
    save: Callable[[API, str, bytes], Awaitable[None]]
    """Returns when Comet has the value of a key. Raises BadText for one that Comet cannot hold."""
    rename: Callable[[API, str, str], Awaitable[bytes]]
    """Moves what Comet has under a key now to another one; returns that. Raises NoSuchEntry where there is nothing."""
    remove: Callable[[API, str], Awaitable[None]]
    name_of: Callable[[str], str]
    """The file's name for a key."""
    key_of: Callable[[str], str]
    """The inverse; raises BadName for a name that no key has."""
    scratch: Callable[[str], bool]
    """Whether a key is only an editor's: kept as long as the mount lives, and never sent."""


def says_nothing(answer: Any) -> bool:
    """Whether an answer means that Comet has nothing: null, an empty text, an empty list."""
    return answer is None or answer == "" or answer == []


@dataclass(frozen=True, eq=False)
class File:
    """A file: a name, a question and a renderer."""

    name: str
    """For the files of a ForEach, which are named by their rows: what the table in the manual adds to the label."""
    source: Source | Stream | None
    """None: rendered from what is known at the place."""
    render: Callable[[Any], bytes] = bytes
    """From the answer (from the `Context` where there is no source) to the bytes."""
    about: str = ""
    """What the file holds, for the table in the manual."""
    nothing: Callable[[Any], bool] = says_nothing
    """Whether an answer at hand means that there is no such file."""
    grows: bool = False
    """Whether it is only added to while the experiment runs: a program that has it open sees what is added."""
    slow: bool = False
    """Whether rendering takes so long that it must not keep other requests waiting."""
    sdk: tuple[str, ...] = ()
    """The methods of the SDK whose answers it shows."""
    writer: Writer | None = None
    """How it is written; its item is a `StoredValue` then."""
    edit: Edit | None = None
    """What is changed at Comet when it is edited, in a mount that may be written to."""
    made_by: str = ""
    """What else than this code decides its bytes: of another one, what is remembered of them means nothing."""
    listed: bool = True
    """False for a file that is there when it is named and in no listing: it changes by being looked at, and so would
    differ from every copy."""


@dataclass(frozen=True, eq=False)
class Link:
    """A symlink, always relative, to something below the same ancestor."""

    name: str
    """For the links of a ForEach, which are named by their rows: what the table in the manual adds to the label."""
    up: Callable[[Context], int]
    """How many directories its own declared one lies below that ancestor."""
    target: Callable[[Any], str]
    """From the answer (from the `Context` where there is no source) to the way from the ancestor to what it points
    to."""
    about: str = ""
    source: Source | None = None
    """What must be asked to follow it, and is not for listing it."""


def _downloads(source: Source) -> bool:
    return any(isinstance(part, Stream) or _downloads(part) for part in source.of)


@dataclass(frozen=True, eq=False)
class ForEach:
    """One child per row of an answer, or of what is known at the place."""

    source: Source | None
    """None: its rows are made of the `Context`."""
    names: Callable[[Sequence[Any]], list[Path]]
    """A path for every row, in order: unique, and none a folder of another."""
    bind: Callable[[Context, Any], Context]
    """What is known at the child of a row."""
    child: Callable[[Any], File | Dir | Link]
    """What stands for a row."""
    label: str
    """How the children are called in the table in the manual."""
    shown: tuple[File | Dir | Link, ...] = ()
    """Every value of `child`, for that table."""
    rows: Callable[..., Sequence[Any]] = list
    """The rows of the answer (of the `Context` where there is no source) that have a child."""
    movable: Movable | None = None
    """Whether the children can be renamed and moved."""
    beside: Source | None = None
    """Another question about the same place, which costs no call: `rows` is given its answer, too, where that is at
    hand."""

    def __post_init__(self) -> None:
        """Refuses a source that downloads: to list a directory never fetches what is in it."""
        if self.source is not None and _downloads(self.source):
            raise ValueError(f"{self.label} would be listed by downloads, of {self.source.name!r}")


@dataclass(frozen=True, eq=False)
class Dir:
    """A directory: fixed entries and such as come from answers."""

    name: str
    """Empty for the directories of a ForEach."""
    entries: tuple[File | Dir | Link | ForEach, ...]
    lease: Callable[[Context], Lease]
    """How long a listing of it may be reused; the answers that it is made of may shorten that."""
    about: str = ""
    hides: bool = False
    """Whether it is left out of a listing where answers at hand say that nothing is in it."""
    writer: Writer | None = None
    """How files are made in it and taken out."""
    listed: bool = True
    """False for a directory that is there when it is named and in no listing: what copies or searches a tree would get
    all of it twice, and pay for it."""
    means_it: bool = False
    """Whether nothing in it bears a name that programs ask for of themselves (probe_names.py): such a look costs no
    call."""
    searched: bool = False
    """The same of the names that searches ask for, where users name what is in it."""

    def refuses(self, name: str) -> bool:
        """Whether nothing in it is ever called so."""
        return (self.means_it and is_junk(name)) or (self.searched and is_searched(name))


@functools.cache  # by identity: a declaration is not hashed by what is in it
def for_eaches_of(entry: Dir) -> list[ForEach]:
    """The entries of a directory that come from answers."""
    return [child for child in entry.entries if isinstance(child, ForEach)]


@functools.cache
def fixed_of(entry: Dir) -> list[File | Dir | Link]:
    """The others, which every such directory has."""
    return [child for child in entry.entries if not isinstance(child, ForEach)]
