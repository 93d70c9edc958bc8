"""`cometfs mount --profile`: an account, its options and its mountpoint from a configuration file."""

from __future__ import annotations

from pathlib import Path

from tests.support.processes import is_mounted, running_comet
from tests.support.subprocesses import Stage, clean_up


def test_a_profile_mounts_its_account_at_its_mountpoint(tmp_path: Path) -> None:
    """With the key of the profile and not that of the environment, which this server refuses."""
    key = tmp_path / "work.key"
    key.write_text("work-key\n")
    key.chmod(0o600)
    stage, place = Stage(tmp_path), tmp_path / "mnt"
    place.mkdir()
    with running_comet(tmp_path, "--api-key-file", str(key)) as comet:
        (tmp_path / "config.toml").write_text(
            f'[profiles.work]\nurl = "{comet.url}"\napi_key_file = "work.key"\nmountpoint = "{place}"\n'
            'workspaces = ["vision-lab"]\n'
        )
        environ = {"COMETFS_CONFIG": str(tmp_path / "config.toml"), "COMET_API_KEY": "other"}
        try:
            said = stage.run("mount", "--profile", "work", **environ)
            assert (said.status, said.output, said.complaint) == (0, "", "")
            names = {path.name for path in place.iterdir()}
            assert ("vision-lab" in names, "tabular" in names) == (True, False)
            said = stage.run("umount", "--profile", "work", **environ)
            assert (said.status, said.complaint, is_mounted(place)) == (0, "", False)
            git = "vision-lab/digits/mlp-baseline/git"
            said = stage.run("export", "--profile", "work", git, tmp_path / "out", **environ)
            assert (said.status, said.complaint) == (0, "")
            assert (tmp_path / "out/metadata.json").read_bytes()
            assert comet.url in stage.run("doctor", "--profile", "work", **environ).output
        finally:
            clean_up(stage, place)


def test_a_damaged_file_is_one_sentence(tmp_path: Path) -> None:
    """Of every command that reads it; those that read none do their work."""
    path = tmp_path / "config.toml"
    path.write_text("rate = 1\n[profiles.work]\nulr = 'https://h'\n")
    for command in (["mount", "m"], ["export", "w", "d"], ["doctor"], ["cache", "info"]):
        said = Stage(tmp_path).run(*command, COMETFS_CONFIG=str(path))
        assert (said.status, said.complaint) == (
            1,
            f"cometfs: {path}:3: there is no option 'ulr': do you mean 'url'?\n",
        )
    said = Stage(tmp_path).run("umount", "m", COMETFS_CONFIG=str(path), COMETFS_PROFILE="work")
    assert said.complaint == f"cometfs: {tmp_path}/m is not mounted\n"
    assert Stage(tmp_path).run("help", "config", COMETFS_CONFIG=str(path)).status == 0
