"""`cometfs help`: the manual on a terminal, in a pipe, for an unknown topic. What its pages name exists."""

from __future__ import annotations

import ast
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from cometfs import exposure, help
from cometfs.cli import main
from cometfs.comet.network import Network

ROOT = Path(__file__).parents[2]
MANUAL = ROOT / "src/cometfs/manual"
PAGES = sorted(MANUAL.glob("*.md"))
COMETFS = [sys.executable, "-m", "cometfs"]

SAYING = ("SetupError", "log.warning", "LOG.warning")
"""What is called with a sentence for a user."""


def test_without_a_topic_it_lists_every_page() -> None:
    """By its topic and its title."""
    done = CliRunner().invoke(main, ["help"])
    assert done.exit_code == 0
    assert set(help.topics()) == {page.stem for page in PAGES}
    assert len(PAGES) >= 9
    for topic, title in help.topics().items():
        assert f"| `{topic}` | {title} |" in done.output


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_in_a_pipe_is_its_markdown(page: Path) -> None:
    """As it was written, so that `grep` finds each line, but without the marks of what is generated."""
    done = CliRunner().invoke(main, ["help", page.stem])
    assert done.exit_code == 0
    kept = [line for line in page.read_text().splitlines() if not line.startswith("<!--")]
    assert done.output.splitlines() == kept


@pytest.mark.parametrize("topic", ["nonsense", "../manual/cache", "Cache", "cache.md"])
def test_an_unknown_topic_is_a_sentence_that_names_those_there_are(topic: str) -> None:
    """And exit status 1."""
    done = CliRunner().invoke(main, ["help", topic])
    assert done.exit_code == 1
    assert done.stdout == ""
    assert done.stderr == f"cometfs: there is no topic {topic!r}: choose one of {', '.join(help.topics())}\n"


def test_on_a_terminal_a_page_is_laid_out() -> None:
    """Headings and tables without Markdown's signs and with nothing cut, through the pager."""
    shown = on_a_terminal([*COMETFS, "help", "tree"])
    assert "──────" in shown
    assert "sorted by step, then time" in " ".join(shown.split())
    assert "## Bytes" not in shown
    assert "|---" not in shown
    assert "…" not in shown


def test_a_reader_that_stops_early_is_no_error() -> None:
    """`cometfs help tree | head -1`."""
    done = subprocess.run(
        ["bash", "-c", 'set -o pipefail; "$@" help tree | head -n 1', "bash", *COMETFS], capture_output=True, text=True
    )
    assert done.stdout == "# The tree: what is where\n"
    assert "Traceback" not in done.stderr


def on_a_terminal(command: list[str]) -> str:
    """What a command prints where its output is a terminal."""
    ours, its = pty.openpty()
    with subprocess.Popen(
        command, stdin=its, stdout=its, stderr=its, env=os.environ | {"PAGER": "cat", "TERM": "xterm", "COLUMNS": "100"}
    ):
        os.close(its)
        printed = b"".join(read(ours))
    os.close(ours)
    return printed.decode()


def read(terminal: int) -> Iterator[bytes]:
    """Until the last process has closed its side, which Linux reports as an error."""
    try:
        while part := os.read(terminal, 1 << 16):
            yield part
    except OSError:
        return


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "tests/README.md", *PAGES], ids=lambda page: page.stem
)
def test_what_a_page_names_exists(page: Path) -> None:
    """Links, paths, topics of `cometfs help`, commands and their options."""
    text = page.read_text()
    for link in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (page.parent / link).exists(), link
    for path in re.findall(r"`((?:src|tests|scripts|systemd)/[^`*: ]*)", text):
        assert (ROOT / path).exists(), path
    for topic in re.findall(r"cometfs help ([a-z]+)", text):
        assert topic in help.topics()
    code = "\n".join(
        [*re.findall(r"^```\w+\n(.*?)^```", text, re.DOTALL | re.MULTILINE), *re.findall(r"`(cometfs .*?)`", text)]
    )
    for command, rest in re.findall(r"^(?:\S*bin/)?cometfs ([a-z-]+)(.*)", code, re.MULTILINE):
        assert command in main.commands, command
        known = options(main.commands[command])
        assert set(re.findall(r" (--[a-z-]+)", rest.partition("#")[0])) <= known, (command, rest)


def options(command: click.Command) -> set[str]:
    """Those of a command and of the commands in it."""
    found = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    inner = command.commands.values() if isinstance(command, click.Group) else ()
    return found.union(*map(options, inner))


@pytest.mark.parametrize(("page", "command"), [("doctor", "doctor"), ("mount", "mount"), ("serve", "serve")])
def test_the_pages_of_commands_have_all_their_options(page: str, command: str) -> None:
    """A row in their table for each, and none more."""
    rows = re.findall(r"^\| `(--[a-z-]+)", (MANUAL / f"{page}.md").read_text(), re.MULTILINE)
    assert sorted([*rows, "--help"]) == sorted(
        option for option in options(main.commands[command]) if option.startswith("--")
    )


def test_every_error_of_a_command_and_every_warning_is_explained() -> None:
    """In `cometfs help troubleshooting`: the longest piece of each message that is the same every time."""
    page = " ".join((MANUAL / "troubleshooting.md").read_text().split())
    missing = [piece for piece in sorted(set(pieces())) if piece not in page]
    assert missing == []


def test_every_warning_of_what_is_too_open_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also there, whole: a row shows the words of each, with capitals for what differs."""
    key, configuration = tmp_path / "key", tmp_path / "config.toml"
    configuration.write_text('url = "https://me:hunter2@h"')
    configuration.chmod(0o664)
    monkeypatch.setenv("COMETFS_CONFIG", str(configuration))
    key.write_text("k")
    key.chmod(0o644)
    of_mount = exposure.of_mount("http://192.0.2.1/clientlib/", [key], Network(checks=False))
    said = " ".join([*of_mount, *exposure.of_server("0.0.0.0:80", None), *exposure.of_metrics("0.0.0.0:80")])
    for shown, word in (
        (str(key), "FILE"),
        (str(configuration), "FILE"),
        ("192.0.2.1", "HOST"),
        ("0.0.0.0:80", "HOST:PORT"),
    ):
        said = said.replace(shown, word)
    rows = re.findall(r"^\| `warning: (.*?)` \|", (MANUAL / "troubleshooting.md").read_text(), re.MULTILINE)
    assert said == " ".join(rows)


def pieces() -> Iterator[str]:
    for path in (ROOT / "src/cometfs").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in SAYING:
                constants = [part.value for part in ast.walk(node) if isinstance(part, ast.Constant)]
                texts = [piece for text in constants if isinstance(text, str) for piece in re.split("%[srd]", text)]
                longest = max(texts, key=len, default="").strip(" ():;,'")
                if longest:
                    yield longest
