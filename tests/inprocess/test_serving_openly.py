"""`cometfs serve` on addresses that other machines reach: what it is called there, and what it warns of."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from cometfs import exposure
from cometfs.comet.network import Network
from tests.support.processes import COMETFS, PATIENCE


@contextmanager
def served(folder: Path, *options: str) -> Iterator[tuple[int, Callable[[], str]]]:
    """The port of a server of the sample, and a way to read what it has said on stderr."""
    complaint = folder / "stderr"
    with (
        complaint.open("wb") as stderr,
        subprocess.Popen([*COMETFS, "serve", *options], stdout=subprocess.PIPE, stderr=stderr, text=True) as process,
    ):
        try:
            assert process.stdout is not None
            said = process.stdout.readline()
            assert said.startswith("Comet at http://"), complaint.read_text()
            yield int(said.rpartition(":")[2]), complaint.read_text
        finally:
            process.terminate()
            process.wait(PATIENCE)


def ask(port: int, host: str) -> httpx.Response:
    headers = {"Host": host, "Authorization": "k"}
    return httpx.get(f"http://127.0.0.1:{port}/api/rest/v2/workspaces", headers=headers, timeout=PATIENCE)


def test_on_all_addresses_it_knows_what_this_machine_is_called(tmp_path: Path) -> None:
    """The name of the machine, the address that was bound, local names, and what --host adds; no other."""
    options = ("--host", "comet.example", "--host", "tunnel:9999", "--api-key", "k")
    with served(tmp_path, "--bind", "0.0.0.0:0", *options) as (port, said):
        own = ("127.0.0.1", "localhost", "0.0.0.0", socket.gethostname())
        for host in ("comet.example", "tunnel:9999", *(f"{name}:{port}" for name in own)):
            assert ask(port, host).status_code == 200, host
        for host in (f"evil.example:{port}", f"tunnel:{port}"):
            assert "--host" in ask(port, host).json()["msg"], host
        assert said() == ""


def test_on_its_own_address_it_goes_by_no_name_of_the_machine(tmp_path: Path) -> None:
    """Where nothing else can reach it by that."""
    with served(tmp_path) as (port, _):
        assert ask(port, f"{socket.gethostname()}.evil:{port}").status_code == 403
        assert ask(port, f"localhost:{port}").status_code == 200


@pytest.mark.parametrize(
    ("options", "warned"),
    [
        (("--bind", "0.0.0.0:0"), True),
        (("--bind", "0.0.0.0:0", "--api-key", "k"), False),
        (("--bind", "localhost:0"), False),
        ((), False),
    ],
)
def test_a_server_that_lets_in_everybody_says_so_once(options: tuple[str, ...], warned: bool, tmp_path: Path) -> None:
    """One line, with the remedy; none where just this machine gets to it, or a key is asked for."""
    with served(tmp_path, *options) as (port, said):
        assert ask(port, f"localhost:{port}").status_code == 200
        lines = said().splitlines()
    assert len(lines) == warned
    assert all("warning" in line and "--api-key" in line and "0.0.0.0" in line for line in lines)


@pytest.mark.parametrize(("options", "named"), [((), "any"), (("--api-key", "secret"), "KEY")])
def test_the_first_lines_say_what_to_do_with_the_address(options: tuple[str, ...], named: str, tmp_path: Path) -> None:
    """For a person a browser, for a program two variables; a key is not printed."""
    command = [*COMETFS, "serve", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address, person, program = (process.stdout.readline().strip() for _ in range(3))
        process.terminate()
        process.wait(PATIENCE)
    url = address.removeprefix("Comet at ")
    assert person == "Open that address in a browser to look at the experiments."
    assert program.endswith(f"export COMET_API_KEY={named} COMET_URL_OVERRIDE={url}/clientlib/")


@pytest.mark.parametrize("name", ["http://comet.example", "a b/c", "x:port"])
def test_a_name_that_is_none_is_refused(name: str, tmp_path: Path) -> None:
    """One sentence and status 1."""
    command = [*COMETFS, "serve", "--host", name]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert "NAME:PORT" in line


def test_addresses_of_this_machine_are_told_from_others() -> None:
    """By whether something can be bound there."""
    for host in ("127.0.0.1", "127.0.0.53", "localhost", "::1", "[::1]", "0.0.0.0"):
        assert exposure.is_this_machine(host), host
    for host in ("192.0.2.7", "2001:db8::7", ""):
        assert not exposure.is_this_machine(host), host


def test_a_key_on_its_way_to_another_machine_is_told_of() -> None:
    """http:// alone, and no address of this machine."""
    (said,) = exposure.of_mount("http://192.0.2.7:8080/clientlib/", [], Network())
    assert "192.0.2.7" in said
    assert "https://" in said
    for url in ("https://192.0.2.7", "http://localhost:1/clientlib/", "http://[::1]:1", "http://127.0.0.1"):
        assert exposure.of_mount(url, [], Network()) == []


@pytest.mark.parametrize(("mode", "warned"), [(0o600, False), (0o400, False), (0o640, True), (0o604, True)])
def test_a_file_with_a_key_that_others_can_read_is_told_of(mode: int, warned: bool, tmp_path: Path) -> None:
    """Once, however often it was met, with a command to paste."""
    path = tmp_path / "my key"
    path.write_text(json.dumps("key"))
    path.chmod(mode)
    found = exposure.of_mount("https://192.0.2.7", [path, path], Network())
    assert found == [f"{path} holds an API key and is open to others: chmod 600 '{path}'"] * warned
