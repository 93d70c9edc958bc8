"""Output of the commands, to the terminal and to the log. The only place that writes to either.

Not here: what is printed (cli/, report.py, tour.py), and which characters a terminal can bear (printable.py).
"""

from __future__ import annotations

import json
import logging
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, ParamSpec

import click

from cometfs.errors import SetupError
from cometfs.process.terminal import draws, is_styled, terminal
from cometfs.telemetry import bounded_log, logs
from cometfs.text.printable import Formatter, printable, printable_lines

log = logging.getLogger(__name__)

P = ParamSpec("P")


def print_lines(*lines: str, err: bool = False) -> None:
    """Prints lines. What a line holds that is not printable, or that the locale lacks, is shown by its number."""
    stream = sys.stderr if err else sys.stdout
    encoding = getattr(stream, "encoding", None) or "utf-8"
    for line in lines:
        click.echo(printable(line).encode(encoding, "backslashreplace").decode(encoding), err=err)


def print_error(error: Exception) -> None:
    """Prints one of our errors."""
    if _for_programs():
        log.error("%s", error)
    else:
        print_lines(f"cometfs: {error}", err=True)


def print_warnings(sentences: Iterable[str]) -> None:
    """Prints warnings. The command goes on."""
    for sentence in sentences:
        if _for_programs():
            log.warning("%s", sentence)
        else:
            print_lines(f"cometfs: warning: {sentence}", err=True)


def print_json(value: Any, indent: int | None = None) -> None:
    """Prints JSON, in ASCII: programs read it, and terminals bear it."""
    click.echo(as_json(value, indent))


def as_json(value: Any, indent: int | None = None) -> str:
    """The same as text."""
    return json.dumps(value, indent=indent).replace("\x7f", "\\u007f")


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints rows below their headings: in colours on a terminal, as plain text elsewhere."""
    cells = [[printable(cell) for cell in row] for row in (columns, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    if not is_styled():
        print_lines(*lines)
        return
    from rich.text import Text

    styled = terminal()
    styled.print(Text(lines[0], "bold"), soft_wrap=True)
    for line in lines[1:]:
        styled.print(Text(line), soft_wrap=True)


def print_report(*lines: str) -> None:
    """Prints lines of which the first is a heading: in colours on a terminal, as plain text elsewhere."""
    if is_styled():
        terminal().print(_report(lines), soft_wrap=True)
    else:
        print_lines(*lines)


def watch(look: Callable[[], Iterable[str]], seconds: float, *, plain: bool = False) -> None:
    """Shows a report anew every so many seconds, until Ctrl-C: in place on a terminal, one after the other elsewhere
    and where it is `plain`."""
    if plain or not draws():
        while True:
            print_lines(*look())
            sys.stdout.flush()
            time.sleep(seconds)
    from rich.live import Live

    with Live(_report(look()), console=terminal(), auto_refresh=False, vertical_overflow="crop") as live:
        while True:
            time.sleep(seconds)
            live.update(_report(look()), refresh=True)


def _report(lines: Iterable[str]) -> Any:
    from rich.highlighter import ReprHighlighter
    from rich.text import Text

    found, numbers = Text(), ReprHighlighter()
    for line in lines:
        # What does not begin with a blank is a heading.
        shown = Text(printable(line) + "\n", "" if line.startswith(" ") else "bold")
        if line.startswith(" "):
            numbers.highlight(shown)
        found.append_text(shown)
    found.right_crop(1)
    return found


PLAIN = 10.0
"""Seconds between two lines of progress where there is no terminal."""


def now_and_then(line: Callable[P, str]) -> Callable[P, None]:
    """What prints a line of progress to stderr when it is called, but not all the time."""
    last = time.monotonic()

    def show(*args: P.args, **kwargs: P.kwargs) -> None:
        nonlocal last
        if time.monotonic() - last >= PLAIN:
            last = time.monotonic()
            print_lines(line(*args, **kwargs), err=True)

    return show


def require_yes(question: str, given: bool) -> None:
    """Asks, unless the answer is given already. Raises SetupError for anything but yes."""
    try:
        agreed = given or click.confirm(printable(question))
    except click.Abort:
        agreed = False
    if not agreed:
        raise SetupError("nothing was asked: say yes, or give --yes")


def show_page(text: str) -> None:
    """Shows a page of our own: through a pager on a terminal, as it is elsewhere."""
    if draws():
        click.echo_via_pager(text)
    else:
        click.echo(text, nl=False)


def log_to_stderr(level: str) -> None:
    """Logs to stderr; the traceback of a bug that ends the program goes there, too."""
    handler = bounded_log.Handler(sys.stderr)
    handler.setFormatter(logs.formatter("text", journal=False))
    logging.basicConfig(handlers=[handler], force=True)
    logs.set_level(level)
    sys.excepthook = _print_bug


def log_as(wanted: str, *, journal: bool) -> None:
    """From now on the lines of the log have that format (`logs.FORMATS`). All else on stderr is for people, so where
    programs read it, errors and warnings are lines of the log."""
    for handler in _handlers():
        handler.setFormatter(logs.formatter(wanted, journal=journal))


def _for_programs() -> bool:
    """Whether programs read stderr."""
    return any(not isinstance(handler.formatter, Formatter) for handler in _handlers())


def _handlers() -> list[bounded_log.Handler]:
    return [handler for handler in logging.getLogger().handlers if isinstance(handler, bounded_log.Handler)]


def limit_log(path: Path) -> None:
    """Keeps the log within its bounds where stderr is the file at `path`."""
    for handler in _handlers():
        handler.full = partial(bounded_log.make_room, path.absolute(), sys.stderr.fileno())


def _print_bug(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """As Python prints it, but printable: the message of an exception may be a server's."""
    if _for_programs():
        log.critical("a bug ends the program", exc_info=(kind, error, trace))
        return
    lines = "".join(traceback.format_exception(kind, error, trace)).rstrip("\n")
    click.echo(printable_lines(lines), err=True)
