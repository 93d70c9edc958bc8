"""Where the key and the address come from, and what an address becomes."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from cometfs.comet import settings as module
from cometfs.comet.address import page, parse_address
from cometfs.comet.http.proxies import proxy_for
from cometfs.comet.settings import DEFAULT_URL, Settings, find_settings
from cometfs.errors import SetupError

Find = Callable[..., Settings]


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Empty folders: ``cwd``, ``home``, ``drive``."""
    for name in ("cwd", "home", "drive", "named"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(module, "DRIVE", tmp_path / "drive")
    return tmp_path


@pytest.fixture
def find(places: Path) -> Find:
    """`find_settings` in those folders and an environment of its own."""

    def found(key: str | None = None, url: str | None = None, environ: Mapping[str, str] | None = None) -> Settings:
        return find_settings(key, url, environ=environ or {}, cwd=places / "cwd", home=places / "home")

    return found


def ini(folder: Path, text: str) -> None:
    (folder / ".comet.config").write_text(text)


def smart(told: object, *, padded: bool = False) -> str:
    text = base64.b64encode(json.dumps(told).encode()).decode()
    return f"abc*{text if padded else text.rstrip('=')}"


def test_sources_are_asked_in_comets_order(places: Path, find: Find) -> None:
    """Argument, environment, .env, the named file, here, the drive, home: each hides those behind it."""
    for folder in ("home", "drive", "cwd", "named"):
        ini(places / folder, f"[comet]\napi_key = {folder}\n")
    (places / "cwd" / ".env").write_text("COMET_API_KEY=env-file\n")
    named = {"COMET_CONFIG": str(places / "named" / ".comet.config")}
    assert find("argument", None, {"COMET_API_KEY": "environment", **named}).api_key == "argument"
    assert find(environ={"COMET_API_KEY": "environment", **named}).api_key == "environment"
    assert find(environ=named).api_key == "env-file"
    (places / "cwd" / ".env").unlink()
    assert find(environ=named).api_key == "named"
    for folder in ("cwd", "drive", "home"):
        assert find().api_key == folder
        (places / folder / ".comet.config").unlink()
    with pytest.raises(SetupError):
        find()


def test_key_and_address_may_come_from_different_sources(places: Path, find: Find) -> None:
    """Each is looked for on its own, as Comet does."""
    ini(places / "home", "[comet]\napi_key = k\nurl_override = https://h/clientlib/\n")
    assert find(environ={"COMET_API_KEY": "e"}) == Settings("e", "https://h/clientlib/")
    assert find(environ={"COMET_URL_OVERRIDE": "https://e/"}) == Settings("k", "https://e/")
    assert find(url="https://a/") == Settings("k", "https://a/")


@pytest.mark.parametrize(
    "text",
    [
        "[comet]\napi_key = k",
        "[comet]\nAPI_KEY=k\n",
        '[comet]\napi_key="k"',
        "[comet_api]\nkey = k",
        "[comet.api]\nkey=k",
    ],
)
def test_both_spellings_of_ini_keys_are_read(places: Path, find: Find, text: str) -> None:
    """Flat in [comet], or the first part in the section's name; quotes and letter case do not matter."""
    ini(places / "home", text)
    assert find() == Settings("k", DEFAULT_URL)


@pytest.mark.parametrize("name", ["COMET_CONFIG", "COMET_INI"])
def test_the_named_file_may_be_named_by_its_folder(places: Path, find: Find, name: str) -> None:
    """And relative to the home directory; COMET_INI is the old name of the variable."""
    ini(places / "named", "[comet]\napi_key = k\n")
    assert find(environ={name: str(places / "named")}).api_key == "k"
    (places / "home" / "in-home").write_text("[comet]\napi_key = h\n")
    assert find(environ={name: "~/in-home"}).api_key == "h"


def test_a_named_file_that_is_missing_is_passed_over(places: Path, find: Find) -> None:
    """It may be yet to be written; the others still count."""
    ini(places / "home", "[comet]\napi_key = k\n")
    assert find(environ={"COMET_CONFIG": str(places / "nowhere" / "file")}).api_key == "k"


def test_an_env_file_is_read_as_shells_write_it(places: Path, find: Find) -> None:
    """Comments, `export`, quotes, and lines that are something else."""
    (places / "cwd" / ".env").write_text(
        "# COMET_API_KEY=no\nnonsense\n\nexport COMET_API_KEY='k=='\nCOMET_URL_OVERRIDE = \"http://h\" \n"
    )
    assert find() == Settings("k==", "http://h")


def test_an_env_file_means_what_other_programs_read_in_it(places: Path, find: Find) -> None:
    """A comment after a value ends it, and is part of it without a blank before it or between quotes."""
    env = places / "cwd" / ".env"
    for written, key in (("k # of mine", "k"), ("k#1", "k#1"), ('"k #1"', "k #1"), ("'k' # of mine", "k")):
        env.write_text(f"COMET_API_KEY={written}\n")
        assert find().api_key == key


@pytest.mark.parametrize("written", ["$HOME-${HOME}", "'${HOME}'", '"${HOME:-k}"'])
def test_an_env_file_is_not_interpolated_and_changes_no_environment(places: Path, find: Find, written: str) -> None:
    """A key may hold a dollar sign, and child processes do not get it."""
    before = dict(os.environ)
    (places / "cwd" / ".env").write_text(f"COMET_API_KEY={written}\n")
    assert find().api_key == written.strip("\"'")
    assert dict(os.environ) == before


@pytest.mark.logs("python-dotenv could not parse statement starting at line 1")
def test_a_line_of_an_env_file_that_cannot_be_read_is_named_and_not_quoted(
    places: Path, find: Find, caplog: pytest.LogCaptureFixture
) -> None:
    """It may be the key. The other lines count."""
    (places / "cwd" / ".env").write_text("OTHER='secret\nCOMET_API_KEY=k\n")
    assert find().api_key == "k"
    assert "secret" not in caplog.text


def test_what_is_empty_is_not_set(places: Path, find: Find) -> None:
    """An empty variable hides nothing."""
    ini(places / "home", "[comet]\napi_key = k\nurl_override =\n")
    assert find(" ", "", {"COMET_API_KEY": "", "COMET_URL_OVERRIDE": " "}) == Settings("k", DEFAULT_URL)


def test_no_key_anywhere_says_what_to_do(find: Find) -> None:
    """One sentence with both remedies."""
    with pytest.raises(SetupError, match=r"set COMET_API_KEY, or write it to ~/\.comet\.config"):
        find()


def test_a_damaged_file_is_named_and_not_quoted(places: Path, find: Find) -> None:
    """The line that cannot be understood may be the key."""
    ini(places / "home", "secretkey\n")
    with pytest.raises(SetupError) as caught:
        find()
    assert str(places / "home" / ".comet.config") in str(caught.value)
    assert "secretkey" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_files_are_left_alone_when_nothing_is_missing(places: Path, find: Find) -> None:
    """What is given is enough: a damaged file in the way does not matter."""
    ini(places / "home", "nonsense\n")
    assert find("k", "http://h") == Settings("k", "http://h")


@pytest.mark.parametrize("padded", [True, False])
def test_a_smart_key_brings_its_address(find: Find, padded: bool) -> None:
    """The whole of it is the key; padding may be missing."""
    key = smart({"baseUrl": "https://own.example"}, padded=padded)
    assert find(key) == Settings(key, "https://own.example/clientlib/")


def test_an_address_that_is_configured_goes_before_that_of_a_smart_key(find: Find) -> None:
    """As in Comet's own client."""
    key = smart({"baseUrl": "https://own.example"})
    assert find(key, None, {"COMET_URL_OVERRIDE": "http://h"}).url == "http://h"
    assert find(key, "http://a").url == "http://a"


def test_a_smart_key_without_an_address_is_a_key(find: Find) -> None:
    """The rest of its JSON is Comet's business."""
    key = smart({"other": 1})
    assert find(key) == Settings(key, DEFAULT_URL)


@pytest.mark.parametrize("key", ["a*b*c", "abc*%%%", "abc*" + base64.b64encode(b"[1]").decode(), "abc*e30=*", "abc*_w"])
def test_a_damaged_smart_key_is_an_error_and_not_quoted(find: Find, key: str) -> None:
    """It would be sent to the wrong server."""
    with pytest.raises(SetupError) as caught:
        find(key)
    assert key not in str(caught.value)


@pytest.mark.parametrize("key", ["a\nb", "schlüssel", "a\x00"])
def test_a_key_that_no_header_can_carry_is_an_error(find: Find, key: str) -> None:
    """Better than an exception that quotes it."""
    with pytest.raises(SetupError) as caught:
        find(key)
    assert key not in str(caught.value)


def test_settings_do_not_show_the_key(find: Find) -> None:
    """`repr` is what logs and tracebacks print."""
    assert "secret" not in repr(find("secret", "http://h"))


@pytest.mark.parametrize(
    "tail", ["", "/", "/clientlib", "/clientlib/", "/clientlib//", "/api/rest/v2", "/api/rest/v2/"]
)
@pytest.mark.parametrize(
    "root", ["https://www.comet.com", "http://h:8080", "http://[::1]:5", "https://h/comet", "https://h/a/b"]
)
def test_every_way_to_write_an_address_is_the_same_address(root: str, tail: str) -> None:
    """With and without ``clientlib``, with and without the slash; what stands before is kept."""
    address = parse_address(f" {root}{tail}\n")
    assert (address.root, address.rest) == (root, f"{root}/api/rest/v2/")


@pytest.mark.parametrize(
    "url", ["www.comet.com", "localhost:8080", "ftp://h", "http://", "http://h:99999", "http://[::1", ""]
)
def test_an_address_that_is_none_is_a_clear_error(url: str) -> None:
    """It shows how a good one looks."""
    with pytest.raises(SetupError, match="write it whole, like https://"):
        parse_address(url)


def test_an_address_with_a_password_is_refused_unquoted() -> None:
    """It would show up in every link and message."""
    for url in ("https://me:hunter2@h/", "https://me:hunter2@h:x/"):
        with pytest.raises(SetupError) as caught:
            parse_address(url)
        assert "hunter2" not in str(caught.value)


def test_names_in_a_page_address_are_escaped() -> None:
    """A slash in a name is no folder."""
    assert page("https://c", "w s", "a/b", "k") == "https://c/w%20s/a%2Fb/k"


def test_without_a_home_the_other_places_are_asked(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And no directory that is called `~`."""
    monkeypatch.setattr(module, "home_directory", lambda: None)
    monkeypatch.chdir(places / "named")
    (places / "named/~").mkdir()
    ini(places / "named/~", "[comet]\napi_key = tilde\n")
    (places / "named/~/file").write_text("[comet]\napi_key = tilde\n")
    ini(places / "cwd", "[comet]\napi_key = k\n")
    assert find_settings(environ={"COMET_CONFIG": "~/file"}, cwd=places / "cwd").api_key == "k"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_places_that_this_user_may_not_look_into_hold_nothing(places: Path) -> None:
    """A home, a working directory and a named file of another user, as after `su`."""
    for name in ("home", "cwd", "named"):
        ini(places / name, "[comet]\nurl_override = http://theirs\n")
        (places / name).chmod(0o700)
    environ = {**os.environ, "COMET_API_KEY": "mine", "COMET_CONFIG": str(places / "named")}
    command = [sys.executable, "-c", AS_ANOTHER_USER, str(places)]
    said = subprocess.run(command, env=environ, capture_output=True, text=True, check=True).stdout
    assert said == f"{DEFAULT_URL}\n"


AS_ANOTHER_USER = """
import os, pathlib, sys
from cometfs.comet.settings import find_settings
places = pathlib.Path(sys.argv[1])
os.chdir(places / "cwd")
os.setgroups([])
os.setgid(12345)
os.setuid(12345)
print(find_settings(home=places / "home").url)
"""


PROXIES = {"https": "http://secure:1", "all": "any:2", "no": "inside.example,10.0.0.1"}


@pytest.mark.parametrize(
    ("origin", "proxy"),
    [
        ("https://www.comet.com", "http://secure:1"),
        ("http://www.comet.com", "http://any:2"),
        ("https://inside.example", None),
        ("https://deep.inside.example:8080", None),
        ("https://10.0.0.1", None),
        ("http://127.0.0.1:5000", None),
        ("http://127.9.9.9", None),
        ("http://[::1]:5000", None),
        ("http://localhost:5000", None),
    ],
)
def test_proxies_of_the_environment_are_used_but_for_this_machine(origin: str, proxy: str | None) -> None:
    """By scheme, else for all; not for what NO_PROXY names, never for loopback."""
    assert proxy_for(origin, PROXIES) == proxy


def test_without_proxies_everything_is_direct() -> None:
    """And NO_PROXY=* switches them off."""
    assert proxy_for("https://h", {}) is None
    assert proxy_for("https://h", {**PROXIES, "no": "*"}) is None


def test_files_that_hold_a_key_are_told(places: Path, find: Find) -> None:
    """Those that were read, whether the key is from there or not; none without a key."""
    ini(places / "home", "[comet]\napi_key = k\n")
    ini(places / "cwd", "[comet]\nworkspace = w\n")
    (places / "cwd" / ".env").write_text("COMET_API_KEY=other\n")
    assert find(None, "http://c").key_files == (places / "cwd" / ".env",)
    assert find("key").key_files == (places / "cwd" / ".env", places / "home" / ".comet.config")


def test_settings_of_the_network_are_found_in_every_source(places: Path, find: Find) -> None:
    """Also where nothing else is missing; relative paths are those of the working directory."""
    ini(places / "home", "[comet]\napi_key = k\nallow_header.name = X-A\nallow_header_value = b\n")
    (places / "cwd" / ".env").write_text("COMET_INCLUDE_CUSTOM_CA_BUNDLE=certs/mine.pem\n")
    found = find("key", "http://c", {"SSL_CERT_FILE": "all.pem"})
    assert found.network.headers == {"X-A": "b"}
    assert found.network.further == ("COMET_INCLUDE_CUSTOM_CA_BUNDLE", places / "cwd" / "certs/mine.pem")
    assert found.network.instead == (("SSL_CERT_FILE", places / "cwd" / "all.pem"),)
    assert found.key_files == ()
