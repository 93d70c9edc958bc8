"""What no module may do, because of where it would go wrong: so that the kind is impossible, not only what was seen."""

from __future__ import annotations

import ast
import functools
import re
import tokenize
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import cometfs
from cometfs.vfs.layout import STATUS, tree
from cometfs.vfs.schema.declaration import Dir, ForEach

SOURCE = Path(cometfs.__file__).parent

LOCALE_PATHS = {
    "folders.py",
    "fuse/mountinfo.py",
    "fuse/occupants.py",
    "walking/mount_tree.py",
    "fuse/unmounting.py",
    "server/catalog/disk_names.py",
}
"""Where paths of this machine are turned into bytes and back, which are the locale's; names of the tree are UTF-8."""

SPEAKERS = {"process/console.py", "help.py", "telemetry/logs.py", "demo/tour.py"}
"""Where something is printed, or logging is set up: what is foreign is made printable there."""


@functools.cache
def calls() -> list[tuple[str, int, ast.Call, str]]:
    """Every call in the source: its module, line, and the last part of the name that is called."""
    return [
        (path.relative_to(SOURCE).as_posix(), node.lineno, node, called(node))
        for path in sorted(SOURCE.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call)
    ]


def called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def turns_paths(_node: ast.Call, name: str) -> bool:
    return name in ("fsencode", "fsdecode")


def opens_text(node: ast.Call) -> bool:
    """Whether it is `open(FILE)` or has a mode of text: the second argument of a function's, the first of a path's."""
    is_function = isinstance(node.func, ast.Name)
    modes = [arg.value for arg in node.args[is_function : is_function + 1] if isinstance(arg, ast.Constant)]
    modes += [word.value.value for word in node.keywords if word.arg == "mode" and isinstance(word.value, ast.Constant)]
    return any(mode in ("r", "w", "a", "x", "r+", "w+", "a+") for mode in modes) or (is_function and not modes)


def reads_as_the_locale_says(node: ast.Call, name: str) -> bool:
    """Of `open` without an encoding Python warns, and the processes of test_locales.py take that for an error."""
    words = {word.arg for word in node.keywords}
    if name in ("read_text", "write_text"):
        return len(node.args) < (1 if name == "read_text" else 2) and "encoding" not in words
    if name in ("open", "fdopen"):
        return opens_text(node) and "encoding" not in words
    return bool(words & {"text", "universal_newlines"}) and "encoding" not in words


def speaks(node: ast.Call, name: str) -> bool:
    if name in ("print", "echo", "secho", "basicConfig", "StreamHandler", "Formatter", "excepthook"):
        return True
    owner = node.func.value if isinstance(node.func, ast.Attribute) else None
    return name == "write" and isinstance(owner, ast.Attribute) and owner.attr in ("stderr", "stdout")


def opens_anything(node: ast.Call, name: str, module: str) -> bool:
    """In the server, whose directory holds what others put there: a FIFO would keep it waiting for its other end."""
    if not module.startswith("server/"):
        return False
    owner = getattr(node.func, "value", None)
    is_ours = (
        ast.unparse(owner).endswith(("archive", "zipfile.ZipFile(self._file)", "self")) if owner is not None else False
    )
    return name in ("read_bytes", "read_text", "FileIO") or (name == "open" and not is_ours)


SERVER_OPENS = {"server/http/middleware.py", "server/storage/atomic.py", "server/storage/lock.py"}
"""The access log, a directory that is synced, and the lock. What members of archives are opened by is no name of a
file."""


def test_the_server_opens_regular_files_alone() -> None:
    """By `files.open_regular` and `files.read_regular`; an archive does."""
    found = {module for module, _, node, name in calls() if opens_anything(node, name, module)}
    assert found == SERVER_OPENS


RULES: dict[str, tuple[Callable[[ast.Call, str], bool], set[str]]] = {
    "turns paths into bytes by the locale": (turns_paths, LOCALE_PATHS),
    "reads text by the locale": (reads_as_the_locale_says, set()),
    "writes to a terminal or sets up a log": (speaks, SPEAKERS),
}


@pytest.mark.parametrize(("is_breach", "allowed"), RULES.values(), ids=RULES)
def test_no_other_module(is_breach: Callable[[ast.Call, str], bool], allowed: set[str]) -> None:
    """And those that may, do: a name that is left over would allow what nobody looks at any more."""
    found = [(module, line) for module, line, node, name in calls() if is_breach(node, name)]
    assert [one for one in found if one[0] not in allowed] == []
    assert allowed == {module for module, _ in found}


def declared(entry: Dir) -> Iterator[str]:
    """The fixed names in a directory and below it."""
    for child in entry.entries:
        for one in child.shown if isinstance(child, ForEach) else (child,):
            yield one.name
            if isinstance(one, Dir):
                yield from declared(one)


def test_no_face_knows_a_name_of_the_tree() -> None:
    """The layout alone does: a face that named a file would go wrong where the tree changes."""
    known = {name for name in declared(tree()) if "." in name}
    assert STATUS.name in known
    found = [
        (path.name, node.value)
        for folder in ("fuse", "mountstate", "cli")
        for path in sorted((SOURCE / folder).glob("*.py"))
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Constant) and node.value in known
    ]
    assert found == []


PERSONS = re.compile(
    r"\b(who(ever|m)?|h(e|im|is)|(some|any|every|no)body|told|said|keeper|library of|lying|sieve|shelf)\b",
    re.IGNORECASE,
)


def prose(path: Path) -> Iterator[tuple[int, str]]:
    """Comments, docstrings and names of variables, by line; no messages, which are tested where they are printed."""
    with tokenize.open(path) as file:
        for token in tokenize.generate_tokens(file.readline):
            is_text = token.type == tokenize.STRING and token.string.startswith('"""')
            if is_text or token.type in (tokenize.COMMENT, tokenize.NAME):
                yield token.start[0], token.string


def test_programs_are_no_persons() -> None:
    """A program, a task or a reader is an "it", and what it gets has a name of its own."""
    found = [
        (path.relative_to(SOURCE).as_posix(), line, word[1])
        for path in sorted(SOURCE.rglob("*.py"))
        for line, text in prose(path)
        if (word := PERSONS.search(text))
    ]
    assert found == []
