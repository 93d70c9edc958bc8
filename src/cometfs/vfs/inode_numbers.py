"""The inode numbers of nodes. They are hashes of what the nodes are, so that backups (restic, borg, `tar
--listed-incremental`) find a node under its number after a remount, and after the kernel dropped its caches. `cp` reads
in their order.

Not here: which inodes the kernel knows (mountstate/inodes.py).
"""

from __future__ import annotations

import hashlib

from cometfs.vfs.nodes import Node
from cometfs.vfs.schema.declaration import Dir, File, Link

BITS = 60
"""Bits of a number: every program takes it for a positive integer, and it costs Python no more than a small one. Of a
million nodes, two have the same hash in one case of two million."""

_KINDS = {Dir: "dir", File: "file", Link: "link"}
"""These are bytes of what is hashed: other words mean other numbers, and that backups read everything again."""


def probe(parent: int, node: Node, attempt: int) -> int:
    """The number of a node in the directory of the number `parent`, or where that is taken, the next one to try.

    A hash of the kind, the key (of an experiment, an asset ...) and the path, which the parent's number stands for:
    what is renamed is another node, as it is for every program that finds it by its path.
    """
    # ascii(): the same text under every version of Python, whatever Unicode that knows.
    words = ascii((parent, _KINDS[type(node.entry)], node.at.key, node.name, attempt))
    digest = hashlib.blake2b(words.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> (64 - BITS)
