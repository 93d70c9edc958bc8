"""The container recipes of `cometfs help install` are what docker and docker compose read."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from cometfs.cli import main

PAGE = (Path(__file__).parents[2] / "src/cometfs/manual/install.md").read_text("utf-8")

INSTRUCTIONS = {"FROM", "RUN", "COPY", "ENV", "ENTRYPOINT"}
"""Those of Dockerfile's that the recipe uses."""


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def instructions() -> list[tuple[str, str]]:
    """Each of the Dockerfile, with its arguments."""
    (text,) = blocks("dockerfile")
    lines = [line for line in text.replace("\\\n", " ").splitlines() if line]
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines)]


def assert_is_shell(script: str) -> None:
    done = subprocess.run(["sh", "-n"], input=script, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def assert_is_command(words: list[str]) -> None:
    """`cometfs` would take these arguments."""
    assert words[0] == "cometfs"
    command = main.commands[words[1]]
    command.make_parser(click.Context(command)).parse_args(words[2:])


def test_the_dockerfile_can_be_read() -> None:
    """Its instructions exist, each stage that is copied from comes before, and its commands are a shell's and ours."""
    stages: list[str] = []
    for word, rest in instructions():
        assert word in INSTRUCTIONS
        if word == "FROM":
            stages += re.findall(r"^\S+ AS (\S+)$", rest)
        elif word == "RUN":
            assert_is_shell(rest)
        elif word == "COPY":
            found = re.fullmatch(r"(?:--from=(\S+) )?\S+ \S+", rest)
            assert found
            assert found[1] is None or found[1] in stages
        elif word == "ENV":
            assert re.fullmatch(r"[A-Z_]+=\S+", rest)
        else:
            assert_is_command(json.loads(rest))
    assert instructions()[0][0] == "FROM"


def services() -> dict[str, Any]:
    (text,) = blocks("yaml")
    found: dict[str, Any] = yaml.safe_load(text)
    assert set(found) == {"services", "volumes"}
    listed: dict[str, Any] = found["services"]
    return listed


def test_the_sidecar_shares_its_mount() -> None:
    """It mounts below the directory that it shares, with what a mount needs, and the other one sees what appears."""
    comet, reader = services()["comet"], services()["reader"]
    assert_is_command(comet["entrypoint"])
    assert_is_command(comet["healthcheck"]["test"][1:])
    ours, theirs = comet["volumes"][0], reader["volumes"][0]
    assert (ours["bind"], theirs["bind"]) == ({"propagation": "rshared"}, {"propagation": "rslave"})
    assert ours["source"] == theirs["source"]
    assert comet["entrypoint"][-1].startswith(ours["target"] + "/")
    assert comet["devices"] == ["/dev/fuse:/dev/fuse"]
    assert comet["cap_add"] == ["SYS_ADMIN"]
    assert list(reader["depends_on"]) == ["comet"]
    assert_is_shell(reader["command"][-1])


@pytest.mark.parametrize("script", blocks("sh"))
def test_what_is_typed_is_a_shells(script: str) -> None:
    assert_is_shell(script)
