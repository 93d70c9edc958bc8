"""Commands run as a user that a container might have: no passwd entry, no home, not root.

Not here: what they should say (test_surroundings.py).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.processes import COMETFS, PATIENCE
from tests.support.subprocesses import Said, Stage

UID = 12345

_DEVICE = """
if [ -n "$DEVICE" ]; then
    mount -t tmpfs none "$DEVICE" && mknod -m "$MODE" "$DEVICE/fuse" c 10 229 && mount --bind "$DEVICE/fuse" /dev/fuse
fi
if [ -n "$PASSWD" ]; then
    mount --bind "$PASSWD" /etc/passwd
fi && exec "$@"
"""
"""/dev/fuse with the mode that is wanted, and a passwd file, in a mount namespace that ends with the command."""


@dataclass
class Stranger:
    """A user with one directory, and nothing else."""

    stage: Stage
    home: str | None
    """HOME; None: not set."""

    place: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="cometfs-test-")))
    """Not below the stage: pytest keeps its own directories from others."""

    def run(
        self, script: str, *, mounts: bool = True, device: str = "666", known: bool = False, options: Sequence[str] = ()
    ) -> Said:
        """A shell script in that directory, where `cometfs` is the command; with a mountpoint `m`, and a key.

        `mounts`: may mount without fusermount3, which serves only users with a passwd entry; `known`: has one;
        `device`: mode of /dev/fuse; `options`: of setpriv.
        """
        (self.place / "m").mkdir()
        (self.stage.home / "dev").mkdir()
        for path in (self.place, self.place / "m"):
            os.chown(path, UID, UID)
        environ = {**self.stage.environ, "COMET_API_KEY": "k", "DEVICE": str(self.stage.home / "dev")}
        environ |= {"MODE": device, "TMPDIR": str(self.place), "PASSWD": str(self._passwd()) if known else ""}
        environ = {name: value for name, value in environ.items() if not name.startswith("XDG_")}
        environ.pop("HOME")
        # Python may lie in root's home: it is read all the same, but nothing of root's is written.
        caps = "+dac_read_search" + (",+sys_admin" if mounts else "")
        user = ["setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups", f"--inh-caps={caps}"]
        user += [f"--ambient-caps={caps}", *options]
        shell = ["sh", "-c", f'cometfs() {{ {" ".join(COMETFS)} "$@"; }}\n{script}']
        ended = subprocess.run(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", _DEVICE, "sh", *user, *shell],
            cwd=self.place,
            env=environ | ({} if self.home is None else {"HOME": self.home}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        return Said(ended.returncode, ended.stdout, ended.stderr)

    def _passwd(self) -> Path:
        path = self.stage.home / "passwd"
        path.write_text(f"{Path('/etc/passwd').read_text()}stranger:x:{UID}:{UID}::/nonexistent:/bin/sh\n")
        return path


def as_user(uid: int, gid: int) -> list[str]:
    """What to write before a command that another user is to run."""
    return ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups"]


_CONFIGURED = """
mount --bind "$FUSE_CONF" /etc/fuse.conf
as_root() { "$@"; }
as_other() { setpriv --reuid=54321 --regid=54321 --clear-groups "$@"; }
cometfs() { setpriv --reuid=UID --regid=UID --clear-groups --inh-caps=+dac_read_search --ambient-caps=+dac_read_search \
    COMETFS "$@"; }
"""
"""What a script of `unprivileged` begins with. Python may lie in root's home, and is read all the same."""


def unprivileged(stage: Stage, place: Path, script: str, *, fuse_conf: str) -> Said:
    """A shell script in `place`, in a mount namespace of its own with this /etc/fuse.conf: `cometfs` is run by a user
    with a passwd entry and a mountpoint `m`, `as_root` and `as_other` are others."""
    (place / "m").mkdir(exist_ok=True)
    for path in (place, place / "m"):
        os.chown(path, UID, UID)
    (stage.home / "passwd").write_text(f"{Path('/etc/passwd').read_text()}stranger:x:{UID}:{UID}::{place}:/bin/sh\n")
    (stage.home / "fuse.conf").write_text(fuse_conf)
    (stage.home / "dev").mkdir(exist_ok=True)
    files = {"PASSWD": "passwd", "FUSE_CONF": "fuse.conf", "DEVICE": "dev"}
    environ = {**stage.environ, **{name: str(stage.home / file) for name, file in files.items()}}
    environ |= {"MODE": "666", "HOME": str(place), "COMET_API_KEY": "k"}
    begin = _CONFIGURED.replace("UID", str(UID)).replace("COMETFS", " ".join(COMETFS))
    ended = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", _DEVICE, "sh", "sh", "-c", begin + script],
        cwd=place,
        env={name: value for name, value in environ.items() if not name.startswith("XDG_")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    return Said(ended.returncode, ended.stdout, ended.stderr)


def stranger_on(stage: Stage, home: str | None) -> Iterator[Stranger]:
    """One whose directory goes in the end."""
    found = Stranger(stage, home)
    yield found
    shutil.rmtree(found.place)


needs_root = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("setpriv"), reason="only root can be another user, by setpriv"
)
