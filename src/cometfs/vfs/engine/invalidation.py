"""What is asked again now: which answers stand at a node and below it, and what they were made of, and what of them.

Nothing is asked here. Not here: which keys that are (scope.py), dropping (cache/), and what the kernel remembers
(mountstate/).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from cometfs.cache.memory import Recent
from cometfs.errors import Unreachable
from cometfs.vfs.answers.resolver import AnswerResolver
from cometfs.vfs.engine.empty_entries import EmptyEntries
from cometfs.vfs.engine.scope import Question, Scope, questions_of
from cometfs.vfs.engine.sizes import Sizes
from cometfs.vfs.keys import Key, Place
from cometfs.vfs.nodes import Node
from cometfs.vfs.schema.declaration import Context, Dir, File, ForEach, Link, Row, Source, Stream, for_eaches_of
from cometfs.vfs.sources.experiment import ARCHIVED, EXPERIMENTS, METADATA, OTHERS, PROJECT, PROJECTS
from cometfs.vfs.sources.metrics import LOGGED_BY
from cometfs.vfs.sources.parameters import COLUMNS

_NO_ROW: Row = {}

LEFT = 50_000
"""Rows of dropped listings of which it is remembered where they stood: some 15 MB. Of a listing that is longer than
that nothing is: what lies below it then goes with its lease."""


class AnswerInvalidation:
    """Drops what is known at a node and below it."""

    def __init__(self, answers: AnswerResolver, sizes: Sizes, omitted: EmptyEntries, tree: Dir) -> None:
        self._answers = answers
        self._store = answers.store
        self._sizes = sizes
        self._omitted = omitted
        self._made_of: dict[Question, set[Question]] = {}
        """By question, those that are made of its answers."""
        for question in _closure(questions_of(tree), _of):
            for part in _of(question):
                self._made_of.setdefault(part, set()).add(question)
        self._left: Recent[tuple[Key, ForEach], list[_Bound]] = Recent(LEFT, lambda rows: 1 + len(rows))
        """What stood in listings that were dropped alone: dropping what lies below them later takes knowing it."""

    async def __call__(self, node: Node, above: Sequence[Node]) -> Scope:
        """Drops it, so that its next reader asks Comet; makes no call itself. Where that has no answer, the reader is
        shown what was answered before: all but bodies stays until something newer has come.

        `above`: the directories that the node lies in, nearest first. What is open stays as it is; what is returned
        tells of which files that is old now. Raises Unreachable while Comet is away: nothing would take its place.
        """
        if self._store.connectivity.away:
            await self._store.connectivity.look()  # it may be the first that a user does when Comet is back
        if self._store.connectivity.away:
            raise Unreachable("what is cached stays, because Comet cannot be asked for anything newer")
        scope = self.scope(node, above)
        if METADATA.name in scope.names and node.at.experiment is not None:
            self._answers.doubts.add(node.at)
        self._remember(scope, [node, *above])
        return await self._drop(scope, node.at, expire=True)

    async def relisted(self, experiment: Node, directories: Sequence[Node]) -> None:
        """Drops what tells where an experiment is and how it is called: the listings of the projects of
        `directories`, in which it was and is, what workspaces tell of them, and what is made of all that."""
        places = {experiment.at.key[:1], *((directory.at.workspace,) for directory in directories)}
        owners = frozenset(places | {directory.at.key[:1] for directory in directories})
        asking = self._asking({EXPERIMENTS, ARCHIVED, METADATA, OTHERS, PROJECT, PROJECTS}, owners, None, None)
        self._remember(asking, directories)
        await self._drop(asking, experiment.at)

    async def _drop(self, scope: Scope, at: Context, *, expire: bool = False) -> Scope:
        scope = replace(scope, spared=self._sizes.doubt(at, scope.firsts, scope.means))
        self._answers.bodies.drop_all(scope)
        if self._answers.parted is not None:
            self._answers.parted.drop_all(scope)
        await self._answers.drop_all(scope, scope.firsts, expire=expire)
        self._omitted.drop_all(scope)
        return scope

    async def relist(self, stream: Stream, at: Context) -> None:
        """Drops the listing of a body that came with another size; makes no call itself."""
        place = stream.listed_at(at)
        scope = self._asking(set(stream.listed_by), frozenset({place[:1]}), place, None)
        await self._answers.drop_all(scope, scope.firsts)
        self._omitted.drop_all(scope)

    def scope(self, node: Node, above: Sequence[Node]) -> Scope:
        """What is meant by a node."""
        if not node.at.key and isinstance(node.entry, Dir) and not node.entry.name:
            return Scope(whole=frozenset([()]))  # all places begin so
        if isinstance(node.entry, Dir):
            return self._of_directory(node, node.entry, above)
        asked_at = node
        if node.entry.source is not None:
            questions: list[Question] = [node.entry.source]
        else:
            # It is bound to a row: the listing with that row is asked again.
            found = _listing_of(node, above)
            if found is None:
                return Scope()
            asked_at, questions = found, _listed_by(found)
        down = self._down(questions, bodies=len(asked_at.at.key) > 1)
        shared = any(isinstance(question, Source) for question in down.difference(questions))
        return self._asking(
            down,
            _owners(asked_at.at) | self._asked_together(down, [asked_at, *above]),
            None if shared else asked_at.at.key,
            None if asked_at is node else node.at.key[:1],
        )

    def _of_directory(self, node: Node, entry: Dir, above: Sequence[Node]) -> Scope:
        questions = list(questions_of(entry))
        owners = _owners(node.at)
        listed_in = _listing_of(node, above) if node.at.project and not node.at.experiment else None
        if not entry.name and listed_in is not None and listed_in.at.key != node.at.key[:1]:
            # What the listing of a workspace says of a project is shown in it; an experiment's metadata asks itself.
            questions += _listed_by(listed_in)
            owners |= {listed_in.at.key[:1]}
        below, down = frozenset(self._below(node.at, entry)), self._down(questions)
        owners |= self._asked_together(down, [node, *above])
        whole = below if entry.name else below | {node.at.key}
        return replace(self._asking(down, owners, None, None), whole=whole)

    def _asking(
        self, down: set[Question], owners: frozenset[Place], place: Place | None, rebuilt: Place | None
    ) -> Scope:
        every = _closure(down, lambda question: self._made_of.get(question, ()))
        if any(isinstance(question, Source) and question.batch for question in every):
            # Batches take the names that they ask for from there.
            every |= {COLUMNS, LOGGED_BY}
        return Scope(frozenset(), frozenset(question.name for question in every), owners, place, rebuilt)

    def _down(self, questions: Iterable[Question], *, bodies: bool = True) -> set[Question]:
        """The questions and all that they are made of; without `bodies`, no download but those that they are."""
        asked = set(questions)
        return {one for one in _closure(asked, _of) if bodies or one in asked or isinstance(one, Source)}

    def _asked_together(self, down: Iterable[Question], chain: Sequence[Node]) -> frozenset[Place]:
        """The experiments of a project whose table is asked for again."""
        node = chain[0]
        if node.at.experiment is not None or not any(map(_is_of_each, down)):
            return frozenset()
        whole = next((one for one in chain if isinstance(one.entry, Dir) and not one.entry.name), node)
        return frozenset(self._below(whole.at, whole.entry)) if isinstance(whole.entry, Dir) else frozenset()

    def _below(self, at: Context, entry: Dir) -> Iterator[Place]:
        """The places of others (experiments of a project, files that experiments have logged) in a directory, by what
        its listings last had, in memory or on disk, even if it holds no more."""
        for child in entry.entries if at.experiment is None else ():  # nothing in an experiment belongs to another
            if isinstance(child, Dir):
                yield from self._below(at, child)
            elif isinstance(child, ForEach):
                for one in self._last_rows(at, child):
                    yield from self._below_row(at, one)

    def _below_row(self, at: Context, one: _Bound) -> Iterator[Place]:
        if one.place.key[:1] != at.key[:1]:
            yield one.place.key
        if isinstance(one.entry, Dir):
            yield from self._below(one.place, one.entry)

    def _last_rows(self, at: Context, each: ForEach) -> Iterable[_Bound]:
        if each.source is None:
            return _bound(at, each, at)
        where = each.source.key(at)
        answer = self._store.last(where)
        return self._left.get((where, each), ()) if answer is None else _bound(at, each, answer)

    def _remember(self, scope: Scope, chain: Sequence[Node]) -> None:
        for node in chain:
            for each in for_eaches_of(node.entry) if isinstance(node.entry, Dir) else ():
                where = None if each.source is None else each.source.key(node.at)
                if where is None or not scope(where):
                    continue
                last = self._store.last(where)
                if scope.has(node.at.key):
                    self._left.pop((where, each), None)
                elif last is not None:
                    rows = [one.without_rows() for one in _bound(node.at, each, last)]
                    self._left.pop((where, each), None)
                    if len(rows) < LEFT:
                        self._left[where, each] = rows


class _Bound(NamedTuple):
    """What stands for a row of a listing."""

    entry: File | Dir
    place: Context

    def without_rows(self) -> _Bound:
        """The same as far as it tells what lies below: of an experiment, no row is kept in memory."""
        if self.place.experiment is None:
            return self
        return self._replace(place=replace(self.place, project=None, experiment=_NO_ROW, item=None))


def _bound(at: Context, each: ForEach, answer: Any) -> Iterator[_Bound]:
    for row in each.rows(answer):
        entry = each.child(row)
        if not isinstance(entry, Link):
            yield _Bound(entry, each.bind(at, row))


def _is_of_each(question: Question) -> bool:
    return isinstance(question, Source) and (question.batch is not None or question.of_each)


def _of(question: Question) -> Iterable[Question]:
    return question.of if isinstance(question, Source) else ()


def _closure(questions: Iterable[Question], then: Callable[[Question], Iterable[Question]]) -> set[Question]:
    found: set[Question] = set()
    left = list(questions)
    while left:
        question = left.pop()
        if question not in found:
            found.add(question)
            left += then(question)
    return found


def _listed_by(directory: Node) -> list[Question]:
    assert isinstance(directory.entry, Dir)
    return [each.source for each in for_eaches_of(directory.entry) if each.source is not None]


def _listing_of(node: Node, above: Sequence[Node]) -> Node | None:
    """The directory whose listing has the row that a node is bound to."""
    return next((one for one in above if one.at.key != node.at.key), None)


def _owners(at: Context) -> frozenset[Place]:
    """The owners of answers that may have to do with a place: its own, and its project."""
    project = {(at.project["projectId"],)} if at.project else set()
    return frozenset({at.key[:1], *project})
