"""Writes units, has systemd take them up, and asks what has become of them.

Not here: what is in them (systemd.py).
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from cometfs.errors import SetupError
from cometfs.host.home import home
from cometfs.units.privileges import own_directory
from cometfs.units.systemd import SYSUSERS, Service, header, service_name, text_of

SYSTEM = Path("/etc/systemd/system")

SYSUSERS_FILE = Path("/etc/sysusers.d/cometfs.conf")

HELPERS = (Path("/sbin/mount.cometfs"), Path("/sbin/mount.fuse.cometfs"))
"""Where mount(8) looks for a helper, by both names of the type."""

SHARED_CACHE = Path("/var/cache/cometfs")
"""The cache of the machine's mounts: that of a service, too (CacheDirectory)."""

SHOWN = ("Id", "Description", "ActiveState", "SubState", "UnitFileState", "StatusText", "Result")
"""What is asked about a unit."""

_BANNER = "# Written by 'cometfs service install"


def folder(*, system: bool) -> Path:
    """Where units of an administrator or a user belong. Raises SetupError."""
    if system:
        return SYSTEM
    named = os.environ.get("XDG_CONFIG_HOME", "")
    found = Path(named) if named.startswith("/") else (home() or Path()) / ".config"
    if not found.is_absolute():
        raise SetupError("no home directory is known, and so no place for units of a user: set HOME, or give --system")
    return found / "systemd/user"


def command() -> tuple[str, ...]:
    """How this cometfs is started, by absolute paths."""
    script = Path(sysconfig.get_path("scripts")) / "cometfs"
    return (str(script),) if script.exists() else (sys.executable, "-m", "cometfs")


def files(service: Service) -> dict[Path, str]:
    """Everything that is written for a service."""
    place = folder(system=service.system)
    found = {place / name: text for name, text in service.units().items()}
    return found | ({SYSUSERS_FILE: text_of(SYSUSERS)} if service.system else {})


def install(service: Service) -> Iterator[str]:
    """Writes, enables and starts a service; gives a line for each thing that was done. Raises SetupError."""
    changed = False
    for path, text in files(service).items():
        wrote = _write(path, text)
        changed |= wrote
        yield f"{'wrote' if wrote else 'unchanged'} {path}"
    if service.system:
        _run("systemd-sysusers", str(SYSUSERS_FILE))
    if service.automount:
        own_directory(SHARED_CACHE)
        yield from link_helpers()
    if not service.system:
        _make_directory(service.mountpoint)
    _systemctl(service.system, "daemon-reload")
    _systemctl(service.system, "enable", service.name)
    _systemctl(service.system, "restart" if changed else "start", service.name)
    yield f"enabled and started {service.name}"


def link_helpers() -> Iterator[str]:
    """Has mount(8) find `mount.cometfs`. Raises SetupError."""
    ours = Path(sysconfig.get_path("scripts")) / "mount.cometfs"
    if not ours.exists():
        raise SetupError(f"{ours} is missing: install cometfs again, by pip, pipx or uv")
    for link in HELPERS:
        if link.resolve() == ours.resolve():
            yield f"unchanged {link}"
            continue
        try:
            link.unlink(missing_ok=True)
            link.symlink_to(ours)
        except OSError as error:
            raise SetupError(_refused(link, error)) from error
        yield f"linked {link} to {ours}"


def remove(profile: str | None, *, system: bool) -> Iterator[str]:
    """Stops, disables and removes what was written for a profile. Raises SetupError."""
    found = written(profile, system=system)
    if not found:
        raise SetupError(f"there is no {service_name(profile)} of 'cometfs service install' in {folder(system=system)}")
    for path in found:
        enabled = path.suffix != ".mount"  # that one is its automount's
        _systemctl(system, *(("disable", "--now") if enabled else ("stop",)), path.name)
    for path in found:
        try:
            path.unlink()
        except OSError as error:
            raise SetupError(_refused(path, error)) from error
        yield f"removed {path}"
    _systemctl(system, "daemon-reload")


def written(profile: str | None, *, system: bool) -> list[Path]:
    """The units that are there for a profile; an automount before its mount."""
    return [path for path in all_written(system=system) if _first_line(path) == header(profile)]


def all_written(*, system: bool) -> list[Path]:
    """The units that are there for any profile, and for none."""
    place = folder(system=system)
    try:
        found = sorted(place.iterdir())
    except OSError:
        return []
    kinds = {".service", ".mount", ".automount"}
    return [path for path in found if path.suffix in kinds and _first_line(path).startswith(_BANNER)]


def states(paths: list[Path], *, system: bool) -> list[dict[str, str]]:
    """What systemd says about units: `SHOWN` of each. Raises SetupError."""
    if not paths:
        return []
    asked = _systemctl(system, "show", f"--property={','.join(SHOWN)}", *(path.name for path in paths))
    blocks = [dict(line.partition("=")[::2] for line in block.splitlines()) for block in asked.strip().split("\n\n")]
    return [{name: block.get(name, "") for name in SHOWN} for block in blocks]


def _first_line(path: Path) -> str:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.readline().rstrip("\n")
    except OSError:
        return ""


def _write(path: Path, text: str) -> bool:
    """Whether the file was another one before. Raises SetupError."""
    try:
        if path.exists():
            if path.read_text(encoding="utf-8", errors="replace") == text:
                return False
            if path != SYSUSERS_FILE and not _first_line(path).startswith(_BANNER):
                raise SetupError(f"{path} was not written by 'cometfs service install': move it away first")
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f".{path.name}.new")
        new.write_text(text, encoding="utf-8")
        new.chmod(0o644)
        new.replace(path)
    except OSError as error:
        raise SetupError(_refused(path, error)) from error
    return True


def _refused(path: Path, error: OSError) -> str:
    remedy = "run it as root" if os.geteuid() else "look at its file system"
    return f"cannot write {path}: {error.strerror}; {remedy}"


def _make_directory(mountpoint: Path) -> None:
    try:
        mountpoint.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        return  # a mount whose daemon died: the service clears it away
    except OSError as error:
        raise SetupError(f"cannot make {mountpoint}: {error.strerror}; name another directory") from error


def _systemctl(system: bool, *words: str) -> str:
    return _run("systemctl", *([] if system else ["--user"]), *words)


def _run(*words: str) -> str:
    """What a command of systemd's prints. Raises SetupError with its own words where it fails."""
    try:
        done = subprocess.run(words, capture_output=True, encoding="utf-8", errors="replace")
    except FileNotFoundError:
        raise SetupError(f"{words[0]} is missing: units need systemd; 'cometfs mount' works without it") from None
    if done.returncode:
        raise SetupError(f"'{' '.join(words)}' failed: {done.stderr.strip() or f'status {done.returncode}'}")
    return done.stdout
