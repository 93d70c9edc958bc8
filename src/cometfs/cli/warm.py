"""`cost` and `warm`: what reading PATHs whole would cost, and having them cached. The work is done in `warming/`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from cometfs.cli.group import INTERRUPTED, account_of, main, plain_errors
from cometfs.options.sources import configured
from cometfs.options.table import ACCOUNT, CACHE_DIR
from cometfs.process import console
from cometfs.process.terminal import draws, terminal

if TYPE_CHECKING:  # its imports cost what `--help` need not wait for
    from cometfs.warming.costing import Costs, Together
    from cometfs.warming.reading import Result
    from cometfs.warming.running import Subject

PATHS = click.argument("paths", metavar="PATH...", nargs=-1, required=True)

CALLS = click.option(
    "--calls",
    default=100,
    show_default=True,
    type=click.IntRange(min=0, max=999),
    metavar="N",
    help="Calls that may be made to find out what it costs.",
)

JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object per PATH.")

COST_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object for all PATHs of a mount.")


@main.command()
@PATHS
@CALLS
@COST_JSON
@configured(*ACCOUNT, CACHE_DIR)
@plain_errors
def cost(
    paths: tuple[str, ...],
    calls: int,
    as_json: bool,
    **options: Any,
) -> None:
    """Show what reading PATHs whole would cost: calls, bytes, time.

    PATH is a path in a mount, or WORKSPACE/PROJECT/EXPERIMENT without one. What is at hand costs nothing, and what
    several PATHs share is counted once. Calls are made to find out, most of which reading would make as well: what they
    bring is cached.
    """
    from cometfs.process import lifetime
    from cometfs.warming import running

    settings = running.WarmSettings(paths, account_of(options), calls)

    lifetime.run(running.costs, settings, partial(_show_cost, as_json=as_json))


def _show_cost(together: Together, *, as_json: bool) -> None:
    from cometfs.status import report

    each = dict(zip(together.paths, together.each, strict=True))
    if as_json:
        console.print_json({"paths": each, **together.found})
    else:
        console.print_report(*report.cost_lines(each, together.found))


@main.command()
@PATHS
@click.option("--dry-run", is_flag=True, help="Only show what it would cost, as 'cometfs cost' does.")
@click.option("--pin", is_flag=True, help="Have the cache keep it, whatever else comes, until --unpin.")
@click.option("--unpin", is_flag=True, help="Let go of what was pinned at PATH and below. Reads nothing.")
@CALLS
@JSON
@configured(*ACCOUNT, CACHE_DIR)
@plain_errors
def warm(
    paths: tuple[str, ...],
    dry_run: bool,
    pin: bool,
    unpin: bool,
    calls: int,
    as_json: bool,
    **options: Any,
) -> None:
    """Fetch all of each PATH into the cache.

    PATH is a path in a mount, or WORKSPACE/PROJECT/EXPERIMENT without one. The same command goes on where it was
    interrupted: what is cached is not fetched again. The exit status is 1 if something cannot be had, and 130 after
    Ctrl-C.
    """
    from cometfs.process import lifetime
    from cometfs.warming import running

    if unpin and (pin or dry_run):
        raise click.UsageError("--unpin goes with neither --pin nor --dry-run")
    settings = running.WarmSettings(paths, account_of(options), calls)
    if dry_run:
        lifetime.run(running.costs, settings, partial(_show_cost, as_json=as_json))
        return
    results = list["Result"]()

    async def show(path: str, subject: Subject) -> None:
        if unpin:
            _unpin(subject, path, as_json=as_json)
        else:
            await _warm(path, subject, calls, results, pin=pin, as_json=as_json)

    lifetime.run(running.each, settings, show)
    _end(results, 0 if unpin else len(paths))


def _unpin(subject: Subject, path: str, *, as_json: bool) -> None:
    from cometfs.cache.persistent import pins

    gone = pins.unpin(subject.folder, subject.name)
    if as_json:
        console.print_json({"path": path, "unpinned": gone})
    else:
        console.print_lines(f"{path}: {', '.join(gone) if gone else 'nothing'} unpinned")


async def _warm(path: str, subject: Subject, calls: int, results: list[Result], *, pin: bool, as_json: bool) -> None:
    from cometfs.cache.persistent import pins
    from cometfs.warming import running
    from cometfs.warming.reading import Result

    result = Result()
    results.append(result)
    began = time.monotonic()
    found = await subject.cost(calls)
    if pin:
        pins.pin(subject.folder, subject.name, await subject.owners())
    with _progress(path, found, result) as watch:
        await running.warm(subject, result, watch)
    seconds = time.monotonic() - began
    if as_json:
        console.print_json({"path": path, "pinned": pin, "seconds": round(seconds, 3), **vars(result)})
    else:
        console.print_lines(f"{path}: {_summary(result)} in {seconds:.1f} s" + (", pinned" if pin else ""))
        for name, reason in sorted(result.failed.items()):
            console.print_lines(f"cometfs: not fetched: {path}/{name}: {reason}".replace("//", "/"), err=True)


def _end(results: Sequence[Result], wanted: int) -> None:
    if len(results) < wanted or not all(result.complete for result in results):
        console.print_lines("cometfs: interrupted: the same command goes on from here", err=True)
        sys.exit(INTERRUPTED)
    if any(result.failed for result in results):
        sys.exit(1)


def _summary(result: Result) -> str:
    from rich import filesize

    failed = f", {len(result.failed)} failed" if result.failed else ""
    read, came = filesize.decimal(result.bytes), filesize.decimal(result.received)
    return f"{result.files} files, {read}, by {result.calls} calls that brought {came}{failed}"


@contextmanager
def _progress(path: str, found: Costs, result: Result) -> Iterator[Callable[[], None]]:
    """A bar on a terminal, else a line from time to time."""
    if not draws(stderr=True):
        yield console.now_and_then(lambda: f"cometfs: {path}: {_summary(result)}")
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns: tuple[Any, ...] = (
        TextColumn("{task.fields[counts]}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=terminal(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=found["bytes"], counts="")

        def show() -> None:
            counts = f"{result.calls}/{max(found['calls'], result.calls)} calls, {result.files}/{found['files']} files"
            bar.update(task, completed=result.received, total=max(found["bytes"], result.received), counts=counts)

        yield show
