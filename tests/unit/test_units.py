"""Units as text: systemd's own checker has nothing to say about any of them. And what `-o` of mount(8) becomes."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner

from cometfs.cli import main
from cometfs.cli.mount_helper import known
from cometfs.errors import SetupError
from cometfs.units import fstab
from cometfs.units.systemd import Service, templates

ODD = 'my "50%" $HOME\\lab'
COMMAND = ("/usr/bin/env", "cometfs")


def verify(folder: Path, units: Mapping[str, str], *, system: bool) -> str:
    """What systemd-analyze says about units; a template is looked at by an instance of it."""
    paths = [folder / name.replace("@.", "@work.") for name in units]
    for path, text in zip(paths, units.values(), strict=True):
        path.write_text(text)
    command = ["systemd-analyze", *([] if system else ["--user"]), "--man=no", "verify", *map(str, paths)]
    environ = {**os.environ, "XDG_RUNTIME_DIR": str(folder), "HOME": str(folder)}
    done = subprocess.run(command, env=environ, capture_output=True, text=True)
    return f"{done.returncode} {done.stdout}{done.stderr}"


def service(profile: str | None, *, system: bool = False, automount: bool = False) -> Service:
    place = Path("/srv/comet" if profile is None else f"/srv/comet-{profile}")
    return Service(profile, place, COMMAND, system, automount, None if automount else place / "key")


def test_the_units_of_the_checkout_are_the_templates() -> None:
    """`scripts/manual` writes them."""
    folder = Path(__file__).parents[2] / "systemd"
    shown = {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*.service")}
    assert shown == templates()


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed here")
def test_systemd_has_nothing_to_say_about_the_units(tmp_path: Path) -> None:
    """Neither about the templates of a wheel, nor about what is written for a profile, whatever it is called."""
    for name, text in templates().items():
        kind, _, unit = name.partition("/")
        assert verify(tmp_path, {unit: text}, system=kind == "system") == "0 "
    for profile in (None, "work", ODD):
        assert verify(tmp_path, service(profile).units(), system=False) == "0 "
        assert verify(tmp_path, service(profile, system=True).units(), system=True) == "0 "
        assert verify(tmp_path, service(profile, system=True, automount=True).units(), system=True) == "0 "


@pytest.mark.skipif(not shutil.which("systemd-escape"), reason="systemd-escape is not installed here")
@pytest.mark.parametrize("profile", ["work", "my-work", ODD, ".hidden", "été 2026"])
def test_names_of_units_are_escaped_as_systemd_does(profile: str) -> None:
    place = f"/srv/comet-{profile}"
    escaped = subprocess.run(["systemd-escape", "--path", place], check=True, capture_output=True, text=True)
    assert service(profile, system=True, automount=True).name == f"{escaped.stdout.strip()}.automount"


def test_print_writes_nothing(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": "", "COMETFS_CONFIG": None}
    config = tmp_path / ".config/cometfs/config.toml"
    config.parent.mkdir(parents=True)
    config.write_text('[profiles.work]\nmountpoint = "/srv/w"\napi_key_file = "/etc/key"\n')
    done = CliRunner().invoke(main, ["service", "install", "work", "--print"], env=environ)
    assert done.exit_code == 0, done.output
    assert f"# {tmp_path}/.config/systemd/user/cometfs@work.service\n" in done.output
    assert " mount --foreground --profile work /srv/w\n" in done.output
    assert "LoadCredential=comet-api-key:/etc/key\n" in done.output
    assert list(config.parent.parent.iterdir()) == [config.parent]


def test_a_service_reads_the_file_that_the_command_read(tmp_path: Path) -> None:
    config = tmp_path / "my config.toml"
    config.write_text("[profiles.work]\n")
    environ = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": "", "COMETFS_CONFIG": str(config)}
    done = CliRunner().invoke(main, ["service", "install", "work", "--print"], env=environ)
    assert f'\nEnvironment="COMETFS_CONFIG={config}"\n' in done.output


def test_without_systemd_the_units_are_written_and_a_sentence_says_what_is_missing(tmp_path: Path) -> None:
    """A unit of a person's own is left alone."""
    environ = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": "", "COMETFS_CONFIG": None, "PATH": str(tmp_path)}
    unit = tmp_path / ".config/systemd/user/cometfs.service"
    for _ in range(2):
        done = CliRunner().invoke(main, ["service", "install"], env=environ)
        assert done.exit_code == 1
        assert done.stderr == "cometfs: systemctl is missing: units need systemd; 'cometfs mount' works without it\n"
    assert done.stdout == f"unchanged {unit}\n"
    assert unit.stat().st_mode & 0o777 == 0o644
    unit.write_text("[Service]\n")
    for command in ("install", "remove"):
        done = CliRunner().invoke(main, ["service", command], env=environ)
        assert done.exit_code == 1
    assert unit.read_text() == "[Service]\n"
    done = CliRunner().invoke(main, ["service", "install"], env=environ)
    assert done.stderr == f"cometfs: {unit} was not written by 'cometfs service install': move it away first\n"


def test_an_unknown_profile_is_a_sentence(tmp_path: Path) -> None:
    """Before anything is written; a service of the machine does not see what is in a user's file."""
    environ = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": "", "COMETFS_CONFIG": None}
    (tmp_path / ".config/cometfs").mkdir(parents=True)
    (tmp_path / ".config/cometfs/config.toml").write_text("[profiles.work]\n")
    done = CliRunner().invoke(main, ["service", "install", "wrok"], env=environ)
    assert (done.exit_code, done.stderr) == (1, "cometfs: there is no profile 'wrok': do you mean 'work'?\n")
    done = CliRunner().invoke(main, ["service", "install", "work", "--system"], env=environ)
    assert done.exit_code == 1
    assert done.stderr.startswith("cometfs: there is no profile 'work' in /etc/cometfs/config.toml: ")


def test_options_of_mount_become_flags() -> None:
    """What mount(8) and systemd act on is left to them; a comma in quotes, or behind a backslash, separates nothing."""
    texts = [
        'rw,noexec,nosuid,nodev,_netdev,user,x-systemd.automount,nofail,comment=a b,rate=100,workspace="a,b"',
        r"workspace=c\,d,live-interval=2,offline,nonempty,writable,setuid=alice",
    ]
    flags = [
        *(
            "--fsname",
            "work",
            "--profile",
            "work",
            "--noexec",
            "--rate",
            "100",
            "--workspace",
            "a,b",
            "--workspace",
            "c,d",
        ),
        *("--live-interval", "2", "--offline", "--allow-non-empty", "--rw"),
    ]
    assert fstab.call("work", texts, known()) == (flags, "alice")


def test_every_flag_of_mount_is_an_option() -> None:
    """Those that come later, too; but for the ones that make no sense behind mount(8)."""
    flags = {name for parameter in main.commands["mount"].params for name in parameter.opts if name[:2] == "--"}
    options = {f"--{name.replace('_', '-')}" for name in known()}
    assert flags - options == {"--foreground"}
    assert known()["no_offline"] is False
    for name, takes_value in known().items():
        written = "writable" if name == "rw" else name
        found = fstab.call("none", [f"{written}=1" if takes_value else written], known()).flags
        assert found[2] == f"--{name.replace('_', '-')}"


@pytest.mark.parametrize(
    ("source", "flags"),
    [
        ("comet", []),
        ("none", []),
        ("work", ["--profile", "work"]),
        ("/home/me/work", ["--profile", "work"]),  # where the current directory has a file of that name
        ("https://comet.example.com/", ["--url", "https://comet.example.com/"]),
    ],
)
def test_the_source_is_a_profile_or_an_address(source: str, flags: list[str]) -> None:
    assert fstab.call(source, [], known()).flags == ["--fsname", source, *flags]


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        ("ofline", "there is no mount option 'ofline': do you mean 'offline'?"),
        ("_netdv", "there is no mount option '_netdv': do you mean '_netdev'?"),
        ("qqqqqqq", "there is no mount option 'qqqqqqq': 'cometfs help service' lists them"),
        ("foreground", "there is no mount option 'foreground': 'cometfs help service' lists them"),
        ("rate", "the mount option 'rate' needs a value: rate=VALUE"),
        ("offline=1", "the mount option 'offline' takes no value: write it alone"),
        ("remount,ro", "a mount of cometfs cannot change its options: unmount it, then mount it again"),
        ("ro,writable", "the options 'ro' and 'writable' contradict each other: keep one of them"),
    ],
)
def test_what_is_no_option_is_a_sentence(option: str, sentence: str) -> None:
    """With the nearest known one, where one is near."""
    with pytest.raises(SetupError) as raised:
        fstab.call("work", [option], known())
    assert str(raised.value) == sentence
