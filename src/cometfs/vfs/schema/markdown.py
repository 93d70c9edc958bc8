"""The tree as a table in Markdown, from the declaration: what the manual shows, so that it cannot say anything else."""

from __future__ import annotations

from collections.abc import Iterator

from cometfs.vfs.schema.declaration import Dir, File, ForEach, Link, Stream

HEAD = ("| path | what | the answer it comes from | method of the SDK |", "|---|---|---|---|")


def markdown(root: Dir) -> str:
    """The table: a row per kind of directory that an answer makes, below it its files."""
    return "\n".join([*HEAD, *_rows(root, "", "")]) + "\n"


def words(root: Dir) -> dict[File, str]:
    """A word for every declared file: where it stands, the first of its places if there are several."""
    found: dict[File, str] = {}
    for path, entry in _files(root, ""):
        found.setdefault(entry, path)
    return found


def _files(entry: Dir, path: str) -> Iterator[tuple[str, File]]:
    for child in entry.entries:
        shown = child.shown if isinstance(child, ForEach) else (child,)
        for one in shown:
            name = (child.label if isinstance(child, ForEach) else "") + one.name
            if isinstance(one, Dir):
                yield from _files(one, f"{path}{name}/")
            elif isinstance(one, File):
                yield path + name + one.made_by, one


def _rows(entry: Dir, above: str, within: str) -> Iterator[str]:
    """`above`: the path of the last directory that had a row; `within`: the fixed directories since."""
    for child in entry.entries:
        if isinstance(child, ForEach):
            for shown in child.shown:
                yield from _of_each(child, shown, above, within)
        elif isinstance(child, Dir):
            yield from _rows(child, above, within + child.name + "/")
        else:
            yield _of_file(child, within + child.name, "")


def _of_each(each: ForEach, shown: File | Dir | Link, above: str, within: str) -> Iterator[str]:
    asked = f"`{each.source.name}`" if each.source else ""
    if isinstance(shown, Dir):
        path = f"{above}{within}{each.label}/"
        yield f"| **`{path}`** | {shown.about} | {asked or 'options of the mount'} | |"
        yield from _rows(shown, path, "")
    else:
        yield _of_file(shown, within + each.label + shown.name, asked)


def _of_file(entry: File | Link, path: str, listed_by: str) -> str:
    source = entry.source
    asked = f"`{source.name}`" if source else ""
    streamed = " (streamed)" if isinstance(source, Stream) else ""
    answers = ", then ".join(filter(None, (listed_by, asked + streamed)))
    methods = ", ".join(f"`{name}`" for name in entry.sdk) if isinstance(entry, File) else ""
    return f"| `{path}` | {entry.about} | {answers or 'the listing above'} | {methods} |"
