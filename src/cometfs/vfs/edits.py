"""What can be changed of an experiment: its name, where it is, its tags, its others. Each change as a value that knows
how Comet is asked for it, how to see whether Comet has it, and how it is taken back.

Pure functions of bytes find the changes of an edited file. Not here: in which order changes are made, and what happens
when one fails (vfs/changes/settling.py).
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple, cast

from cometfs.comet.api import API
from cometfs.errors import BadEdit, BadText, CometFSError, Refused
from cometfs.vfs.schema.changes import Change, Edit

# -- Names and places --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Name:
    """An experiment is called `name` instead of `before`."""

    key: str
    name: str
    before: str | None

    @property
    def what(self) -> str:
        return f"the name {self.name!r} of experiment {self.key}"

    async def send(self, api: API) -> None:
        await api.set_experiment_name(self.key, self.name)

    async def came(self, api: API) -> bool:
        return (await api.experiment_metadata(self.key))["experimentName"] == self.name

    def back(self) -> Name | None:
        return None if self.before is None else Name(self.key, self.before, self.name)


@dataclass(frozen=True)
class Archived:
    """An experiment is put into the archive of its project, or taken out of it."""

    key: str
    archived: bool

    @property
    def what(self) -> str:
        return f"the move of experiment {self.key} {'into' if self.archived else 'out of'} the archive"

    async def send(self, api: API) -> None:
        await (api.archive_experiment if self.archived else api.restore_experiment)(self.key)

    async def came(self, api: API) -> bool:
        return bool((await api.experiment_metadata(self.key))["archived"]) is self.archived

    def back(self) -> Archived:
        return Archived(self.key, not self.archived)


class ProjectName(NamedTuple):
    """A project, by its names."""

    workspace: str
    name: str


@dataclass(frozen=True)
class InProject:
    """An experiment is in `project` instead of `before`."""

    key: str
    project: ProjectName
    before: ProjectName

    @property
    def what(self) -> str:
        return f"the move of experiment {self.key} to {'/'.join(self.project)}"

    async def send(self, api: API) -> None:
        await api.move_experiment(self.key, *self.project)

    async def came(self, api: API) -> bool:
        row = await api.experiment_metadata(self.key)
        return ProjectName(row["workspaceName"] or "", row["projectName"] or "") == self.project

    def back(self) -> InProject:
        return InProject(self.key, self.before, self.project)


# -- Tags --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tags:
    """An experiment has some tags more or less (`there`). All others are left as they are."""

    key: str
    tags: tuple[str, ...]
    there: bool

    @property
    def what(self) -> str:
        named = ", ".join(map(repr, self.tags[:3]))
        return f"{'adding' if self.there else 'removing'} {'tag' if len(self.tags) == 1 else 'tags'} {named}"

    async def send(self, api: API) -> None:
        await (api.add_experiment_tags if self.there else api.delete_experiment_tags)(self.key, self.tags)

    async def came(self, api: API) -> bool:
        shown = {line for tag in await api.experiment_tags(self.key) for line in tag.split("\n")}
        return all((tag in shown) is self.there for tag in self.tags)

    def back(self) -> Tags:
        return Tags(self.key, self.tags, not self.there)


def tag_changes(key: str, before: bytes, after: bytes) -> Sequence[Change]:
    """A line is a tag; empty lines, the order, and lines that come twice mean nothing."""
    old, new = _lines(before), _lines(after)
    added, removed = tuple(tag for tag in new if tag not in old), tuple(tag for tag in old if tag not in new)
    return [*([Tags(key, added, there=True)] if added else []), *([Tags(key, removed, there=False)] if removed else [])]


def _lines(content: bytes) -> dict[str, None]:
    lines = (line.removesuffix("\r") for line in _text(content, "tags").split("\n"))
    return dict.fromkeys(line for line in lines if line.strip())


# -- Others ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Other:
    """An experiment has another value of one of its others; None where it had none `before`."""

    key: str
    name: str
    value: str
    before: str | None

    @property
    def what(self) -> str:
        return f"the value of {self.name!r}"

    async def send(self, api: API) -> None:
        await api.log_experiment_other(self.key, self.name, self.value)

    async def came(self, api: API) -> bool:
        return any(
            row["name"] == self.name and row["valueCurrent"] == self.value
            for row in await api.experiment_other(self.key)
        )

    def back(self) -> Other | None:
        return None if self.before is None else Other(self.key, self.name, self.before, self.value)


def other_changes(key: str, before: bytes, after: bytes) -> Sequence[Change]:
    """Values that are new or another. What Comet cannot take back comes last."""
    old, new = _object(before), _object(after)
    gone = sorted(old.keys() - new.keys())
    if gone:
        raise Refused(f"Comet has no way to take an other away ({', '.join(map(repr, gone[:3]))}): nothing is changed")
    changes = [
        Other(key, name, _value(name, value), cast("str | None", old.get(name)))
        for name, value in new.items()
        if name not in old or not _same(old[name], value)
    ]
    return sorted(changes, key=lambda change: change.before is None)


def _same(one: Any, other: Any) -> bool:
    """Whether two values are: tools spell the numbers anew that they leave as they are, 1.50 as 1.5."""
    if one == other or not (isinstance(one, str) and isinstance(other, str)):
        return bool(one == other)
    try:
        return Decimal(one) == Decimal(other)
    except InvalidOperation:
        return False


def _object(content: bytes) -> Mapping[str, Any]:
    """By name, Comet's text of each value, which a number is as it is spelled; what is no text, as it is."""
    try:
        # Not as numbers: 0.10 and 1e5 are to stay what they are.
        found = json.loads(_text(content, "others") or "{}", parse_int=str, parse_float=str, parse_constant=str)
    except (ValueError, RecursionError) as error:
        raise BadEdit(f"it is no JSON any more, so that nothing of it is taken: {error}") from error
    if not isinstance(found, dict):
        raise BadEdit("it is no JSON object any more, so that nothing of it is taken")
    return {name: str(value).lower() if isinstance(value, bool) else value for name, value in found.items()}


def _value(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise BadEdit(f"an other is a text, a number, true or false, and {name!r} is none of them: nothing is changed")
    return value


def _text(content: bytes, what: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise BadText(f"{what} are texts, and this is no UTF-8 at byte {error.start}") from error


# -- What is never taken ----------------------------------------------------------------------------------------------


def undecodable(content: bytes) -> int | None:
    """The byte at which it is no UTF-8, whatever follows: a letter that is cut at its end may be yet to come."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(content)
    except UnicodeDecodeError as error:
        return error.start
    return None


def hopeless_tags(key: str, before: bytes, after: bytes) -> CometFSError | None:
    """Any lines will do."""
    return None if undecodable(after) is None else _raised(tag_changes, key, before, after)


def hopeless_others(key: str, before: bytes, after: bytes) -> CometFSError | None:
    """One that is complete is not completed by what follows; one that breaks off in mid-line may be."""
    if undecodable(after) is None and not _ends(codecs.getincrementaldecoder("utf-8")().decode(after)):
        return None
    return _raised(other_changes, key, before, after)


def _ends(text: str) -> bool:
    """Whether nothing that follows can make another JSON object of it: it is one, or breaks off before the end of a
    line, beyond which no word and no string goes on."""
    shown = text.strip()
    try:
        json.JSONDecoder().raw_decode(shown)
    except RecursionError:
        return True
    except json.JSONDecodeError as error:
        return text.endswith("\n") and error.pos < len(shown)
    return True


def _raised(changes: Callable[[str, bytes, bytes], object], *values: Any) -> CometFSError | None:
    try:
        changes(*values)
    except (BadEdit, BadText, Refused) as error:
        return error
    return None


TAGS = Edit(tag_changes, hopeless_tags)
OTHERS = Edit(other_changes, hopeless_others, renames=True)
"""The other called `Name` is the experiment's name."""
