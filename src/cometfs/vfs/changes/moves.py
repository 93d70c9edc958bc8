"""Experiments that are renamed and moved, as directories are.

The name of a directory stands for the experiment's own name as listings show it; a name that they would show otherwise
is refused. Not here: how a change is made (settling.py), and how names become those of directories (schema/names.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import cast

from cometfs.errors import NO_ANSWER, Exists, Refused
from cometfs.vfs.changes.settling import Settling
from cometfs.vfs.edits import Archived, InProject, Name, ProjectName
from cometfs.vfs.engine.vfs import Vfs
from cometfs.vfs.nodes import Listing, Node, build
from cometfs.vfs.schema import names
from cometfs.vfs.schema.changes import Change
from cometfs.vfs.schema.declaration import Dir, ForEach, Row, for_eaches_of
from cometfs.vfs.sources.experiment import key as key_of


def experiments_of(directory: Node) -> ForEach | None:
    """What stands for the experiments in a directory; None where there are none that can be moved."""
    eaches = for_eaches_of(directory.entry) if isinstance(directory.entry, Dir) and not directory.within else []
    return next((each for each in eaches if each.movable is not None), None)


class Moves:
    """Renames, moves, archives and restores."""

    def __init__(self, vfs: Vfs, settling: Settling) -> None:
        self._vfs = vfs
        self._settling = settling

    async def experiment(self, directory: Node, name: str) -> Node | None:
        """The experiment of that name; None where the name stands for something else. Raises NoSuchEntry."""
        node, _ = await self._vfs.listings.child(directory, name)
        return node if _is_experiment(node) else None

    async def move(self, experiment: Node, directory: Node, other: Node, new_name: str) -> Node:
        """Moves an experiment of `directory` to `other`, where it is called `new_name`, all or nothing.

        Raises Exists, Refused for a name under which it would not be found, and what Comet's answers raise.
        """
        each = experiments_of(other)
        if each is None or each.movable is None:
            raise Refused(f"an experiment stands in a project or in its archive, and not in {other.name or '/'}")
        listing, _ = await self._vfs.listings.children(other)
        if new_name in listing.nodes or new_name in listing.unlisted:
            raise Exists(f"there is a {new_name!r} in {other.name} already")
        row = cast(Row, experiment.at.experiment)
        name = row["experimentName"] if new_name == experiment.name else _name_of(new_name)
        if new_name != experiment.name:
            _check_shown(other, each, listing, {**row, "experimentName": name}, new_name)
        changes = _changes(experiment, other, name, archived=each.movable.archived)
        await self._make(changes, experiment, [directory, other])
        return await self._found(experiment, other, new_name, name)

    async def archive(self, experiment: Node, directory: Node) -> None:
        """Puts an experiment into the archive of its project."""
        await self._make([Archived(key_of(experiment.at), archived=True)], experiment, [directory])

    async def _make(self, changes: Sequence[Change], experiment: Node, directories: Sequence[Node]) -> None:
        try:
            await self._settling.make(changes)
        except NO_ANSWER:
            raise  # while Comet cannot be asked, what is cached is all there is
        except BaseException:
            await self._vfs.refresh.relisted(experiment, directories)
            raise
        await self._vfs.refresh.relisted(experiment, directories)

    async def _found(self, experiment: Node, other: Node, new_name: str, name: str | None) -> Node:
        """The experiment in the listing of now; what it must be where that is late."""
        listing, _ = await self._vfs.listings.children(other)
        found = [node for node in listing.nodes.values() if node.identity == experiment.identity]
        row = {**cast(Row, experiment.at.experiment), "experimentName": name}
        at = replace(experiment.at, project=other.at.project, workspace=other.at.workspace, experiment=row)
        return found[0] if found else Node(new_name, experiment.entry, at)


def _changes(experiment: Node, other: Node, name: str | None, *, archived: bool) -> Sequence[Change]:
    at, row = experiment.at, cast(Row, experiment.at.experiment)
    key, before, project = key_of(at), _project_of(experiment), _project_of(other)
    found: list[Change] = []
    if name is not None and name != row["experimentName"]:
        found.append(Name(key, name, row["experimentName"]))
    if project != before:
        found.append(InProject(key, project, before))
    if bool(row["archived"]) is not archived:
        found.append(Archived(key, archived))
    return found


def _project_of(node: Node) -> ProjectName:
    return ProjectName(node.at.workspace, str((node.at.project or {})["projectName"]))


def _name_of(new_name: str) -> str:
    try:
        name = names.unescape(new_name)
        name.encode()
    except UnicodeError:
        raise Refused(f"{new_name!r} is no UTF-8, which a name is") from None
    return name


def _check_shown(other: Node, each: ForEach, listing: Listing, row: Mapping[str, object], new_name: str) -> None:
    """Raises Refused where the experiment would be listed under another name."""
    rows = [node.at.experiment for node in listing.nodes.values() if _is_experiment(node)]
    rows = [one for one in rows if one and one["experimentKey"] != row["experimentKey"]]
    path, node = build(other, each, [*rows, row])[-1]
    if node.name != new_name or len(path) != 1:
        raise Refused(f"{new_name!r} cannot be its name here: it would be shown as {node.name!r}")


def _is_experiment(node: Node) -> bool:
    """Whether it is the directory of an experiment, and nothing in it."""
    return isinstance(node.entry, Dir) and not node.entry.name and not node.within and node.at.experiment is not None
