"""`serve` and `demo`: what runs the embedded Comet. The work is done in `serving` and `app`."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Literal

import click

from cometfs.cli.group import main, plain_errors, warn
from cometfs.options.kinds import PLACE
from cometfs.options.sources import option
from cometfs.options.table import ALLOW_NON_EMPTY, API_KEY_FILE
from cometfs.process import console
from cometfs.process.terminal import terminal


@main.command()
@click.argument("archives", metavar="[DIR]", required=False, type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--bind",
    default="127.0.0.1:0",
    show_default=True,
    metavar="HOST:PORT",
    help="Address to listen on. Port 0 takes a free one.",
)
@click.option(
    "--api-key",
    metavar="KEY",
    help="Accept only this key. Default: any that is not empty. Other users see it in `ps`: prefer --api-key-file.",
)
@option(API_KEY_FILE)
@click.option(
    "--host",
    "hosts",
    multiple=True,
    metavar="NAME[:PORT]",
    help="Another name of this server, behind a proxy, a container or a tunnel. Repeatable.",
)
@click.option(
    "--assets",
    type=click.Choice(["stream", "redirect", "stream-no-range"]),
    default="stream",
    show_default=True,
    help="How assets are sent: by Comet itself, by an object store at another port, or in whole files only.",
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
@plain_errors
def serve(
    archives: Path | None,
    bind: str,
    api_key: str | None,
    api_key_file: Path | None,
    hosts: tuple[str, ...],
    assets: Literal["stream", "redirect", "stream-no-range"],
    latency: float,
    access_log: Path | None,
    replicate: int,
    crashed_after: float,
) -> None:
    """Run a Comet server on this machine.

    It serves the offline archives of comet_ml in DIR, and stores there what comet_ml logs to it. DIR is created if it
    is missing. Without DIR, the server has a sample that is read-only.
    """
    from cometfs import config, exposure, serving
    from cometfs.process import lifetime

    if api_key_file is not None:
        if api_key is not None:
            raise click.UsageError("--api-key and --api-key-file both name the key: give one of them")
        api_key = config.key_in(api_key_file)
    settings = config.ServeSettings(
        archives, bind, api_key, latency, access_log, replicate, crashed_after, hosts, assets
    )
    warn(exposure.of_server(bind, api_key, api_key_file))
    lifetime.run(serving.serve, settings, lambda url: console.print_lines(*_greeting(url, api_key)))


def _greeting(url: str, api_key: str | None) -> tuple[str, ...]:
    """The address alone stands last in the first line: scripts take it from there. A key is not repeated."""
    key = "any" if api_key is None else "KEY"
    return (
        f"Comet at {url}",
        "  Open that address in a browser to look at the experiments.",
        f"  To log to it with comet_ml: export COMET_API_KEY={key} COMET_URL_OVERRIDE={url}/clientlib/",
    )


@main.command()
@click.argument("mountpoint", required=False, type=PLACE)
@option(ALLOW_NON_EMPTY)
@plain_errors
def demo(mountpoint: Path | None, allow_non_empty: bool) -> None:
    """Mount a sample, without an account or a network.

    MOUNTPOINT is ~/comet-demo by default. Ctrl-C ends the demo.
    """
    from cometfs.fuse import mountpoints

    mountpoints.require_fuse()  # before what cannot be imported without it
    from cometfs import app
    from cometfs.demo import tour
    from cometfs.fuse.mountinfo import resolve
    from cometfs.process import lifetime
    from cometfs.server import sample_directory

    place = resolve(mountpoint or Path("~/comet-demo"))
    with mountpoints.directory_at(place):
        show = functools.partial(tour.show, terminal(markup=True, highlight=True), place)
        lifetime.run(functools.partial(app.demo, allow_non_empty=allow_non_empty), sample_directory(), place, show)
