"""What the package is made of, and by what: locked with hashes, listed for others, and nothing that was read is run."""

from __future__ import annotations

import ast
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

LOCKS = ("requirements.lock", "requirements-dev.lock", "requirements-build.lock")

PINNED = re.compile(r"([A-Za-z0-9._-]+)==([^ ;\\]+)")


def locked(name: str) -> dict[tuple[str, str], set[str]]:
    """The hashes of each package and version of a lock."""
    text = (ROOT / "scripts" / name).read_text("utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    found = {}
    for line in lines:
        pinned = PINNED.match(line)
        assert pinned, line
        found[pinned[1], pinned[2]] = set(re.findall(r"--hash=sha256:([0-9a-f]{64})", line))
    return found


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("name", LOCKS)
def test_every_dependency_is_locked_with_hashes(name: str) -> None:
    """An exact version, and the hash of each of its files; no address."""
    packages = locked(name)
    assert packages
    assert [package for package, hashes in packages.items() if not hashes] == []
    assert "://" not in (ROOT / "scripts" / name).read_text("utf-8")


def test_every_dependency_is_in_its_lock() -> None:
    """Those of the package and its extra, and those of the groups."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    whole = [*project["project"]["dependencies"], *project["project"]["optional-dependencies"]["fuse"]]
    wanted = {
        "requirements.lock": whole,
        "requirements-dev.lock": [*whole, *project["dependency-groups"]["dev"]],
        "requirements-build.lock": project["dependency-groups"]["build"],
    }
    for name, dependencies in wanted.items():
        names = {plain(package) for package, _ in locked(name)}
        assert {plain(re.split(r"[\[><=~! ]", one)[0]) for one in dependencies} <= names


def test_the_list_for_others_is_the_lock() -> None:
    """The SBOM that is in each wheel has the same packages, versions and hashes: scripts/lock made both."""
    bom = json.loads((ROOT / "scripts/cometfs.cdx.json").read_text("utf-8"))
    assert (bom["bomFormat"], bom["metadata"]["component"]["name"]) == ("CycloneDX", "cometfs")
    listed: dict[tuple[str, str], set[str]] = {}
    for part in bom["components"]:
        assert part["purl"].startswith(f"pkg:pypi/{part['name']}@{part['version']}")
        hashes = {one["content"] for place in part["externalReferences"] for one in place["hashes"]}
        listed.setdefault((part["name"], part["version"]), set()).update(hashes)
    assert listed == locked("requirements.lock")


FORBIDDEN = ("pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "code", "codeop", "yaml")


def names_of(path: Path) -> Iterator[tuple[int, str]]:
    """What a module imports and calls."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name.partition(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.lineno, (node.module or "").partition(".")[0]
        elif isinstance(node, ast.Call):
            yield node.lineno, f"{ast.unparse(node.func)}()"
            yield from ((node.lineno, "shell=") for word in node.keywords if word.arg == "shell")


def is_forbidden(name: str) -> bool:
    calls = ("eval()", "exec()", "compile()", "__import__()", "os.system()", "os.popen()", "shell=")
    return name in FORBIDDEN or name in calls or name.startswith(("subprocess.getoutput", "os.spawn"))


def test_nothing_that_was_read_is_executed() -> None:
    """No pickle, no eval, no shell: neither what a server sends nor what stands in a file is code."""
    source = ROOT / "src/cometfs"
    found = [
        (path.relative_to(source).as_posix(), line, name)
        for path in sorted(source.rglob("*.py"))
        for line, name in names_of(path)
        if is_forbidden(name)
    ]
    assert found == []
