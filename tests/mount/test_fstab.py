"""`mount -t fuse.cometfs` and lines of /etc/fstab, by the real mount(8), on a machine that was booted for it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.booted import Machine, booted, needs_systemd
from tests.support.processes import Comet, running_comet
from tests.support.subprocesses import await_that

USER = "alice"
KEY = "the-key"
HELPER = Path(sys.executable).with_name("mount.cometfs")
PROFILE = "lab"
PLACE = "/srv/comet"
LINK = "/sbin/mount.fuse.cometfs"

pytestmark = needs_systemd


@pytest.fixture(scope="module")
def comet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Comet]:
    with running_comet(tmp_path_factory.mktemp("comet"), "--api-key", KEY) as server:
        yield server


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory, comet: Comet) -> Iterator[Machine]:
    """With a profile of root's, and one of a user's."""
    with booted(tmp_path_factory.mktemp("machine")) as found:
        found.add_user(USER)
        found.write("/etc/cometfs/key", KEY, 0o600)
        found.write(f"/home/{USER}/key", KEY, 0o600, USER)
        profiles = {PROFILE: "/etc/cometfs/key", USER: f"/home/{USER}/key"}
        lines = [f'[profiles.{name}]\nurl = "{comet.url}"\napi_key_file = "{key}"' for name, key in profiles.items()]
        found.write("/etc/cometfs/config.toml", "\n".join(lines))
        found.run("mkdir", "-p", PLACE)
        found.run("install", "-d", "-o", USER, f"/home/{USER}/comet")
        yield found


@pytest.fixture
def linked(machine: Machine) -> Iterator[Machine]:
    """With the helper where mount(8) looks for it. What a failed test leaves is unmounted."""
    machine.run("ln", "-s", HELPER, LINK)
    yield machine
    machine.run("umount", "-l", "-a", "-t", "fuse.cometfs")
    machine.run("rm", LINK)


def is_mounted(machine: Machine, place: str) -> bool:
    return f" {place} " in machine.run("cat", "/proc/self/mountinfo")


def unmount(machine: Machine, place: str, user: str | None = None) -> None:
    """The daemon ends by that."""
    machine.run("umount", place, user=user)
    await_that(lambda: not machine.run("pgrep", "-f", "mount.*cometfs", check=False), "a daemon is left")


def fstab(machine: Machine, *lines: str) -> None:
    machine.write("/etc/fstab", "".join(f"{line}\n" for line in lines))
    machine.run("systemctl", "daemon-reload")


def test_mount_finds_the_helper(linked: Machine) -> None:
    """With the options that it adds by itself."""
    linked.run("mount", "-v", "-t", "fuse.cometfs", PROFILE, PLACE, "-o", "workspace=tabular,_netdev,nofail,noatime")
    assert "tabular" in linked.run("ls", PLACE)
    assert "vision-lab" not in linked.run("ls", PLACE)
    unmount(linked, PLACE)


def test_mount_finds_cometfs_by_libfuse(machine: Machine) -> None:
    """Where no helper is linked, mount.fuse3 runs the command itself."""
    machine.run("ln", "-s", HELPER.with_name("cometfs"), "/usr/local/bin/cometfs")
    machine.run("mount", "-t", "fuse.cometfs", PROFILE, PLACE, "-o", "workspace=tabular")
    machine.run("rm", "/usr/local/bin/cometfs")
    assert "tabular" in machine.run("ls", PLACE)
    unmount(machine, PLACE)


def test_a_mount_that_fails_has_the_status_of_mount(linked: Machine) -> None:
    """1 where the call is wrong, 32 where the mount fails; and one sentence."""
    mount = ("mount", "-t", "fuse.cometfs")
    assert linked.status(*mount, PROFILE, PLACE, "-o", "ofline") == (
        1,
        "cometfs: there is no mount option 'ofline': do you mean 'offline'?\n",
    )
    status, output = linked.status(*mount, PROFILE, PLACE, "-o", "rate=none")
    assert (status, output.count("\n")) == (1, 1)
    assert "'--rate'" in output
    status, output = linked.status(*mount, "lba", PLACE)
    assert (status, output) == (32, "cometfs: there is no profile 'lba': do you mean 'lab'?\n")
    assert linked.status(*mount, "-f", PROFILE, PLACE) == (0, "")
    assert not is_mounted(linked, PLACE)


def test_a_line_of_fstab_mounts_on_the_first_look(linked: Machine) -> None:
    """systemd makes an automount of it; another user sees the mount, too."""
    fstab(linked, f"{PROFILE} {PLACE} fuse.cometfs _netdev,x-systemd.automount,noauto,user,allow_other 0 0")
    linked.run("systemctl", "start", "srv-comet.automount")
    assert linked.run("systemctl", "is-active", "srv-comet.mount", check=False) == "inactive\n"
    assert "vision-lab" in linked.run("ls", PLACE, user=USER)
    assert linked.run("systemctl", "is-active", "srv-comet.mount") == "active\n"
    linked.run("systemctl", "stop", "srv-comet.automount", "srv-comet.mount")
    assert not is_mounted(linked, PLACE)


def test_mount_all_mounts_once(linked: Machine) -> None:
    """The second `mount -a` finds the mount by its source."""
    fstab(
        linked,
        f"{PROFILE} {PLACE} fuse.cometfs _netdev,nofail 0 0",
        f"{PROFILE} /home/{USER}/comet fuse.cometfs noauto 0 0",
    )
    linked.run("mount", "-a")
    assert "vision-lab" in linked.run("ls", PLACE)
    assert linked.run("findmnt", "-n", "-o", "SOURCE", PLACE) == f"{PROFILE}\n"
    assert linked.status("mount", "-a") == (0, "")
    assert not is_mounted(linked, f"/home/{USER}/comet")
    unmount(linked, PLACE)


def test_a_user_mounts_and_unmounts_a_line_with_user(linked: Machine) -> None:
    """By mount(8), as that user, whose key it takes; nothing in it can be run."""
    place = f"/home/{USER}/comet"
    fstab(linked, f"{USER} {place} fuse.cometfs user,noauto 0 0")
    linked.run("mount", place, user=USER)
    assert "vision-lab" in linked.run("ls", place, user=USER)
    options = linked.run("findmnt", "-n", "-o", "OPTIONS", place).strip().split(",")
    assert {"nosuid", "nodev", "noexec"} <= set(options)
    unmount(linked, place, USER)


def test_root_mounts_for_a_user(linked: Machine) -> None:
    """By `setuid`: at boot, say."""
    place = f"/home/{USER}/comet"
    linked.run("mount", "-t", "fuse.cometfs", USER, place, "-o", f"setuid={USER}")
    assert "vision-lab" in linked.run("ls", place, user=USER)
    assert f"/home/{USER}/.cache/cometfs" in linked.run("find", f"/home/{USER}/.cache", "-name", "cometfs")
    unmount(linked, place)
    status, output = linked.status("mount", "-t", "fuse.cometfs", USER, place, "-o", "setuid=nobody-here")
    assert (status, output.count("names no user of this machine")) == (1, 1)
