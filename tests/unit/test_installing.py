"""Which two commands bring pyfuse3: by the system's own words, and by the program that made the environment."""

from __future__ import annotations

import json
import platform
import shlex
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from cometfs.errors import SetupError
from cometfs.fuse import mountpoints
from cometfs.host import installing


@pytest.mark.parametrize(
    ("identity", "likes", "command"),
    [
        ("debian", "", "apt install fuse3 libfuse3-dev pkg-config gcc python3-dev"),
        ("ubuntu", "debian", "apt install fuse3 libfuse3-dev pkg-config gcc python3-dev"),
        ("linuxmint", "ubuntu debian", "apt install fuse3 libfuse3-dev pkg-config gcc python3-dev"),
        ("fedora", "", "dnf install fuse3 fuse3-devel pkgconf-pkg-config gcc python3-devel"),
        ("rocky", "rhel centos fedora", "dnf install fuse3 fuse3-devel pkgconf-pkg-config gcc python3-devel"),
        ("manjaro", "arch", "pacman -S --needed fuse3 pkgconf gcc"),
        ("opensuse-leap", "suse opensuse", "zypper install fuse3 fuse3-devel pkg-config gcc python3-devel"),
        ("alpine", "", "apk add fuse3 fuse3-dev pkgconf gcc musl-dev linux-headers python3-dev"),
    ],
)
def test_each_system_has_its_own_command(
    identity: str, likes: str, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "freedesktop_os_release", lambda: {"ID": identity, "ID_LIKE": likes})
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert installing.system_command() == f"sudo {command}"
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert installing.system_command() == command


def test_an_unknown_system_gets_the_names_of_what_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """NixOS, and a container without /etc/os-release."""

    def lacking() -> dict[str, str]:
        raise OSError

    monkeypatch.setattr(platform, "freedesktop_os_release", lambda: {"ID": "nixos"})
    assert "fuse3 with its headers" in installing.system_command()
    monkeypatch.setattr(platform, "freedesktop_os_release", lacking)
    assert "fuse3 with its headers" in installing.system_command()


@pytest.mark.parametrize(
    ("mark", "command"),
    [
        ("pipx_metadata.json", "pipx inject env pyfuse3"),
        ("uv-receipt.toml", "uv tool install --with pyfuse3 file:///there/cometfs.whl"),
        ("pyvenv.cfg", f'{shlex.quote(sys.executable)} -m pip install "cometfs[fuse]"'),
    ],
)
def test_the_environment_is_extended_by_what_made_it(
    mark: str, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pipx and uv keep account of their environments, and take away what pip adds behind their backs."""
    prefix = tmp_path / "env"
    prefix.mkdir()
    (prefix / mark).touch()
    monkeypatch.setattr(sys, "prefix", str(prefix))

    class Installed:
        def read_text(self, _name: str) -> str:
            return json.dumps({"url": "file:///there/cometfs.whl", "archive_info": {}})

    monkeypatch.setattr(installing, "distribution", lambda _name: Installed())
    assert installing.python_command() == command


def test_an_environment_without_pip_is_one_of_uv(monkeypatch: pytest.MonkeyPatch) -> None:
    def without_pip(_name: str) -> ModuleSpec | None:
        return None

    monkeypatch.setattr(installing, "find_spec", without_pip)
    assert installing.python_command() == f'uv pip install --python {shlex.quote(sys.executable)} "cometfs[fuse]"'


def test_a_pyfuse3_without_its_library_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's libfuse3 was removed, or replaced by one of another name."""
    (tmp_path / "pyfuse3.py").write_text("raise ImportError('libfuse3.so.3: cannot open shared object file')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "pyfuse3", raising=False)
    with pytest.raises(SetupError, match=r"^pyfuse3 cannot be loaded \(libfuse3\.so\.3: .*\): run '.*', then '"):
        mountpoints.require_fuse()
