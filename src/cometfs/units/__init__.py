"""What starts mounts without a person: systemd's units, and lines of /etc/fstab.

`systemd` renders the units, `installing` writes and enables them, `fstab` reads `-o` of mount(8). Not here: the
commands (cli/service.py, cli/mount_helper.py).
"""
