"""What the demo shows a newcomer: commands that work on the sample as they stand (a test runs each of them)."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.markup import escape

from cometfs.host.home import home
from cometfs.text.printable import printable

FOLLOWS = "tail -f"
"""How a command begins that does not end by itself."""

STOPS = (
    ("ls *", "workspaces and their projects"),
    ("ls -l vision-lab/digits/mlp-baseline", "an experiment is a directory"),
    ("cat vision-lab/digits/mlp-baseline/params.json", "its parameters"),
    ("diff vision-lab/digits/mlp-wide-*/params.json", "what two runs of the same name have changed"),
    ("grep -H '\"lr\"' */*/*/params.json", "one parameter across all experiments"),
    ("grep validate_accuracy vision-lab/digits/mlp-*/metrics.json", "last, least and greatest values"),
    ("head -n 3 vision-lab/digits/mlp-baseline/metrics/validate_loss.csv", "a metric, every point of it"),
    ("head -n 3 vision-lab/digits/charts/validate_accuracy.csv", "one metric of all experiments"),
    ("cat vision-lab/digits/views/best/validate_accuracy/max/params.json", "the parameters of the best one"),
    ("cut -d, -f 2-4 vision-lab/digits/experiments.csv", "all experiments as a table, with every parameter and metric"),
    ("ls -l vision-lab/digits/summary", "the same as a page, overview.html: open it in a browser"),
    (f"{FOLLOWS} vision-lab/digits/mlp-live/output.txt", "a run that goes on; ^C ends it"),
    ("touch . && ls vision-lab/digits/views/running", "see what is new now, not in a minute"),
    ("find . -path '*/assets/*' -name '*.png'", "images, models, tables, everything that was logged"),
    ("cp -r vision-lab/digits/mlp-baseline ~", "take one home"),
)
"""Commands, to be run in the mountpoint, each with what it shows; of what is on every machine."""


def show(console: Console, mountpoint: Path, url: str) -> None:
    """Prints the tour."""
    place = _short(mountpoint)
    console.print(f"A sample Comet account is mounted at [bold]{escape(place)}[/bold].")
    console.print(f"Open [bold]{url}[/bold] in a browser to look at it as pages. Or try in another terminal:\n")
    console.print(f"  cd {escape(place)}", highlight=False)
    for command, about in STOPS:
        console.print(f"  {escape(command):<70} [dim]# {escape(about)}[/dim]", highlight=False, soft_wrap=True)
    console.print("\nCtrl-C here unmounts it and leaves nothing behind.")


def _short(path: Path) -> str:
    known = home()
    return printable(f"~/{path.relative_to(known)}" if known and path.is_relative_to(known) else str(path))
