"""`python -m cometfs` is `cometfs`."""

from cometfs.cli import main

main(prog_name="cometfs")
