"""What every wheel holds beside the package, in share/: man pages, completions of shells, units of systemd.

hatchling runs it when it builds a wheel (`tool.hatch.build.targets.wheel.hooks.custom` in pyproject.toml), from a
checkout or an sdist. `.venv/bin/python scripts/wheel_files.py DIR` writes them to look at: `man -l
DIR/man/man1/cometfs.1`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

HERE = Path(__file__).resolve().parent

COMPLETIONS = {
    "bash": "bash-completion/completions/cometfs",
    "zsh": "zsh/site-functions/_cometfs",
    "fish": "fish/vendor_completions.d/cometfs.fish",
}
"""Where each shell looks, below share/."""


class WheelFiles(BuildHookInterface[BuilderConfig]):
    """Adds them to a wheel."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        self._folder = TemporaryDirectory()
        folder = Path(self._folder.name)
        for path in write(folder):
            build_data["shared_data"][str(path)] = f"share/{path.relative_to(folder)}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002
        self._folder.cleanup()


def write(folder: Path) -> list[Path]:
    """Every file, below `folder` as below share/."""
    # The package that is built, not one that happens to be installed; and what is beside this file.
    sys.path[:0] = [str(HERE.parent / "src"), str(HERE)]
    import man_pages

    written = []
    for name, text in (*man_pages.pages(), *completions(), *units()):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        written.append(path)
    return written


def completions() -> Iterator[tuple[str, str]]:
    """A script for each shell, which asks the command itself what comes next."""
    from cometfs.cli.completion import script

    for shell, name in COMPLETIONS.items():
        yield name, script(shell)


def units() -> Iterator[tuple[str, str]]:
    """A template for a user's services, one for the machine's, and the user that those run as."""
    from cometfs.units.systemd import SYSUSERS, templates, text_of

    for name, text in templates().items():
        yield f"systemd/{name}", text
    yield f"sysusers.d/{SYSUSERS}", text_of(SYSUSERS)


if __name__ == "__main__":
    for made in write(Path(sys.argv[1])):
        print(made)
