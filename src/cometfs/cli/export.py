"""`export`: what a mount shows, as plain files. The work is done in `export/`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from cometfs.cli.group import INTERRUPTED, account_of, main, plain_errors
from cometfs.options.kinds import PLACE
from cometfs.options.sources import configured
from cometfs.options.table import ACCOUNT, CACHE_DIR
from cometfs.process import console
from cometfs.process.terminal import draws, terminal

if TYPE_CHECKING:  # its imports cost what `--help` need not wait for
    from cometfs.export.copying import Result


@main.command()
@click.argument("source", metavar="SRC")
@click.argument("target", metavar="DIR", type=PLACE)
@click.option("--include", multiple=True, metavar="GLOB", help="Export only what matches. Repeatable.")
@click.option("--exclude", multiple=True, metavar="GLOB", help="Leave out what matches. Repeatable.")
@click.option(
    "--layout",
    type=click.Choice(["mount", "cometx"]),
    default="mount",
    show_default=True,
    help="The files of the mount, or those that `cometx download` makes.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
@configured(*ACCOUNT, CACHE_DIR)
@plain_errors
def export(
    source: str,
    target: Path,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    layout: Literal["mount", "cometx"],
    as_json: bool,
    **options: Any,
) -> None:
    """Write what a mount shows at SRC to plain files in DIR.

    SRC is a path in a mount, or WORKSPACE/PROJECT/EXPERIMENT without one; a part of that will do, and so will a path
    inside an experiment. No FUSE is needed then.

    The same command goes on where it was interrupted. What cannot be had is listed at the end; the exit status is 1
    then, and 130 after Ctrl-C.
    """
    from cometfs.export import running
    from cometfs.process import lifetime
    from cometfs.walking.globs import Selection

    try:
        selection = Selection(include, exclude)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    settings = running.ExportSettings(source, target, layout, selection, account_of(options))
    began, results = time.monotonic(), list["Result"]()
    with _progress() as watch:
        lifetime.run(running.run, settings, results.append, watch)
    result = results[0] if results else None
    if result is not None:
        _report(result, time.monotonic() - began, as_json=as_json)
    if result is None or not result.complete:
        console.print_lines("cometfs: interrupted: the same command goes on from here", err=True)
        sys.exit(INTERRUPTED)
    if result.failed:
        sys.exit(1)


def _report(result: Result, seconds: float, *, as_json: bool) -> None:
    if as_json:
        console.print_json(_as_object(result, seconds))
        return
    console.print_lines(f"{_summary(result)} in {seconds:.1f} s")
    if result.left_out:
        console.print_lines(f"{len(result.left_out)} links lead to what is not exported, and are left out")
    for path, reason in sorted(result.failed.items()):
        console.print_lines(f"cometfs: not exported: {path}: {reason}", err=True)


def _summary(result: Result) -> str:
    from rich import filesize

    kept = f", {result.kept} were there" if result.kept else ""
    failed = f", {len(result.failed)} failed" if result.failed else ""
    return f"{result.files} files, {filesize.decimal(result.bytes)}{kept}{failed}"


def _as_object(result: Result, seconds: float) -> dict[str, Any]:
    return {
        "complete": result.complete,
        "files": result.files,
        "bytes": result.bytes,
        "kept": result.kept,
        "kept_bytes": result.kept_bytes,
        "links": result.links,
        "left_out": sorted(result.left_out),
        "failed": [{"path": path, "reason": reason} for path, reason in sorted(result.failed.items())],
        "seconds": round(seconds, 3),
    }


@contextmanager
def _progress() -> Iterator[Callable[[Result], None]]:
    """A bar on a terminal, else a line from time to time."""
    if not draws(stderr=True):
        yield console.now_and_then(lambda result: f"cometfs: {_summary(result)}")
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("exporting"), BarColumn(), MofNCompleteColumn(), TextColumn("files"))
    with Progress(*columns, TextColumn("{task.fields[size]}"), console=terminal(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None, size="")

        def show(result: Result) -> None:
            done = result.files + result.kept + len(result.failed)
            bar.update(task, completed=done, total=max(result.found, done), size=_summary(result))

        yield show
