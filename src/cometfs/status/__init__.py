"""What mounts say of themselves, for `cometfs status`, `cometfs list` and systemd. Not here: what a mount knows
(composition/mount_status.py)."""
