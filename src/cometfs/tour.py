"""What the demo shows a newcomer: commands that work on the sample as they stand (a test runs each of them)."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.markup import escape

from cometfs.home import home
from cometfs.printable import printable

STOPS = (
    ("ls *", "workspaces and their projects"),
    ("ls -l vision-lab/digits/mlp-baseline", "an experiment is a directory"),
    ("cat vision-lab/digits/mlp-baseline/params.json", "its parameters"),
    ("tail -n 3 vision-lab/digits/mlp-baseline/output.txt", "the end of what it printed"),
    ("diff vision-lab/digits/mlp-wide-*/params.json", "what two runs of the same name have changed"),
    ("grep -H '\"lr\"' */*/*/params.json", "one parameter across all experiments"),
    ("head -n 3 vision-lab/digits/mlp-baseline/metrics/validate_loss.csv", "a metric, every point of it"),
    ("jq -c .validate_accuracy vision-lab/digits/mlp-*/metrics.json", "last, least and greatest values"),
    ("find . -path '*/assets/*' -name '*.png'", "images, models, tables, everything that was logged"),
    ("cp -r vision-lab/digits/mlp-baseline /tmp/", "take one home"),
)
"""Commands, to be run in the mountpoint, each with what it shows."""


def show(console: Console, mountpoint: Path, url: str) -> None:
    """Prints the tour."""
    place = _short(mountpoint)
    console.print(f"A sample Comet ({url}) is mounted at [bold]{escape(place)}[/bold]. In another terminal, try:\n")
    console.print(f"  cd {escape(place)}", highlight=False)
    for command, about in STOPS:
        console.print(f"  {escape(command):<70} [dim]# {escape(about)}[/dim]", highlight=False, soft_wrap=True)
    console.print("\nCtrl-C here unmounts it and leaves nothing behind.")


def _short(path: Path) -> str:
    known = home()
    return printable(f"~/{path.relative_to(known)}" if known and path.is_relative_to(known) else str(path))
