"""`cache info`, `clear` and `verify`: what is cached on disk, in sentences. The work is done in `cache/persistent`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cometfs.cli.group import main, plain_errors
from cometfs.options.sources import configured
from cometfs.options.table import CACHE_DIR
from cometfs.process import console

if TYPE_CHECKING:  # its imports cost what `--help` need not wait for
    from cometfs.cache.persistent.inspection import Contents, Findings


@main.group()
def cache() -> None:
    """Show, clear or verify the cache on disk.

    Mounts may be in use meanwhile.
    """


@cache.command("info")
@configured(CACHE_DIR)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@plain_errors
def cache_contents(cache_dir: Path | None, as_json: bool) -> None:
    """Show what is cached for each account, and its size."""
    from cometfs import folders
    from cometfs.cache.persistent.inspection import look

    found = [(account, look(account.folder)) for account in folders.accounts(cache_dir)]
    if as_json:
        accounts = [_contents(account.server, account.folder, contents) for account, contents in found]
        console.print_json({"folder": str(folders.cache_path(cache_dir)), "accounts": accounts}, indent=2)
        return
    console.print_lines(f"{folders.cache_path(cache_dir)}: {_counted(len(found), 'account')}")
    for account, contents in found:
        console.print_lines("", account.server)
        for name, value in _contents(account.server, account.folder, contents).items():
            if value and name != "server":
                shown = _bytes(value) if "bytes" in name and isinstance(value, int) else value
                console.print_lines(f"  {name.replace('_', ' '):<14}  {shown}")


def _bytes(count: int) -> str:
    from rich import filesize

    return filesize.decimal(count)


def _contents(server: str, folder: Path, contents: Contents) -> dict[str, str | int]:
    totals = contents.totals
    return {
        "server": server,
        "folder": str(folder),
        "state": contents.state,
        "answers": totals.answers,
        "answer_bytes": totals.answer_bytes,
        "bodies": totals.bodies,
        "body_bytes": totals.body_bytes,
        "disk_bytes": contents.disk_bytes,
        "pinned": ", ".join(sorted(contents.pinned)),
        "damaged": contents.damaged,
        "damaged_bytes": contents.damaged_bytes,
    }


@cache.command("clear")
@configured(CACHE_DIR)
@click.option("--url", metavar="URL", help="Clear only what came from this server.")
@plain_errors
def clear_cache(cache_dir: Path | None, url: str | None) -> None:
    """Remove everything from the cache.

    Open files stay readable. Mounts fetch again what they do not hold in memory.
    """
    from cometfs import folders
    from cometfs.cache.persistent.inspection import clear

    found = folders.accounts(cache_dir, url)
    for account in found:
        console.print_lines(f"{account.server}: {_bytes(clear(account.folder))} freed")
    if not found:
        console.print_lines(f"nothing is kept in {folders.cache_path(cache_dir)}" + (f" of {url}" if url else ""))


@cache.command("verify")
@configured(CACHE_DIR)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per account.")
@plain_errors
def verify_cache(cache_dir: Path | None, as_json: bool) -> None:
    """Read the whole cache and set damaged entries aside.

    The exit status is 1 if there were any.
    """
    from cometfs import folders
    from cometfs.cache.persistent.inspection import verify

    console.log_to_stderr("error")
    found = folders.accounts(cache_dir)
    damaged = False
    for account in found:
        findings = verify(account.folder)
        damaged = damaged or findings.damaged
        if as_json:
            console.print_json({"server": account.server, **findings._asdict()})
        else:
            console.print_lines(f"{account.server}: {_summary(findings)}")
    if not found and not as_json:
        console.print_lines(f"nothing is kept in {folders.cache_path(cache_dir)}")
    if damaged:
        sys.exit(1)


def _summary(found: Findings) -> str:
    parts = [f"{_counted(found.answers, 'answer')} and {_counted(found.bodies, 'body', 'bodies')} read"]
    if found.database:
        parts.append(f"the database was damaged ({found.database}) and is set aside, with all that it told")
    if found.damaged_answers:
        parts.append(f"{_counted(found.damaged_answers, 'damaged answer')} dropped")
    if found.damaged_bodies:
        parts.append(f"{_counted(found.damaged_bodies, 'damaged body', 'damaged bodies')} set aside")
    if found.lost:
        parts.append(f"{_counted(found.lost, 'entry', 'entries')} without a body dropped")
    if found.strays:
        parts.append(f"{_counted(found.strays, 'body', 'bodies')} without an entry removed")
    return ", ".join(parts if len(parts) > 1 else [*parts, "all is well"])


def _counted(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
