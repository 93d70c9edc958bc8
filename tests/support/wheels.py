"""Wheels of cometfs, and environments with as many of its dependencies as a test wants, all without the network."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]


def build(source: Path, folder: Path) -> Path:
    """A wheel as pip makes it, with what is installed here instead of the network."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet", "--no-deps"]
    done = subprocess.run(
        [*pip, "--no-build-isolation", "--no-index", "--wheel-dir", folder, source], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("*.whl")
    return wheel


def run(*command: str | Path) -> str:
    """What a command that succeeds prints."""
    done = subprocess.run(command, cwd="/", capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def environment(place: Path, wheel: Path, *extras: str) -> Path:
    """A new environment at `place` with the wheel and what the wheel says it needs, and nothing else.

    Those packages are links to the ones that are installed here.
    """
    venv.create(place)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(place / "bin/python")]
    subprocess.run([*pip, "install", "--quiet", "--no-deps", "--no-index", str(wheel)], check=True)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(place), "platbase": str(place)}))
    (ours,) = Distribution.discover(name="cometfs", path=[str(packages)])
    found: dict[str, Distribution] = {}
    for requirement in needed(ours, ["", *extras]):
        _collect(requirement, found)
    for package in found.values():
        _link(package, packages)
    return place


def needed(package: Distribution, extras: list[str]) -> Iterator[Requirement]:
    """What a package depends on here, with these extras of it."""
    for requirement in map(Requirement, package.requires or ()):
        if requirement.marker is None or any(requirement.marker.evaluate({"extra": extra}) for extra in extras):
            yield requirement


def _collect(requirement: Requirement, found: dict[str, Distribution]) -> None:
    key = str(Requirement(f"{requirement.name}[{','.join(sorted(requirement.extras))}]"))
    if key in found:
        return
    found[key] = distribution(requirement.name)
    for inner in needed(found[key], ["", *requirement.extras]):
        _collect(inner, found)


def _link(package: Distribution, packages: Path) -> None:
    names = {file.parts[0] for file in package.files or ()} - {"..", "__pycache__"}
    for name in names:
        link = packages / name
        if not link.is_symlink():
            link.symlink_to(Path(str(package.locate_file(name))))
