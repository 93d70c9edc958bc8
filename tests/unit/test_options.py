"""Where the value of an option comes from: files, profiles, the environment, flags; and what a file may not say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from cometfs import config
from cometfs.cli import main
from cometfs.comet import settings as comet_settings
from cometfs.comet.settings import DEFAULT_URL
from cometfs.errors import SetupError
from cometfs.options import files
from cometfs.options.kinds import FLAG, GROUP, NAMES, PATH, SHARED, SIZE, TEXT, UMASK, USER, Kind
from cometfs.options.sources import configured
from cometfs.options.table import MOUNT, Option
from cometfs.process import console


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home, a directory for all users (`etc`) and a working directory, all empty; nothing in the environment."""
    for name in ("home", "etc", "cwd"):
        (tmp_path / name).mkdir()
    for variable in ("COMET_API_KEY", "COMET_URL_OVERRIDE", "COMET_CONFIG", "COMETFS_PROFILE", "COMETFS_CONFIG"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home/conf"))
    monkeypatch.setattr(files, "SYSTEM", tmp_path / "etc/config.toml")
    monkeypatch.setattr(comet_settings, "DRIVE", tmp_path / "drive")
    monkeypatch.chdir(tmp_path / "cwd")
    return tmp_path


def write(places: Path, text: str, *, system: bool = False) -> Path:
    path = places / ("etc/config.toml" if system else "home/conf/cometfs/config.toml")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def given(*arguments: str) -> dict[str, Any]:
    """What `cometfs mount` would get."""
    found: list[dict[str, Any]] = []

    @click.command()
    @configured(*MOUNT)
    def command(**options: Any) -> None:
        found.append(options)

    command.main([*arguments], standalone_mode=False)
    return found[0]


def credentials(*arguments: str) -> tuple[str, str]:
    """The key and the address of `cometfs mount /m`."""
    options = given("/m", *arguments)
    names = ("url", "api_key_file", "api_key", "profile")
    found = config.credentials(**{name: options[name] for name in names})
    return found.api_key, found.url


def test_places_go_before_each_other_in_a_fixed_order(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's file, the user's, the profile of each, the environment, flags: each goes before those above it."""
    assert given("/m")["rate"] == 15_000
    write(places, "rate = 1", system=True)
    assert given("/m")["rate"] == 1
    write(places, "rate = 2")
    assert given("/m")["rate"] == 2
    write(places, "rate = 1\n[profiles.work]\nrate = 3", system=True)
    assert given("/m", "--profile", "work")["rate"] == 3
    write(places, "rate = 2\n[profiles.work]\nrate = 4")
    assert given("/m", "--profile", "work")["rate"] == 4
    assert given("/m")["rate"] == 2
    monkeypatch.setenv("COMETFS_RATE", "5")
    assert given("/m", "--profile", "work")["rate"] == 5
    assert given("/m", "--profile", "work", "--rate", "6")["rate"] == 6


def example(kind: Kind) -> tuple[str, str, Any]:
    """A value for an option of this kind: in the environment, in a file, and as a command gets it."""
    parsed = kind.parsed
    if isinstance(parsed, click.Choice):
        word = str(parsed.choices[-1])
        return word, f'"{word}"', word
    if isinstance(parsed, click.IntRange | click.FloatRange):
        return "7", "7", 7
    of_kinds: dict[Kind, tuple[str, str, Any]] = {
        FLAG: ("1", "true", True),
        NAMES: ("a,b", '["a", "b"]', ("a", "b")),
        PATH: ("/p", '"/p"', Path("/p")),
        TEXT: ("t", '"t"', "t"),
        SHARED: ("redis://h", '"redis://h"', "redis://h"),
        SIZE: ("2GiB", '"2GiB"', 2 << 30),
        USER: ("daemon", '"daemon"', 1),
        GROUP: ("54321", "54321", 54321),
        UMASK: ("027", '"027"', 0o27),
    }
    return of_kinds[kind]


@pytest.mark.parametrize("option", MOUNT, ids=lambda option: option.name)
def test_every_option_can_be_in_a_file_and_in_the_environment(
    places: Path, monkeypatch: pytest.MonkeyPatch, option: Option
) -> None:
    """With the value that the flag gives."""
    if not option.on_command_line:
        return
    variable, written, value = example(option.kind)
    write(places, f"{option.name} = {written}")
    arguments = [] if option.is_argument else ["/m"]
    assert given(*arguments)[option.name] == value
    write(places, "")
    monkeypatch.setenv(f"COMETFS_{option.name.upper()}", variable)
    assert given(*arguments)[option.name] == value


def test_names_in_the_environment_may_have_blanks_around_them(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the last may have a comma behind it."""
    monkeypatch.setenv("COMETFS_WORKSPACES", " a, b c ,")
    assert given("/m")["workspaces"] == ("a", "b c")


def test_names_of_profiles_are_completed(places: Path) -> None:
    """None where the file is damaged: a shell shows no sentence there."""
    write(places, "[profiles.work]\n[profiles.world]\n[profiles.home]")
    for name in ("mount", "config"):
        command = main.commands[name]
        (profile,) = (param for param in command.params if param.name == "profile")
        found = profile.shell_complete(click.Context(command), "wo")
        assert [item.value for item in found] == ["work", "world"]
    write(places, "nonsense")
    assert profile.shell_complete(click.Context(command), "wo") == []


def test_what_is_true_in_a_file_can_be_made_false(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a flag and by the environment."""
    write(places, "rw = true\noffline = true")
    monkeypatch.setenv("COMETFS_OFFLINE", "no")
    options = given("/m", "--no-rw")
    assert (options["rw"], options["offline"]) == (False, False)


def test_users_and_groups_are_given_by_name_or_number(places: Path) -> None:
    """Numbers need no entry on this machine; a name that has none is an error where it is used: files travel."""
    options = given("/m", "--uid", "daemon", "--gid", "54321", "--umask", "27")
    assert (options["uid"], options["gid"], options["umask"]) == (1, 54321, 0o27)
    path = write(places, '[profiles.there]\ngid = "staff-there"\n[profiles.all]\nuid = -1')
    assert given("/m")["gid"] is None
    with pytest.raises(click.BadParameter) as caught:
        given("/m", "--profile", "there")
    assert caught.value.format_message() == (
        f"Invalid value for {path}:2: there is no group 'staff-there' on this machine"
    )
    with pytest.raises(click.BadParameter, match="-1 is the number of no user"):
        given("/m", "--profile", "all")
    write(places, 'uid = 54321\ngid = "daemon"')
    options = given("/m")
    assert (options["uid"], options["gid"], options["umask"]) == (54321, 1, 0o22)


def test_a_profile_may_name_its_mountpoint(places: Path) -> None:
    """`cometfs mount --profile work` needs no more then; a relative path is meant from the file's directory."""
    path = write(places, '[profiles.work]\nmountpoint = "~/comet"\napi_key_file = "work.key"')
    options = given("--profile", "work")
    assert options["mountpoint"] == Path("~/comet")
    assert options["api_key_file"] == path.parent / "work.key"
    with pytest.raises(click.MissingParameter):
        given()


def test_the_environment_may_name_the_profile(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And --profile goes before it."""
    write(places, '[profiles.a]\nurl = "http://a"\n[profiles.b]\nurl = "http://b"')
    monkeypatch.setenv("COMETFS_PROFILE", "a")
    assert given("/m")["url"] == "http://a"
    assert given("/m", "--profile", "b")["url"] == "http://b"


WRONG = {
    "rte = 5": "2: there is no option 'rte': do you mean 'rate'?",
    "zzz = 5": "2: there is no option 'zzz': choose one of mountpoint, allow_non_empty, url, ",
    '[profile.work]\nurl = "http://h"': "2: there is no option 'profile': do you mean 'profiles'?",
    "[profiles.work]\n\ncahce_size = 5": "4: there is no option 'cahce_size': do you mean 'cache_size'?",
    'profiles.work.ulr = "u"': "2: there is no option 'ulr': do you mean 'url'?",
    '[profiles."the lab"]\nrw = "yes"': "3: rw is true or false",
    "profiles = 3": "2: profiles are tables: [profiles.NAME]",
    "[profiles]\nwork = 3": "2: profiles are tables: [profiles.NAME]",
    'rate = "many"': "2: rate is a whole number",
    "rate = true": "2: rate is a whole number",
    "rate = 0": "2: rate: 0 is not in the range x>=1.",
    "deadline = nan": "2: deadline: nan is no time",
    "live_interval = inf": "2: live_interval: inf is no time",
    'workspaces = "a"': "2: workspaces is a list of names",
    "workspaces = [1]": "2: workspaces is a list of names",
    'cache_size = "big"': "2: cache_size: 'big' is no size: write it as 500M, 10G or 2GiB",
    'log_level = "loud"': "2: log_level: 'loud' is not one of 'debug', 'info', 'warning', 'error'.",
    'api_key = "hunter2"\napi_key_file = "f"': "2: api_key and api_key_file both name the key: keep one of them",
    "umask = 22": '2: umask is octal digits in quotes, like "022"',
    'umask = "888"': "2: umask: '888' is no umask: write it in octal digits, like 022",
    'umask = "1777"': "2: umask: '1777' is no umask",
    'api_key = ""': "2: api_key is empty: leave the line out",
    'url = " "': "2: url is empty: leave the line out",
    'cache_dir = ""': "2: cache_dir is empty: leave the line out",
    "rate = ": " is no TOML: Invalid value (at line 2, column 8)",
}


@pytest.mark.parametrize("text", WRONG)
def test_what_a_file_may_not_say_is_named_with_its_line(places: Path, text: str) -> None:
    """Also in a profile that is not in use: it would wait there for the day on which it is."""
    path = write(places, f"# mine\n{text}\n")
    with pytest.raises(SetupError) as caught:
        given("/m")
    expected = WRONG[text]
    separator = "" if expected.startswith(" ") else ":"
    assert str(caught.value).startswith(f"{path}{separator}{expected}")
    assert "hunter2" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_an_error(places: Path) -> None:
    """Not one that says nothing."""
    write(places, "").write_bytes(b'url = "\xff"')
    with pytest.raises(SetupError, match=r"cannot read the configuration .*: it is not UTF-8"):
        given("/m")
    write(places, "").unlink()
    (places / "home/conf/cometfs/config.toml").mkdir()
    with pytest.raises(SetupError, match=r"cannot read the configuration .*: Is a directory"):
        given("/m")


def test_the_environment_may_name_the_file(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the place of the user's; the machine's counts. One that is named and missing is an error."""
    write(places, "rate = 1\ndeadline = 1", system=True)
    write(places, "rate = 2\ndeadline = 2")
    monkeypatch.setenv("COMETFS_CONFIG", "other.toml")
    with pytest.raises(SetupError, match=r"cannot read the configuration other.toml: No such file"):
        given("/m")
    (places / "cwd/other.toml").write_text("rate = 3")
    assert (given("/m")["rate"], given("/m")["deadline"]) == (3, 1)


def test_an_unknown_profile_is_an_error_that_names_the_nearest(places: Path) -> None:
    """Or says that there is none."""
    with pytest.raises(SetupError, match="there is no profile 'wrok': there are none"):
        given("/m", "--profile", "wrok")
    write(places, "[profiles.work]\n[profiles.home]\n")
    with pytest.raises(SetupError, match=r"there is no profile 'wrok': do you mean 'work'\?"):
        given("/m", "--profile", "wrok")
    with pytest.raises(SetupError, match="there is no profile 'x': choose one of work, home"):
        given("/m", "--profile", "x")


@pytest.fixture
def keys(places: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A key for all mounts, one of a profile, and those that Comet's own clients find."""
    for name in ("all", "work", "flag"):
        (places / name).write_text(f"{name}-key\n")
    write(
        places,
        f'url = "http://all"\napi_key_file = "{places}/all"\n'
        f'[profiles.work]\napi_key_file = "{places}/work"\nurl = "http://work"\n'
        f'[profiles.bare]\napi_key_file = "{places}/work"\n[profiles.address]\nurl = "http://address"\n'
        '[profiles.held]\napi_key = "held-key"\n',
    )
    (places / "cwd/.env").write_text("COMET_API_KEY=dotenv-key\nCOMET_URL_OVERRIDE=http://dotenv\n")
    return places


@pytest.mark.parametrize(
    ("environ", "arguments", "found"),
    [
        ({}, "", ("all-key", "http://all")),
        ({"COMET_API_KEY": "env-key"}, "", ("env-key", "http://all")),
        ({"COMET_URL_OVERRIDE": "http://env"}, "", ("all-key", "http://env")),
        (
            {"COMET_API_KEY": "env-key", "COMET_URL_OVERRIDE": "http://env"},
            "--profile work",
            ("work-key", "http://work"),
        ),
        ({"COMET_API_KEY": "env-key"}, "--profile held", ("held-key", "http://all")),
        ({"COMET_API_KEY": "env-key"}, "--profile address", ("env-key", "http://address")),
        ({"COMET_API_KEY": "env-key"}, "--profile held --api-key-file FLAG", ("flag-key", "http://all")),
        ({"COMETFS_API_KEY_FILE": "FLAG"}, "--profile work", ("flag-key", "http://work")),
        ({"COMETFS_URL": "http://env"}, "--profile work", ("work-key", "http://env")),
        ({"COMETFS_PROFILE": "work", "COMET_API_KEY": "env-key"}, "", ("work-key", "http://work")),
    ],
)
def test_a_profile_goes_before_what_comets_clients_find_and_all_else_after_it(
    keys: Path, monkeypatch: pytest.MonkeyPatch, environ: Mapping[str, str], arguments: str, found: tuple[str, str]
) -> None:
    """COMET_API_KEY in the environment is by accident where a profile is named, and on purpose where none is."""
    for name, value in environ.items():
        monkeypatch.setenv(name, value.replace("FLAG", f"{keys}/flag"))
    assert credentials(*arguments.replace("FLAG", f"{keys}/flag").split()) == found


def test_the_key_of_a_profile_goes_to_no_address_found_by_accident(keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """COMET_URL_OVERRIDE, ./.env and Comet's files are those of another key."""
    path = write(keys, f'[profiles.bare]\napi_key_file = "{keys}/work"\n')
    monkeypatch.setenv("COMET_URL_OVERRIDE", "http://env")
    assert credentials("--profile", "bare") == ("work-key", DEFAULT_URL)
    monkeypatch.delenv("COMET_URL_OVERRIDE")
    assert credentials("--profile", "bare") == ("work-key", DEFAULT_URL)
    path.write_text("")
    assert credentials("--api-key-file", f"{keys}/work") == ("work-key", "http://dotenv")


def test_a_file_that_holds_the_key_is_one_of_the_key_files(keys: Path) -> None:
    """It is warned of where others may read it; the key itself is in no `repr`."""
    options = given("/m", "--profile", "held")
    found = config.mount_settings(**{**options, "mountpoint": keys})
    assert found.key_files[0] == keys / "home/conf/cometfs/config.toml"
    assert "held-key" not in repr((options, found, files.read_files()))


def test_every_option_of_a_mount_is_one_of_its_settings() -> None:
    """A field of that name takes it, with the same default; the account has a form of its own there."""
    of_settings = {field.name: field.default for field in fields(config.MountSettings)}
    for option in MOUNT:
        assert option.name in {*of_settings, "api_key_file"}
        if option.default is not None:
            assert (
                option.kind.parsed.convert(option.default, None, None) == of_settings[option.name] or not option.default
            )


@pytest.mark.parametrize("command", ["info", "clear", "verify"])
def test_every_command_takes_a_profile_that_needs_none(
    places: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """Those of the cache look for it where the profile has it, and for no key."""
    monkeypatch.setattr(console, "log_to_stderr", lambda _level: None)  # `verify` would silence the tests that follow
    write(places, f'[profiles.work]\ncache_dir = "{places}/there"')
    done = CliRunner().invoke(main, ["cache", command, "--profile", "work"])
    assert (done.exit_code, done.stderr) == (0, "")
    assert f"{places}/there" in done.stdout


def test_commands_that_have_a_value_of_their_own_leave_that_of_files_alone(places: Path) -> None:
    """`--url` of `cache clear` says what is removed: an address in a file must not narrow it."""
    write(places, f'url = "http://h"\ncache_dir = "{places}/c"')
    clear = main.commands["cache"].commands["clear"]  # type: ignore[attr-defined]
    with clear.make_context("clear", []) as context:
        assert context.params["url"] is None
        assert context.params["cache_dir"] == places / "c"
