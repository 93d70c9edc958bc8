"""A mount that root makes, by a daemon that is not root: it runs as the user of the system's services, and keeps the
one capability that mounting takes. The key's file belongs to root: the daemon gets a copy, as systemd hands out
credentials.

Not here: what mount(8) hands over (fstab.py), and the sandbox of a service (system.service).
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from cometfs.config import CREDENTIAL
from cometfs.errors import SetupError
from cometfs.units.fstab import SERVICES

RUNTIME = Path("/run")
"""In memory."""


def run_as_service(words: Sequence[str], key_file: Path | None, user: str = SERVICES) -> int:
    """Runs a command as that user, and returns its exit status. Raises SetupError."""
    found = _entry(user)
    setpriv = shutil.which("setpriv", path="/usr/local/bin:/usr/bin:/bin")
    if setpriv is None:
        raise SetupError("setpriv is missing: install util-linux, or mount without setuid")
    limits = ("--inh-caps=-all,+sys_admin", "--ambient-caps=+sys_admin", "--bounding-set=-all,+sys_admin")
    ids = (f"--reuid={found.pw_uid}", f"--regid={found.pw_gid}", "--init-groups", "--no-new-privs")
    with _credentials(key_file, found) as environ:
        # It stays in the process group of systemd's: in another one, it would wait for its own automount.
        done = subprocess.run([setpriv, *ids, *limits, *words], env={**os.environ, **environ})
    return done.returncode


def _entry(user: str) -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(user)
    except KeyError:
        raise SetupError(f"there is no user {user!r}: 'cometfs service install --system' makes it") from None


@contextmanager
def _credentials(key_file: Path | None, user: pwd.struct_passwd) -> Iterator[Mapping[str, str]]:
    """What the daemon is to have in its environment; there as long as it begins."""
    # Nothing that the user can write decides what runs with the capability.
    environ = {"HOME": user.pw_dir, "USER": user.pw_name, "LOGNAME": user.pw_name, "PYTHONNOUSERSITE": "1"}
    if key_file is None:
        yield environ
        return
    try:
        key = key_file.read_bytes()
        with tempfile.TemporaryDirectory(prefix="cometfs-", dir=RUNTIME) as folder:
            path = Path(folder) / CREDENTIAL
            path.write_bytes(key)
            path.chmod(0o400)
            for one in (path, Path(folder)):
                os.chown(one, user.pw_uid, user.pw_gid)
            yield environ | {"CREDENTIALS_DIRECTORY": folder}
    except OSError as error:
        raise SetupError(f"cannot hand over the key of {key_file}: {error.strerror}") from error


def own_directory(path: Path, user: str = SERVICES) -> None:
    """Makes a directory that is that user's alone. Raises SetupError."""
    found = _entry(user)
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.chown(path, found.pw_uid, found.pw_gid)
    except OSError as error:
        raise SetupError(f"cannot make {path}: {error.strerror}") from error
