"""Units of systemd: a systemd that was booted for it starts, restarts and stops mounts by them."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.booted import Machine, booted, needs_systemd
from tests.support.processes import Comet, running_comet
from tests.support.subprocesses import await_that

USER = "alice"
KEY = "the-key-of-alice"
COMETFS = Path(sys.executable).with_name("cometfs")

pytestmark = needs_systemd


@pytest.fixture(scope="module")
def comet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Comet]:
    """A Comet that lets in one key."""
    with running_comet(tmp_path_factory.mktemp("comet"), "--api-key", KEY) as server:
        yield server


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with booted(tmp_path_factory.mktemp("machine")) as found:
        found.add_user(USER)
        yield found


@pytest.fixture
def home(machine: Machine, comet: Comet) -> Iterator[Path]:
    """Of the user, with the address of the Comet and a file with the key; nothing of a test stays."""
    machine.write(f"/home/{USER}/.comet.config", f"[comet]\nurl_override={comet.url}\n", owner=USER)
    machine.write(f"/home/{USER}/key", KEY, 0o600, USER)
    yield Path("/home") / USER
    cometfs(machine, "service", "remove", user=USER)
    machine.run("rm", "-rf", f"/home/{USER}/.config", f"/home/{USER}/.cache")


def cometfs(machine: Machine, *words: str | Path, user: str | None = None) -> tuple[int, str]:
    return machine.status(COMETFS, *words, user=user)


def install(machine: Machine, *words: str | Path) -> str:
    status, output = cometfs(machine, "service", "install", *words, user=USER)
    assert status == 0, output
    return output


def shown(machine: Machine, unit: str, name: str, user: str | None = USER) -> str:
    """A property of a unit."""
    manager = ["--user"] if user else []
    return machine.run("systemctl", *manager, "show", f"--property={name}", "--value", unit, user=user).strip()


def mounts(machine: Machine, place: Path) -> int:
    return machine.run("cat", "/proc/self/mountinfo").count(f" {place} ")


def test_a_service_of_a_user_mounts_and_shows_its_calls(machine: Machine, home: Path) -> None:
    """With the key by a credential, which is nowhere in the unit; it is there as long as the service."""
    output = install(machine, "--api-key-file", home / "key")
    assert output == (f"wrote {home}/.config/systemd/user/cometfs.service\nenabled and started cometfs.service\n")
    assert "vision-lab" in machine.run("ls", home / "comet", user=USER)
    assert shown(machine, "cometfs.service", "UnitFileState") == "enabled"
    line = shown(machine, "cometfs.service", "StatusText")
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+: online; 1[45],\d{3} calls left of 15,000 an hour", line)
    assert KEY not in machine.run("cat", home / ".config/systemd/user/cometfs.service")
    daemon = shown(machine, "cometfs.service", "MainPID")
    assert KEY not in machine.run("cat", f"/proc/{daemon}/environ")

    again = install(machine, "--api-key-file", home / "key")
    assert again.startswith("unchanged ")
    assert shown(machine, "cometfs.service", "MainPID") == daemon

    status = cometfs(machine, "service", "status", user=USER)
    assert status[0] == 0
    assert "cometfs.service: active (running), enabled\n" in status[1]
    assert f"Comet account at {home}/comet\n" in status[1]
    (found,) = map(json.loads, cometfs(machine, "service", "status", "--json", user=USER)[1].splitlines())
    assert found["StatusText"].endswith("an hour")

    assert cometfs(machine, "service", "remove", user=USER) == (
        0,
        f"removed {home}/.config/systemd/user/cometfs.service\n",
    )
    assert mounts(machine, home / "comet") == 0
    assert cometfs(machine, "service", "status", user=USER)[1].startswith("no services")


def dropped_in(machine: Machine, home: Path, text: str) -> None:
    machine.write(home / ".config/systemd/user/cometfs.service.d/test.conf", f"[Service]\n{text}\n", owner=USER)
    machine.run("systemctl", "--user", "daemon-reload", user=USER)


def kill(machine: Machine) -> None:
    machine.run("kill", "-KILL", shown(machine, "cometfs.service", "MainPID"))


def kill_of(machine: Machine, unit: str) -> None:
    """The same, of a service of the machine."""
    machine.run("kill", "-KILL", shown(machine, unit, "MainPID", None))


def test_a_killed_daemon_is_started_again(machine: Machine, home: Path) -> None:
    install(machine, "--api-key-file", home / "key")
    dropped_in(machine, home, "RestartSec=0")
    before = shown(machine, "cometfs.service", "MainPID")
    kill(machine)
    await_that(
        lambda: (
            shown(machine, "cometfs.service", "ActiveState") == "active"
            and shown(machine, "cometfs.service", "MainPID") != before
        ),
        "it is not started again",
    )
    assert "vision-lab" in machine.run("ls", home / "comet", user=USER)


def test_the_dead_mount_of_a_killed_daemon_is_cleared_away(machine: Machine, home: Path) -> None:
    """Where it is not started again, too."""
    install(machine, "--api-key-file", home / "key")
    dropped_in(machine, home, "Restart=no")
    kill(machine)
    await_that(lambda: shown(machine, "cometfs.service", "ActiveState") == "failed", "it goes on")
    assert mounts(machine, home / "comet") == 0


def test_a_service_that_fails_leaves_the_mount_of_another_alone(machine: Machine, home: Path) -> None:
    """A person has mounted there."""
    machine.run("mkdir", "-p", home / "comet", user=USER)
    machine.run(COMETFS, "mount", home / "comet", "--api-key-file", home / "key", user=USER)
    status, output = cometfs(machine, "service", "install", "--api-key-file", home / "key", user=USER)
    assert status == 1
    assert "'systemctl --user restart cometfs.service' failed: " in output
    assert "vision-lab" in machine.run("ls", home / "comet", user=USER)
    assert "is mounted by cometfs already" in machine.run("journalctl", "--no-pager", "_COMM=cometfs")
    machine.run(COMETFS, "umount", home / "comet", user=USER)


@pytest.fixture
def shared_profile(machine: Machine, comet: Comet) -> Iterator[str]:
    """A profile of the machine, whose key root alone can read; and its service is removed."""
    machine.write("/etc/cometfs/lab.key", KEY, 0o600)
    profile = f'[profiles.lab]\nurl = "{comet.url}"\napi_key_file = "/etc/cometfs/lab.key"\n'
    machine.write("/etc/cometfs/config.toml", profile)
    yield "lab"
    cometfs(machine, "service", "remove", "lab", "--system")


def test_a_service_of_the_machine_mounts_for_all_users(machine: Machine, shared_profile: str) -> None:
    """As a user of its own, in a sandbox, with the key by a credential; a kill leaves no dead mount."""
    status, output = cometfs(machine, "service", "install", shared_profile, "--system")
    assert status == 0, output + machine.run("journalctl", "--no-pager", "-u", "cometfs@lab")
    unit, place = "cometfs@lab.service", Path("/srv/comet-lab")
    assert "vision-lab" in machine.run("ls", place, user=USER)
    daemon = shown(machine, unit, "MainPID", None)
    assert machine.run("stat", "-c", "%U", f"/proc/{daemon}").strip() == "cometfs"
    found = machine.run("cat", f"/proc/{daemon}/status")
    assert "NoNewPrivs:\t1\n" in found
    assert "Seccomp:\t2\n" in found
    assert f"CapBnd:\t{1 << 21:016x}\n" in found  # CAP_SYS_ADMIN
    assert machine.run("ls", "/var/cache/cometfs")
    kill_of(machine, unit)
    await_that(lambda: mounts(machine, place) == 0, "the dead mount stays")
    assert cometfs(machine, "service", "status", "--system")[1].startswith(unit)
    assert cometfs(machine, "service", "remove", shared_profile, "--system")[0] == 0
    assert mounts(machine, place) == 0


def test_an_automount_of_the_machine_mounts_on_the_first_look(machine: Machine, shared_profile: str) -> None:
    """By `mount.cometfs`, which the command links into /sbin."""
    status, output = cometfs(machine, "service", "install", shared_profile, "--system", "--automount")
    assert status == 0, output
    assert f"linked /sbin/mount.fuse.cometfs to {COMETFS.with_name('mount.cometfs')}\n" in output
    mount, automount = r"srv-comet\x2dlab.mount", r"srv-comet\x2dlab.automount"
    assert output.endswith(f"enabled and started {automount}\n")
    assert shown(machine, mount, "ActiveState", None) == "inactive"
    looked = machine.run("ls", "/srv/comet-lab", user=USER, check=False)
    assert "vision-lab" in looked, looked + machine.run("journalctl", "--no-pager", "-u", mount)
    assert shown(machine, mount, "ActiveState", None) == "active"
    (daemon,) = machine.run("pgrep", "-f", "cometfs mount .*/srv/comet-lab").split()
    assert machine.run("stat", "-c", "%U", f"/proc/{daemon}").strip() == "cometfs"
    found = machine.run("cat", f"/proc/{daemon}/status")
    assert f"CapBnd:\t{1 << 21:016x}\n" in found  # CAP_SYS_ADMIN
    assert "NoNewPrivs:\t1\n" in found
    assert KEY not in machine.run("cat", f"/proc/{daemon}/environ", f"/proc/{daemon}/cmdline")
    assert machine.run("find", "/run", "-maxdepth", "1", "-name", "cometfs-*") == ""
    assert machine.run("stat", "-c", "%U %a", "/var/cache/cometfs").strip() == "cometfs 700"
    assert KEY not in machine.run("journalctl", "--no-pager")
    status, output = cometfs(machine, "service", "remove", shared_profile, "--system")
    assert (status, output.count("removed ")) == (0, 2)
    assert mounts(machine, Path("/srv/comet-lab")) == 0
