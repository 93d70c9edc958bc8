"""`cometfs config`: what is in force and where it is from, never the key; and the file it opens."""

from __future__ import annotations

import json
import re
import stat
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cometfs.cli import main
from cometfs.comet import settings as comet_settings
from cometfs.options import files
from cometfs.options.table import MOUNT
from cometfs.options.template import template

KEY = "canary-3141"


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the user's file is, with an empty home and no key anywhere."""
    for variable in ("COMET_API_KEY", "COMET_URL_OVERRIDE", "COMET_CONFIG", "COMETFS_PROFILE", "COMETFS_CONFIG"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setattr(files, "SYSTEM", tmp_path / "none.toml")
    monkeypatch.setattr(comet_settings, "DRIVE", tmp_path / "drive")
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    return tmp_path / "cometfs/config.toml"


def write(own: Path, text: str) -> None:
    own.parent.mkdir(exist_ok=True)
    own.write_text(text)
    own.chmod(0o600)


def run(*arguments: str, **environ: str) -> Result:
    return CliRunner().invoke(main, ["config", *arguments], env=environ)


def shown(*arguments: str, **environ: str) -> dict[str, Any]:
    done = run("--json", *arguments, **environ)
    assert (done.exit_code, done.stderr) == (0, "")
    assert KEY not in done.output
    found: dict[str, Any] = json.loads(done.output)
    return found


def test_each_value_is_shown_with_its_place(own: Path) -> None:
    """In text and in JSON, all of them."""
    write(own, f'rw = true\nworkspaces = ["a", "b"]\n[profiles.work]\nurl = "http://h"\napi_key = "{KEY}"\nrate = 1\n')
    found = shown("--profile", "work", COMETFS_RATE="7")
    assert (found["profile"], found["profiles"], found["files"]) == ("work", ["work"], [str(own)])
    options = found["options"]
    assert list(options) == [option.name for option in MOUNT]
    assert options["rate"] == {"value": 7, "from": "COMETFS_RATE"}
    assert options["rw"] == {"value": True, "from": f"{own}:1"}
    assert options["url"] == {"value": "http://h", "from": f"{own}:4"}
    assert options["api_key"] == {"value": "(hidden)", "from": f"{own}:5"}
    assert options["umask"] == {"value": "022", "from": "default"}
    assert options["deadline"] == {"value": 30.0, "from": "default"}
    lines = run("--profile", "work", COMETFS_RATE="7").output.splitlines()
    columns = {name: rest for name, *rest in (re.split("  +", line) for line in lines)}
    assert list(columns) == list(options)
    assert columns["workspaces"] == ["a, b", f"{own}:2"]
    assert columns["rate"] == ["7", "COMETFS_RATE"]


def test_the_key_is_never_shown_but_its_place_is(own: Path, tmp_path: Path) -> None:
    """Whichever of the places has it; without one, the sentence of a mount stands there."""
    assert shown()["options"]["api_key"]["from"].startswith("No Comet API key was found: ")
    (tmp_path / ".comet.config").write_text(f"[comet]\napi_key={KEY}\nurl_override=http://ini\n")
    (tmp_path / ".comet.config").chmod(0o600)
    found = shown()["options"]
    assert found["api_key"] == {"value": "(hidden)", "from": str(tmp_path / ".comet.config")}
    assert found["url"] == {"value": "http://ini", "from": str(tmp_path / ".comet.config")}
    assert shown(COMET_API_KEY=KEY)["options"]["api_key"]["from"] == "COMET_API_KEY"
    (tmp_path / "cwd/key").write_text(KEY)
    (tmp_path / "cwd/key").chmod(0o600)
    assert shown(COMETFS_API_KEY_FILE="key")["options"]["api_key"]["from"] == "key"
    write(own, '[profiles.work]\napi_key_file = "../cwd/key"\n')
    assert shown("--profile", "work")["options"]["api_key"]["from"] == str(own.parent / "../cwd/key")
    assert shown("--profile", "work")["options"]["url"] == {
        "value": "https://www.comet.com/clientlib/",
        "from": "default",
    }


def test_a_password_in_an_address_is_not_shown(own: Path) -> None:
    """Neither of the two: it is refused by a mount, and here named without it."""
    write(own, f'url = "https://me:{KEY}@h"\n')
    options = shown(COMET_API_KEY="k")["options"]
    assert options["url"]["value"] is None
    assert f"{own}:1: The address of the Comet server holds a user name or a password" in options["url"]["from"]
    assert KEY not in run().output


def test_no_address_is_shown_with_its_password(own: Path) -> None:
    """Nor where another option has it; a file with one is warned of."""
    write(own, f'shared = "redis://me:{KEY}@h:6379/0"\n')
    assert shown()["options"]["shared"]["value"] == "redis://…@h:6379/0"
    done = run(COMETFS_SHARED=f"redis://:{KEY}@h")
    assert KEY not in done.output
    own.chmod(0o640)
    assert f"warning: {own} holds a password and is open to others: chmod 600 {own}\n" in run().stderr


def test_what_is_open_and_what_is_misspelt_is_warned_of(own: Path) -> None:
    """On stderr, each with its remedy."""
    write(own, f'api_key = "{KEY}"\n')
    own.chmod(0o666)
    done = run(COMETFS_CAHCE_SIZE="1G", COMETFS_UNLIKE="1")
    assert done.exit_code == 0
    assert done.stderr.splitlines() == [
        "cometfs: warning: COMETFS_CAHCE_SIZE in the environment is no option: do you mean COMETFS_CACHE_SIZE?",
        f"cometfs: warning: {own} holds an API key and is open to others: chmod 600 {own}",
        f"cometfs: warning: {own} names where an API key goes and can be changed by others: chmod go-w {own}",
    ]


def test_key_files_that_are_named_are_looked_at(own: Path, tmp_path: Path) -> None:
    """Once each, of every profile; the file that only names them may be read by all."""
    write(
        own, 'api_key_file = "a.key"\n[profiles.x]\napi_key_file = "~/b.key"\n[profiles.y]\napi_key_file = "~/b.key"\n'
    )
    own.chmod(0o644)
    for path, mode in ((own.parent / "a.key", 0o640), (tmp_path / "b.key", 0o604)):
        path.write_text(KEY)
        path.chmod(mode)
    warned = [
        f"cometfs: warning: {path} holds an API key and is open to others: chmod 600 {path}"
        for path in (own.parent / "a.key", tmp_path / "b.key")
    ]
    assert run().stderr.splitlines() == warned
    (tmp_path / "b.key").chmod(0o600)
    assert run().stderr.splitlines() == warned[:1]


def test_a_wrong_variable_is_named(own: Path) -> None:
    """And not the flag, which nobody gave."""
    done = run(COMETFS_RATE="many")
    assert done.exit_code == 2
    assert "Invalid value for COMETFS_RATE: 'many'" in done.stderr


def editor(folder: Path, script: str) -> dict[str, str]:
    path = folder / "editor"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return {"VISUAL": str(path), "EDITOR": "false"}


def test_edit_opens_a_template_that_is_made_for_its_user_alone(own: Path, tmp_path: Path) -> None:
    """All options are in it, and nothing is in force."""
    done = run("--edit", **editor(tmp_path, f'cp "$1" {tmp_path}/seen'))
    assert (done.exit_code, done.output) == (0, "")
    assert (tmp_path / "seen").read_text() == own.read_text() == template()
    assert stat.S_IMODE(own.stat().st_mode) == 0o600
    assert stat.S_IMODE(own.parent.stat().st_mode) == 0o700
    assert {value["from"] for value in shown(COMET_API_KEY="k")["options"].values()} == {"default", "COMET_API_KEY"}


def test_the_template_is_valid_when_its_signs_are_removed() -> None:
    """Each option has its line, with its default."""
    text = template().replace("# api_key = ", "# # api_key = ")
    lines = [line.removeprefix("# ") for line in text.splitlines()]
    kept = [line for line in lines if re.match(r"[a-z_]+ = |\[", line)]
    read = files.parse(Path("/c/config.toml"), "\n".join(kept))
    assert {*read.values, "api_key"} == {option.name for option in MOUNT}
    assert {option.name: option.default for option in MOUNT if option.default} == {
        key: found.value for key, found in read.values.items() if files.KEYS[key].default
    }
    assert list(read.profiles) == ["work"]


def test_what_was_edited_is_checked(own: Path, tmp_path: Path) -> None:
    """A mistake is named, and stays in the file to be mended; what others may read is warned of."""
    done = run("--edit", **editor(tmp_path, 'echo "rte = 5" > "$1"'))
    assert done.exit_code == 1
    assert done.stderr == f"cometfs: {own}:1: there is no option 'rte': do you mean 'rate'?\n"
    done = run("--edit", **editor(tmp_path, f'echo "api_key = \\"{KEY}\\"" > "$1"; chmod 644 "$1"'))
    assert done.exit_code == 0
    assert done.stderr == f"cometfs: warning: {own} holds an API key and is open to others: chmod 600 {own}\n"


def test_an_editor_that_fails_is_no_edit(own: Path, tmp_path: Path) -> None:
    """Nor is one that is missing."""
    assert run("--edit", **editor(tmp_path, "exit 3")).exit_code == 1
    assert run("--edit", VISUAL=str(tmp_path / "none")).exit_code == 1
