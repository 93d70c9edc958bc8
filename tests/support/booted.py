"""A systemd as process 1, booted from a copy of this machine's own root that forgets what is written to it.

It has namespaces of its own for mounts, processes, cgroups, IPC and its name; the network is this machine's, so that a
Comet here is reached from there. Not here: what units do there (test_services.py, test_fstab.py).
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.processes import PATIENCE
from tests.support.subprocesses import await_that

_BOOT = r"""
set -e
shared=$1
mount --make-rprivate /
mount -t tmpfs none /mnt
mkdir /mnt/cgroup /mnt/upper /mnt/work /mnt/root
mount -t cgroup2 none /mnt/cgroup
mkdir "/mnt/cgroup/$2"
echo $$ > "/mnt/cgroup/$2/cgroup.procs"
mount -t overlay none /mnt/root -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work
exec unshare --cgroup bash -c '
set -e
shared=$1
cd /mnt/root
mount -t tmpfs tmpfs tmp -o mode=1777
mkdir -p ".$shared"
mount --bind "$shared" ".$shared"
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t cgroup2 none sys/fs/cgroup
mount -t tmpfs tmpfs run -o mode=755
mount -t tmpfs tmpfs dev -o mode=755
while read -r name numbers; do
    mknod -m 666 dev/$name c $numbers
done <<NODES
null 1 3
zero 1 5
full 1 7
random 1 8
urandom 1 9
tty 5 0
fuse 10 229
autofs 10 235
NODES
mkdir -p dev/pts dev/shm
mount -t devpts devpts dev/pts -o newinstance,ptmxmode=0666,mode=620
mount -t tmpfs tmpfs dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
touch dev/console
mount --bind "$shared/console" dev/console
chmod a+x root      # where a Python may lie that users there run
chmod -x usr/sbin/policy-rc.d 2>/dev/null || true
for unit in systemd-timesyncd systemd-sysctl systemd-binfmt systemd-modules-load systemd-pcrphase \
    systemd-pcrphase-sysinit systemd-update-utmp systemd-remount-fs; do
    ln -sf /dev/null "etc/systemd/system/$unit.service"
done
: > etc/fstab
cat > etc/systemd/system/testing.target <<UNIT
[Unit]
Requires=basic.target dbus.socket
Wants=systemd-logind.service
After=basic.target systemd-logind.service
AllowIsolate=yes
UNIT
mkdir -p before
pivot_root . before
umount -l /before
mount --make-rshared /
echo > "$shared/starting"
exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin TERM=dumb \
    /lib/systemd/systemd --unit=testing.target --log-target=console
' boot "$shared"
"""

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

needs_systemd = pytest.mark.skipif(
    os.geteuid() != 0 or not Path("/lib/systemd/systemd").exists() or not shutil.which("dbus-daemon"),
    reason="only root can boot a systemd, and it takes the packages systemd and dbus",
)


@dataclass(frozen=True)
class Machine:
    """The booted systemd."""

    init: int
    """Its process, as this side sees it."""
    shared: Path
    """A directory that both sides have under this name."""

    def run(self, *words: str | Path, user: str | None = None, check: bool = True, **environ: str) -> str:
        """What a command prints there, on either stream, as root or another user with a session of its own."""
        done = subprocess.run(
            [*self._inside(user), *words],
            cwd="/",
            env={"PATH": PATH, "LC_ALL": "C.UTF-8", "HOME": "/root", "TERM": "dumb", **environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE,
        )
        if check:
            assert done.returncode == 0, done.stdout
        return done.stdout

    def status(self, *words: str | Path, user: str | None = None) -> tuple[int, str]:
        """How a command ends there, and what it prints."""
        script = '"$@"; echo "status $?"'
        output, _, status = self.run("sh", "-c", script, "sh", *words, user=user).rpartition("status ")
        return int(status), output

    def add_user(self, name: str) -> None:
        """One with a home and a service manager."""
        self.run("useradd", "--create-home", name)
        self.run("loginctl", "enable-linger", name)
        await_that(
            lambda: "running" in self.run("systemctl", "--user", "is-system-running", user=name, check=False), ""
        )

    def write(self, path: str | Path, text: str, mode: int = 0o644, owner: str = "root") -> None:
        """A file there, with its directories."""
        source = self.shared / "written"
        source.write_text(text)
        self.run("install", "-D", "-m", f"{mode:o}", "-o", owner, source, str(path))

    def _inside(self, user: str | None) -> list[str]:
        words = ["nsenter", f"--target={self.init}", "--mount", "--pid", "--cgroup", "--ipc", "--uts"]
        if user is None:
            return words
        script = (
            'export XDG_RUNTIME_DIR="/run/user/$(id -u)" HOME="$(getent passwd "$(id -u)" | cut -d: -f6)"; exec "$@"'
        )
        return [*words, "runuser", "-u", user, "--", "sh", "-c", script, "sh"]


@contextmanager
def booted(shared: Path) -> Iterator[Machine]:
    """Until the block ends. Skips the test where this machine does not let one boot."""
    shared.chmod(0o755)
    (shared / "console").touch()
    group = f"cometfs-test-{os.getpid()}"
    command = [
        "unshare",
        "--mount",
        "--pid",
        "--fork",
        "--ipc",
        "--uts",
        "bash",
        "-c",
        _BOOT,
        "boot",
        str(shared),
        group,
    ]
    with (shared / "boot.log").open("wb") as log, subprocess.Popen(command, stderr=log, stdout=log) as outer:
        try:
            await_that(lambda: (shared / "starting").exists() or outer.poll() is not None, "no systemd starts")
            if outer.poll() is not None:
                pytest.skip(f"no systemd can be booted here: {(shared / 'boot.log').read_text()[-300:]}")
            machine = Machine(_child(outer.pid), shared)
            ready = ("systemctl", "is-system-running", "--wait")
            await_that(lambda: machine.run(*ready, check=False).strip() in ("running", "degraded"), "it does not boot")
            yield machine
        finally:
            if outer.poll() is None:
                os.kill(_child(outer.pid), 9)
    _remove(group)


def _child(process: int) -> int:
    return int(Path(f"/proc/{process}/task/{process}/children").read_text().split()[0])


def _remove(group: str) -> None:
    """The control groups of a machine that has ended."""
    script = 'mount -t cgroup2 none /mnt && find "/mnt/$1" -depth -type d -exec rmdir {} +'
    subprocess.run(["unshare", "--mount", "sh", "-c", script, "sh", group], check=False, capture_output=True)
