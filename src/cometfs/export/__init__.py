"""`cometfs export`: what a mount shows, as plain files in a directory, with and without a mount.

Not here: what the command prints (cli/export.py).
"""
