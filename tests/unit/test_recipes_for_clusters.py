"""The examples of `cometfs help cluster` are what Kubernetes and Python read, and name what is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import click
import yaml

from cometfs.cli import main
from cometfs.options.listing import VARIABLES

PAGE = (Path(__file__).parents[2] / "src/cometfs/manual/cluster.md").read_text("utf-8")

KINDS = {
    "Secret": ("v1", {"stringData"}),
    "Job": ("batch/v1", {"spec"}),
    "DaemonSet": ("apps/v1", {"spec"}),
}
"""Kind -> its version, and what it has beside the three keys of every object."""

CONTAINER = {"name", "image", "command", "env", "volumeMounts", "securityContext"}

VOLUMES = {"secret", "emptyDir", "hostPath"}


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def objects() -> list[dict[str, Any]]:
    return [yaml.safe_load(text) for text in blocks("yaml")]


def pods() -> list[dict[str, Any]]:
    return [found["spec"]["template"]["spec"] for found in objects() if "spec" in found]


def test_each_object_is_of_its_kind() -> None:
    assert [found["kind"] for found in objects()] == list(KINDS)
    for found in objects():
        version, keys = KINDS[found["kind"]]
        assert found["apiVersion"] == version
        assert set(found) == {"apiVersion", "kind", "metadata", *keys}
        assert re.fullmatch(r"[a-z0-9-]+", found["metadata"]["name"])


def test_a_daemon_set_selects_its_pods() -> None:
    spec = objects()[-1]["spec"]
    assert spec["selector"]["matchLabels"] == spec["template"]["metadata"]["labels"]


def test_containers_mount_volumes_that_are_there() -> None:
    """And the Secret has the key under the name of the file."""
    secret = objects()[0]
    for pod in pods():
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        assert all(len(volume.keys() & VOLUMES) == 1 and len(volume) == 2 for volume in volumes.values())
        assert volumes["key"]["secret"]["secretName"] == secret["metadata"]["name"]
        for container in pod["containers"]:
            assert set(container) <= CONTAINER
            assert {mount["name"] for mount in container["volumeMounts"]} == set(volumes)
    assert all(f"/secret/{name}" in PAGE for name in secret["stringData"])


def test_what_they_run_and_set_exists() -> None:
    """Commands and variables of the environment."""
    for pod in pods():
        for container in pod["containers"]:
            assert {one["name"] for one in container.get("env", ())} <= set(VARIABLES)
            words = container["command"]
            if words[0] == "cometfs":
                command = main.commands[words[1]]
                command.make_parser(click.Context(command)).parse_args(words[2:])
    assert set(re.findall(r"COMETFS_\w+", PAGE)) <= set(VARIABLES)


def test_the_program_for_slurm_is_python() -> None:
    for text in blocks("python"):
        ast.parse(text)
