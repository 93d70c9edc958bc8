"""`python -m cometfs` is `cometfs`."""

from cometfs.cli.mount_helper import run

run()
