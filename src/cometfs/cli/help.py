"""`help`: pages of the manual."""

from __future__ import annotations

import click

from cometfs.cli.group import main, plain_errors
from cometfs.process import console
from cometfs.process.terminal import draws


@main.command("help")
@click.argument("topic", required=False)
@plain_errors
def show_help(topic: str | None) -> None:
    """Show a page of the manual.

    Without TOPIC, the topics are listed.
    """
    from cometfs import help

    text = help.page(topic) if topic else help.contents()
    console.show_page(help.rendered(text) if draws() else text)
