"""The manual that `cometfs help` shows: pages in Markdown, one per topic, in `manual/`.

Not here: `--help` of the commands (cli/) and man pages, which are made of it (scripts/wheel_files.py).
"""

from __future__ import annotations

import re
from importlib.resources import files

from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import Markdown, TableElement
from rich.table import Table

from cometfs.errors import SetupError
from cometfs.process.terminal import terminal

_COMMENT = re.compile(r"^<!--.*-->\n", re.MULTILINE)


def topics() -> dict[str, str]:
    """The title of every page, by topic."""
    pages = sorted(entry.name for entry in files("cometfs").joinpath("manual").iterdir())
    names = [name.removesuffix(".md") for name in pages if name.endswith(".md")]
    return {name: page(name).partition("\n")[0].removeprefix("# ") for name in names}


def page(topic: str) -> str:
    """A page in Markdown, without the marks for what is generated in it. Raises SetupError for an unknown topic."""
    found = files("cometfs").joinpath("manual", f"{topic}.md")
    if not re.fullmatch(r"[a-z-]+", topic) or not found.is_file():
        raise SetupError(f"there is no topic {topic!r}: choose one of {', '.join(topics())}")
    return _COMMENT.sub("", found.read_text(encoding="utf-8"))


def contents() -> str:
    """The list of topics, in Markdown."""
    rows = "".join(f"| `{topic}` | {title} |\n" for topic, title in topics().items())
    return (
        f"# The manual of cometfs\n\n| topic | title |\n|---|---|\n{rows}\n"
        "`cometfs help TOPIC` shows a page, `cometfs COMMAND --help` the options of a command.\n"
    )


def rendered(markdown: str) -> str:
    """The page as a terminal shows it, with its colours and as wide as it is."""
    console = terminal()
    with console.capture() as printed:
        console.print(_Page(markdown))
    return printed.get()


class _FoldedTable(TableElement):
    """Long words go on in the next line: rich would cut paths and messages."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for table in super().__rich_console__(console, options):
            if isinstance(table, Table):
                for column in table.columns:
                    column.overflow = "fold"
            yield table


class _Page(Markdown):
    elements = {**Markdown.elements, "table_open": _FoldedTable}  # noqa: RUF012  # as rich has it
