"""The examples of `cometfs help cluster` are what Kubernetes, Slurm and shells read, and name what is there.

Kubernetes' own schemas say what a manifest may hold. Here stands what they do not know: words that they take for any
string, and how the recipes fit together and to cometfs. What the scripts for Slurm do: mount/test_recipes_for_slurm.py.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import click
import kubernetes_validate
import pytest
import yaml

from cometfs.cli import main
from cometfs.options.listing import VARIABLES

MANUAL = Path(__file__).parents[2] / "src/cometfs/manual"

PAGE = (MANUAL / "cluster.md").read_text("utf-8")

KUBERNETES = ("1.25", "1.37")
"""The oldest and the newest whose schemas there are."""

NAME = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"

SBATCH = {
    "job-name": r"\S+",
    "array": r"\d+-\d+",
    "cpus-per-task": r"\d+",
    "mem": r"\d+[KMGT]?",
    "time": r"\d\d:\d\d:\d\d",
}
"""The options of sbatch that the recipes use, and how it reads them."""


def blocks(language: str, page: str = PAGE) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


def manifests() -> list[dict[str, Any]]:
    """Those of the whole manual."""
    pages = (path.read_text("utf-8") for path in sorted(MANUAL.glob("*.md")))
    found = (one for page in pages for text in blocks("yaml", page) for one in yaml.safe_load_all(text))
    return [one for one in found if "apiVersion" in one]


def by_kind(kind: str) -> Any:
    (found,) = [one for one in manifests() if one["kind"] == kind]
    return found


def pods() -> list[dict[str, Any]]:
    return [by_kind("Pod")["spec"], *(by_kind(kind)["spec"]["template"]["spec"] for kind in ("Job", "DaemonSet"))]


@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("manifest", manifests(), ids=lambda one: one["kind"])
def test_kubernetes_takes_each_manifest(manifest: dict[str, Any], version: str) -> None:
    """Strictly: a key that it does not know is refused."""
    kubernetes_validate.validate(manifest, version, strict=True)
    assert re.fullmatch(NAME, manifest["metadata"]["name"])


def test_a_manifest_with_a_mistake_is_refused() -> None:
    """What is misspelt, missing, or of another type."""
    job = yaml.safe_dump(by_kind("Job"))
    for right, wrong in (
        ("restartPolicy", "restartPolcy"),
        ("mountPath: /cache", "path: /cache"),
        ("value: /cache", "value: 3"),
    ):
        assert right in job
        with pytest.raises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate(yaml.safe_load(job.replace(right, wrong)), KUBERNETES[-1], strict=True)


def test_a_daemon_set_selects_its_pods() -> None:
    spec = by_kind("DaemonSet")["spec"]
    assert spec["selector"]["matchLabels"].items() <= spec["template"]["metadata"]["labels"].items()


def test_pods_that_end_are_not_started_again() -> None:
    """A Job refuses the default, which a DaemonSet must have."""
    assert by_kind("Job")["spec"]["template"]["spec"]["restartPolicy"] in ("Never", "OnFailure")
    assert by_kind("DaemonSet")["spec"]["template"]["spec"].get("restartPolicy", "Always") == "Always"


def test_containers_mount_the_volumes_that_are_there() -> None:
    """And the Secret has the key under the name of the file."""
    secret = by_kind("Secret")
    for pod in pods():
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        for container in pod["containers"]:
            assert {mount["name"] for mount in container["volumeMounts"]} == set(volumes)
        if "key" in volumes:
            assert volumes["key"]["secret"]["secretName"] == secret["metadata"]["name"]
    assert all(f"/secret/{name}" in PAGE for name in secret["stringData"])


def shared_mount(pod: dict[str, Any]) -> tuple[Any, Any]:
    """The volume of the node, and how the container mounts it."""
    (container,) = pod["containers"]
    (volume,) = [one for one in pod["volumes"] if "hostPath" in one]
    (mount,) = [one for one in container["volumeMounts"] if one["name"] == volume["name"]]
    return volume["hostPath"], mount


def test_a_mount_reaches_the_pods_beside_it() -> None:
    """Out of a container that is privileged, which Kubernetes asks of one whose mounts others see, and into theirs."""
    daemon = by_kind("DaemonSet")["spec"]["template"]["spec"]
    (ours, out), (theirs, into) = shared_mount(daemon), shared_mount(by_kind("Pod")["spec"])
    assert ours == theirs == {"path": ours["path"], "type": "DirectoryOrCreate"}
    assert (out["mountPropagation"], into["mountPropagation"]) == ("Bidirectional", "HostToContainer")
    (container,) = daemon["containers"]
    assert container["securityContext"] == {"privileged": True}  # it has /dev/fuse, too
    assert out["mountPath"] in container["command"]


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


@pytest.mark.parametrize("script", blocks("sh"))
def test_a_script_is_what_bash_and_sbatch_read(script: str) -> None:
    """Options of sbatch stand before the first command: it reads none behind it."""
    done = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    first, *lines = script.splitlines()
    assert first == "#!/bin/bash"
    options = [line for line in lines if line.startswith("#")]
    assert options
    assert options == lines[: len(options)]
    for option in options:
        found = re.fullmatch(r"#SBATCH --([a-z-]+)=(.*)", option)
        assert found
        assert re.fullmatch(SBATCH[found[1]], found[2])
