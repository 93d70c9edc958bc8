"""The commands: options in, sentences out. Everything else is in app.py."""

from __future__ import annotations

import functools
import inspect
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec

import click

from cometfs import console
from cometfs._version import __version__
from cometfs.errors import CometFSError, SetupError

if TYPE_CHECKING:  # its imports cost what `--help` need not wait for
    from cometfs.cache.persistent.inspection import Contents, Findings

P = ParamSpec("P")


class _Place(click.Path):
    """A path that is only parsed. click would stat it, and a mount whose daemon is dead or stopped answers with an
    error or never.
    """

    def convert(self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None) -> Path:
        if not os.fspath(value):
            self.fail("an empty path names nothing", param, ctx)
        return Path(value)


PLACE = _Place()

CACHE_DIR_HELP = "Directory of the cache. Default: $XDG_CACHE_HOME/cometfs, else ~/.cache/cometfs."

LEVELS = ("debug", "info", "warning", "error")


def _plain_errors(command: Callable[P, None]) -> Callable[P, None]:
    """One of our errors is a sentence on stderr and exit status 1."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except CometFSError as error:
            console.complain(error)
            sys.exit(1)

    return wrapped


class _Commands(click.Group):
    """The commands. A path that the locale cannot write is a sentence, wherever it is used."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except UnicodeEncodeError as error:
            if error.encoding.replace("_", "-") != sys.getfilesystemencoding().replace("_", "-"):
                raise
            console.complain(SetupError(f"the locale's encoding ({error.encoding}) lacks a path: set LC_ALL=C.UTF-8"))
            sys.exit(1)


def _warn(sentences: list[str]) -> None:
    console.say(*(f"cometfs: warning: {sentence}" for sentence in sentences), err=True)


class _Command(click.Command):
    """One whose first sentence is whole in the list of commands: click cuts it to a line."""

    def get_short_help_str(self, limit: int = 0) -> str:  # noqa: ARG002  # none
        return inspect.cleandoc(self.help or "").partition("\n\n")[0].replace("\n", " ")


class _Group(_Commands, _Command):
    command_class = _Command
    group_class = type


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="cometfs")
def main() -> None:
    """Mount a Comet account (comet.com) as a directory, or run a Comet server on this machine."""
    from cometfs.daemon import open_streams

    open_streams()
    console.log_to_stderr("warning")


ALLOW_NON_EMPTY = click.option(
    "--allow-non-empty",
    is_flag=True,
    help="Mount over a directory that holds files. They are hidden until the mount ends.",
)


@main.command()
@click.argument("mountpoint", type=PLACE)
@ALLOW_NON_EMPTY
@click.option("--url", metavar="URL", help="Address of an on-premise Comet.")
@click.option(
    "--api-key-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="File that holds the API key and nothing else.",
)
@click.option("--workspace", "workspaces", multiple=True, metavar="NAME", help="Show only this workspace. Repeatable.")
@click.option("--rw", is_flag=True, help="Make the key-value store (.cometfs/store) writable.")
@click.option("--cache-dir", type=click.Path(path_type=Path), metavar="DIR", help=CACHE_DIR_HELP)
@click.option(
    "--cache-size",
    default="10G",
    show_default=True,
    metavar="SIZE",
    help="Maximum size of the cache on disk, like 500M.",
)
@click.option(
    "--rate",
    default=15_000,
    show_default=True,
    type=click.IntRange(min=1),
    metavar="CALLS",
    help="Maximum calls an hour.",
)
@click.option(
    "--live-interval",
    default=5.0,
    show_default=True,
    type=click.FloatRange(min=0.5),
    metavar="SECONDS",
    help="Maximum age of what a running experiment shows.",
)
@click.option("--foreground", is_flag=True, help="Stay in the foreground, for service managers and debugging.")
@click.option("--deadline", default=30.0, show_default=True, metavar="SECONDS", help="How long a read waits at most.")
@click.option(
    "--log-level", type=click.Choice(LEVELS), default="warning", show_default=True, help="Log this level and above."
)
@_plain_errors
def mount(
    mountpoint: Path,
    allow_non_empty: bool,
    url: str | None,
    api_key_file: Path | None,
    workspaces: tuple[str, ...],
    rw: bool,
    cache_dir: Path | None,
    cache_size: str,
    rate: int,
    live_interval: float,
    foreground: bool,
    deadline: float,
    log_level: str,
) -> None:
    """Mount everything that the API key can see at MOUNTPOINT.

    The command returns when the mount answers. MOUNTPOINT is an existing, empty directory.

    The API key comes from --api-key-file, else from COMET_API_KEY, else from ./.env, else from a configuration file of
    Comet: the one that COMET_CONFIG names, ./.comet.config, or ~/.comet.config.

    `cometfs help mount` has more: the address of the server, the store, a systemd service.
    """
    from cometfs import app, config, daemon, exposure
    from cometfs.fuse import session

    settings = config.mount_settings(
        mountpoint,
        url=url,
        api_key_file=api_key_file,
        workspaces=workspaces,
        deadline=deadline,
        rw=rw,
        cache_dir=cache_dir,
        cache_size=cache_size,
        rate=rate,
        live_interval=live_interval,
        allow_non_empty=allow_non_empty,
        foreground=foreground,
    )
    session.prepare(settings.mountpoint, allow_non_empty=allow_non_empty)
    console.log_to_stderr(log_level)
    warnings = [] if log_level == "error" else exposure.of_mount(settings.url, settings.key_files)
    _warn(warnings)
    if foreground:
        app.run(app.mount, settings, lambda: None)
    else:

        def in_daemon(ready: Callable[[], None]) -> None:
            _warn(warnings)  # into its log
            app.run(app.mount, settings, ready)

        with config.open_log(settings.mountpoint, settings.cache_dir) as log_file:
            daemon.in_background(in_daemon, log_file)
        daemon.leave()


@main.command()
@click.argument("mountpoint", type=PLACE)
@_plain_errors
def umount(mountpoint: Path) -> None:
    """Unmount MOUNTPOINT, also while it is in use.

    If processes still use the mount, the command names them. The daemon ends when they have closed their files.
    """
    from cometfs.fuse import occupants, session
    from cometfs.fuse.mountinfo import resolve

    place = resolve(mountpoint)
    os.chdir("/")  # `umount .` is itself no use of the mount
    found = session.unmount(place)
    if found is not None:
        console.say(f"cometfs: {occupants.sentence(place, found)}", err=True)


@main.command()
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=PLACE)
@_plain_errors
def refresh(paths: tuple[Path, ...]) -> None:
    """Drop what is cached at each PATH of a mount and below it.

    The next read fetches it from Comet again. The command itself makes no call. `touch PATH` does the same.
    """
    from cometfs.fuse import session

    failed = []
    for path in paths:
        try:
            session.refresh(path)
        except CometFSError as error:
            console.complain(error)
            failed.append(path)
    if failed:
        sys.exit(1)


@main.command()
@click.argument("mountpoint", required=False, type=PLACE)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per mount, as in .cometfs/status.json.")
@_plain_errors
def status(mountpoint: Path | None, as_json: bool) -> None:
    """Show the calls used and left, by program and by endpoint.

    Without MOUNTPOINT, every mount is shown.
    """
    from cometfs import report
    from cometfs.fuse import session
    from cometfs.fuse.mountinfo import resolve

    for place in [resolve(mountpoint)] if mountpoint else session.our_mounts():
        try:
            found = session.status(place)
        except CometFSError as error:
            if mountpoint is not None:
                raise
            console.complain(error)  # another user's, perhaps; the others answer
            continue
        if as_json:
            console.say_json({"mountpoint": str(place), **found})
        else:
            console.say(*report.status_lines(str(place), found))


@main.command()
@click.argument("archives", metavar="[DIR]", required=False, type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--bind",
    default="127.0.0.1:0",
    show_default=True,
    metavar="HOST:PORT",
    help="Address to listen on. Port 0 takes a free one.",
)
@click.option("--api-key", metavar="KEY", help="Accept only this key. Default: any that is not empty.")
@click.option(
    "--host",
    "hosts",
    multiple=True,
    metavar="NAME[:PORT]",
    help="Another name of this server, behind a proxy, a container or a tunnel. Repeatable.",
)
@click.option("--latency", default=0.0, metavar="MS", help="Delay every answer by MS milliseconds.")
@click.option(
    "--access-log",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Append one line of JSON per request to this file.",
)
@click.option(
    "--replicate", default=1, type=click.IntRange(min=1), metavar="N", help="Serve every archive N times, for scale."
)
@click.option(
    "--crashed-after",
    default=30.0,
    show_default=True,
    type=click.FloatRange(min=1),
    metavar="SECONDS",
    help="Silence after which a run has crashed.",
)
@_plain_errors
def serve(
    archives: Path | None,
    bind: str,
    api_key: str | None,
    hosts: tuple[str, ...],
    latency: float,
    access_log: Path | None,
    replicate: int,
    crashed_after: float,
) -> None:
    """Run a Comet server on this machine.

    It serves the offline archives of comet_ml in DIR, and stores there what comet_ml logs to it. DIR is created if it
    is missing. Without DIR, the server has a sample that is read-only.
    """
    from cometfs import app, config, exposure

    settings = config.ServeSettings(archives, bind, api_key, latency, access_log, replicate, crashed_after, hosts)
    _warn(exposure.of_server(bind, api_key))
    app.run(app.serve, settings, lambda url: console.say(f"Comet at {url}"))


@main.command()
@click.argument("mountpoint", required=False, type=PLACE)
@ALLOW_NON_EMPTY
@_plain_errors
def demo(mountpoint: Path | None, allow_non_empty: bool) -> None:
    """Mount a sample, without an account or a network.

    MOUNTPOINT is ~/comet-demo by default. Ctrl-C ends the demo.
    """
    from rich.console import Console

    from cometfs import app, tour
    from cometfs.fuse import session
    from cometfs.fuse.mountinfo import resolve
    from cometfs.server import sample_directory

    place = resolve(mountpoint or Path("~/comet-demo"))
    with session.directory_at(place):
        show = functools.partial(tour.show, Console(), place)
        app.run(functools.partial(app.demo, allow_non_empty=allow_non_empty), sample_directory(), place, show)


@main.command("help")
@click.argument("topic", required=False)
@_plain_errors
def show_help(topic: str | None) -> None:
    """Show a page of the manual.

    Without TOPIC, the topics are listed.
    """
    from cometfs import help

    text = help.page(topic) if topic else help.contents()
    console.show_page(help.rendered(text) if sys.stdout.isatty() else text)


CACHE_DIR = click.option("--cache-dir", type=click.Path(path_type=Path), metavar="DIR", help=CACHE_DIR_HELP)


@main.group()
def cache() -> None:
    """Show, clear or verify the cache on disk.

    Mounts may be in use meanwhile.
    """


@cache.command("info")
@CACHE_DIR
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@_plain_errors
def cache_contents(cache_dir: Path | None, as_json: bool) -> None:
    """Show what is cached for each account, and its size."""
    from cometfs import config
    from cometfs.cache.persistent.inspection import look

    found = [(account, look(account.folder)) for account in config.accounts(cache_dir)]
    if as_json:
        accounts = [_contents(account.server, account.folder, contents) for account, contents in found]
        console.say_json({"folder": str(config.cache_path(cache_dir)), "accounts": accounts}, indent=2)
        return
    console.say(f"{config.cache_path(cache_dir)}: {_counted(len(found), 'account')}")
    for account, contents in found:
        console.say("", account.server)
        for name, value in _contents(account.server, account.folder, contents).items():
            if value and name != "server":
                shown = _bytes(value) if "bytes" in name and isinstance(value, int) else value
                console.say(f"  {name.replace('_', ' '):<14}  {shown}")


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
        "damaged": contents.damaged,
        "damaged_bytes": contents.damaged_bytes,
    }


@cache.command("clear")
@CACHE_DIR
@click.option("--url", metavar="URL", help="Clear only what came from this server.")
@_plain_errors
def clear_cache(cache_dir: Path | None, url: str | None) -> None:
    """Remove everything from the cache.

    Open files stay readable. Mounts fetch again.
    """
    from cometfs import config
    from cometfs.cache.persistent.inspection import clear

    found = config.accounts(cache_dir, url)
    for account in found:
        console.say(f"{account.server}: {_bytes(clear(account.folder))} freed")
    if not found:
        console.say(f"nothing is kept in {config.cache_path(cache_dir)}" + (f" of {url}" if url else ""))


@cache.command("verify")
@CACHE_DIR
@_plain_errors
def verify_cache(cache_dir: Path | None) -> None:
    """Read the whole cache and set damaged entries aside.

    The exit status is 1 if there were any.
    """
    from cometfs import config
    from cometfs.cache.persistent.inspection import verify

    console.log_to_stderr("error")
    found = config.accounts(cache_dir)
    damaged = False
    for account in found:
        findings = verify(account.folder)
        damaged = damaged or findings.damaged
        console.say(f"{account.server}: {_told(findings)}")
    if not found:
        console.say(f"nothing is kept in {config.cache_path(cache_dir)}")
    if damaged:
        sys.exit(1)


def _told(found: Findings) -> str:
    said = [f"{_counted(found.answers, 'answer')} and {_counted(found.bodies, 'body', 'bodies')} read"]
    if found.database:
        said.append(f"the database was damaged ({found.database}) and is set aside, with all that it told")
    if found.damaged_answers:
        said.append(f"{_counted(found.damaged_answers, 'damaged answer')} dropped")
    if found.damaged_bodies:
        said.append(f"{_counted(found.damaged_bodies, 'damaged body', 'damaged bodies')} set aside")
    if found.lost:
        said.append(f"{_counted(found.lost, 'entry', 'entries')} without a body dropped")
    if found.strays:
        said.append(f"{_counted(found.strays, 'body', 'bodies')} without an entry removed")
    return ", ".join(said if len(said) > 1 else [*said, "all is well"])


def _counted(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
