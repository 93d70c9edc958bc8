"""`service`: mounts that systemd makes at login or at boot. The work is done in `units/`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cometfs.cli.group import main, plain_errors
from cometfs.options.kinds import PLACE
from cometfs.process import console

if TYPE_CHECKING:
    from cometfs.units.systemd import Service

PROFILE = click.argument("profile", required=False)

SYSTEM = click.option("--system", is_flag=True, help="Of the machine, for all users; as root.")


@main.group()
def service() -> None:
    """Have systemd mount an account at login or at boot."""


def _of_a_service(command: Callable[..., None]) -> Callable[..., None]:
    """The parameters that say what is installed."""
    for add in reversed(
        (
            PROFILE,
            click.option("--mountpoint", type=PLACE, metavar="DIR", help="Default: ~/comet, or ~/comet-PROFILE."),
            SYSTEM,
            click.option(
                "--automount", is_flag=True, help="Mount on the first look, unmount when idle. With --system."
            ),
            click.option(
                "--api-key-file",
                type=click.Path(path_type=Path),
                metavar="FILE",
                help="File with the API key, which systemd hands to the daemon alone (LoadCredential).",
            ),
        )
    ):
        command = add(command)
    return command


@service.command()
@_of_a_service
@click.option("--print", "print_only", is_flag=True, help="Print the units, and write nothing.")
@plain_errors
def install(print_only: bool, **wanted: Any) -> None:
    """Write the units of a mount, enable and start them.

    Without PROFILE, the account is mounted that `cometfs mount` finds. What is as it should be stays.

    Without --system, it is a service of your own: it starts at your login; `loginctl enable-linger` starts it at boot.
    """
    from cometfs.units import installing

    service = _service(**wanted)
    if print_only:
        for path, text in installing.files(service).items():
            console.print_lines(f"# {path}", *text.splitlines(), "")
        return
    for line in installing.install(service):
        console.print_lines(line)


def _service(
    profile: str | None, mountpoint: Path | None, system: bool, automount: bool, api_key_file: Path | None
) -> Service:
    """Raises SetupError."""
    from cometfs.errors import SetupError
    from cometfs.fuse.mountinfo import resolve
    from cometfs.options import files
    from cometfs.units import installing
    from cometfs.units.systemd import Service

    if automount and not system:
        raise SetupError("only the system's service manager can make automounts: give --system")
    if automount and api_key_file is not None:
        raise SetupError("an automount gets no credential: name the key's file in /etc/cometfs/config.toml")
    configured = _configured(profile, system=system)
    parent = Path("/srv") if system else Path("~")
    default = parent / ("comet" if profile is None else f"comet-{profile}")
    key_file = api_key_file or configured.get("api_key_file")
    return Service(
        profile,
        resolve(mountpoint or configured.get("mountpoint") or default),
        installing.command(),
        system,
        automount,
        None if key_file is None or automount else resolve(key_file),
        None if system else files.named_file(),
    )


def _configured(profile: str | None, *, system: bool) -> dict[str, Path]:
    """The mountpoint and the key's file that a service will find in files. Raises SetupError."""
    from cometfs.errors import SetupError
    from cometfs.options import files, sources

    machine = [one for one in files.read_files() if one.path == files.SYSTEM]
    if system and profile not in (None, *files.profiles(machine)):
        raise SetupError(
            f"there is no profile {profile!r} in {files.SYSTEM}: a service of the machine reads no other file"
        )
    found = sources.in_force(profile, environ={})
    names = ("mountpoint", "api_key_file")
    return {
        name: Path(found[name].value)
        for name in names
        if name in found and (not system or found[name].file == files.SYSTEM)
    }


@service.command()
@PROFILE
@SYSTEM
@plain_errors
def remove(profile: str | None, system: bool) -> None:
    """Stop and disable a mount of systemd's, and remove its units."""
    from cometfs.units import installing

    for line in installing.remove(profile, system=system):
        console.print_lines(line)


@service.command()
@PROFILE
@SYSTEM
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each unit.")
@plain_errors
def status(profile: str | None, system: bool, as_json: bool) -> None:
    """Show the mounts of systemd's: whether they run, are enabled, and how many calls they have left.

    Without PROFILE, all are shown.
    """
    from cometfs.units import installing

    paths = installing.all_written(system=system) if profile is None else installing.written(profile, system=system)
    for state in installing.states(paths, system=system):
        if as_json:
            console.print_json(state)
        else:
            console.print_lines(*_lines(state))
    if not paths and not as_json:
        console.print_lines("no services: 'cometfs service install' makes one")


def _lines(state: dict[str, str]) -> list[str]:
    first = f"{state['Id']}: {state['ActiveState']} ({state['SubState']}), {state['UnitFileState'] or 'not enabled'}"
    result = [] if state["Result"] in ("", "success") else [f"  result  {state['Result']}"]
    line = [f"  status  {state['StatusText']}"] if state["StatusText"] else []
    return [first, f"  what    {state['Description']}", *line, *result]
