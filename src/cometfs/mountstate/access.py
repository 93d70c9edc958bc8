"""Which users may look at a mount, and what they may do there: the kernel decides it by owners and modes.

Not here: what no user may do, for Comet does not offer it (fuse/readonly.py).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

FULL: Mapping[str, int] = {"dir": stat.S_IFDIR | 0o777, "file": stat.S_IFREG | 0o666}
"""Modes before a umask. With w, for copies: without it, only root could remove a copied directory or overwrite a copied
file. A write is refused when it is tried, and `access` says so before."""

LINK = stat.S_IFLNK | 0o777

Others = Literal["allow_other", "allow_root"] | None
"""Users beside the one that mounts, as libfuse calls them."""


@dataclass(frozen=True)
class Owner:
    """The user and the group that all files belong to, those of this process where they are None; and their modes."""

    uid: int | None = None
    gid: int | None = None
    umask: int = 0o022
    private: bool = False
    """Whether no user but the one that mounts, and root, gets past the top directory: libfuse alone refuses only what
    reaches it, and the kernel would show others what it has cached."""

    @property
    def ids(self) -> tuple[int, int]:
        return (os.getuid() if self.uid is None else self.uid, os.getgid() if self.gid is None else self.gid)

    @property
    def modes(self) -> dict[str, int]:
        """By the kind of an entry."""
        return {kind: full & ~self.umask for kind, full in FULL.items()} | {"link": LINK}

    @property
    def top(self) -> tuple[int, int]:
        """Owner and mode of the top directory."""
        if self.private:
            return os.getuid(), self.modes["dir"] & ~0o077
        return self.ids[0], self.modes["dir"]


MOUNTING = Owner()
"""The user that mounts."""


@dataclass(frozen=True)
class Access:
    """Which users the kernel lets in beside the one that mounts, and what they find."""

    allow: Others = None
    owner: Owner = MOUNTING
    noexec: bool = False
    """Whether no program in it is run."""

    @property
    def options(self) -> set[str]:
        """Of the mount. Where others are let in, the kernel asks for the mode before every look at a file whose
        attributes it does not know: that must cost no size (fuse/procfs.py). So it does not where there are none."""
        others = set() if self.allow is None else {self.allow, "default_permissions"}
        return others | ({"noexec"} if self.noexec else set())
