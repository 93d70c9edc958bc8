"""Units of systemd for a mount, as text. Templates are beside this module. Pure functions but for reading those.

Not here: writing units and having systemd take them up (installing.py).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from cometfs.config import CREDENTIAL
from cometfs.errors import SetupError

SYSUSERS = "cometfs.conf"
"""Names the user that system services run as."""

ANY_COMMAND = "/usr/bin/env cometfs"
"""What a template starts: the cometfs on its path."""


@dataclass(frozen=True)
class Service:
    """A mount that systemd is to make."""

    profile: str | None
    mountpoint: Path
    command: tuple[str, ...]
    """How this cometfs is started."""
    system: bool = False
    automount: bool = False
    key_file: Path | None = None
    config: Path | None = None
    """The configuration file that COMETFS_CONFIG names."""

    @property
    def name(self) -> str:
        """The unit that is enabled."""
        if self.automount:
            return f"{_escaped_path(self.mountpoint)}.automount"
        return service_name(self.profile)

    def units(self) -> dict[str, str]:
        """The text of each unit, by its name. Raises SetupError."""
        if self.automount:
            stem = _escaped_path(self.mountpoint)
            shown = {"SHOWN": _line(os.fspath(self.mountpoint)), "SOURCE": _line(self.profile or "comet")}
            texts = {f"{stem}.{kind}": _filled(f"shared.{kind}", shown) for kind in ("mount", "automount")}
        else:
            texts = {self.name: _filled("system.service" if self.system else "user.service", self._words())}
        return {name: f"{header(self.profile)}\n{text}" for name, text in texts.items()}

    def _words(self) -> Mapping[str, str]:
        key = None if self.key_file is None else f"LoadCredential={_word(f'{CREDENTIAL}:{self.key_file}')}"
        return {
            "SHOWN": _line(os.fspath(self.mountpoint)),
            "PLACE": _word(os.fspath(self.mountpoint)),
            "COMETFS": " ".join(map(_word, self.command)),
            "FLAGS": "" if self.profile is None else f"--profile {_word(self.profile)}",
            "CREDENTIAL": key or "",
            "ENVIRONMENT": "" if self.config is None else f"Environment={_word(f'COMETFS_CONFIG={self.config}')}",
        }


def templates() -> dict[str, str]:
    """The units that a wheel holds, by their paths below `share/systemd`: an instance for each profile."""
    user, system = "%h/comet-%i", "/srv/comet-%i"
    words = {"COMETFS": ANY_COMMAND, "FLAGS": "--profile %i", "ENVIRONMENT": ""}
    commented = f"# LoadCredential={CREDENTIAL}:%h/.config/cometfs/%i.key"
    key = f"LoadCredential={CREDENTIAL}:/etc/cometfs/%i.key"
    return {
        "user/cometfs@.service": _filled(
            "user.service", words | {"SHOWN": user, "PLACE": user, "CREDENTIAL": commented}
        ),
        "system/cometfs@.service": _filled(
            "system.service", words | {"SHOWN": system, "PLACE": system, "CREDENTIAL": key}
        ),
    }


def text_of(name: str) -> str:
    """A file beside this module."""
    return files("cometfs.units").joinpath(name).read_text(encoding="utf-8")


def service_name(profile: str | None) -> str:
    """Of the unit of a profile, or of the mount without one."""
    return "cometfs.service" if profile is None else f"cometfs@{_escaped(profile)}.service"


def header(profile: str | None) -> str:
    """The first line of each unit that is written for a profile; by it `service remove` knows them."""
    named = "" if profile is None else f" {_line(profile)}"
    return f"# Written by 'cometfs service install{named}', and written over by the next one."


def _filled(template: str, words: Mapping[str, str]) -> str:
    """A template with its words; a line that is left empty by them goes."""
    kept = []
    for line in text_of(template).splitlines():
        filled = re.sub("@([A-Z]+)@", lambda found: words[found[1]], line)
        if filled.strip() or not line.strip():
            kept.append(re.sub(r"(?<=\S)  +", " ", filled))
    return "\n".join(kept) + "\n"


def _line(text: str) -> str:
    """A value that is all of a line. Raises SetupError."""
    if any(ord(character) < 0x20 or ord(character) == 0x7F for character in text):
        raise SetupError(f"{text!r} has characters that no unit may have: choose another name")
    return text.replace("%", "%%")


def _word(text: str) -> str:
    """One word of a command. Raises SetupError."""
    safe = _line(text).replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$")
    return safe if re.fullmatch(r"[\w@%+=:,./-]+", safe) else f'"{safe}"'


def _escaped(text: str) -> str:
    """As `systemd-escape`, but that `-` stays as it is: only templates unescape."""
    found = "".join(
        chr(byte) if re.match(r"[A-Za-z0-9:_.-]", chr(byte)) else f"\\x{byte:02x}" for byte in text.encode("utf-8")
    )
    return re.sub(r"^\.", r"\\x2e", found)


def _escaped_path(path: Path) -> str:
    """As `systemd-escape --path`: the name that a mount unit must have."""
    return "-".join(_escaped(part).replace("-", r"\x2d") for part in path.parts[1:]) or "-"
