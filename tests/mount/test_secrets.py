"""The API key is where it was given and in requests to Comet, and in no other place: a canary is looked for in all."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from tests.support.other_users import UID, needs_root
from tests.support.processes import PATIENCE, Comet, is_mounted, running_comet
from tests.support.spawning import inside
from tests.support.subprocesses import Said, Stage, await_that

CANARY = "c4na7y+" + "Qz9" * 11 + os.environ.get("PYTEST_XDIST_WORKER", "gw") + "/k3y"
"""Of this process: what the tests of another one give to their programs is in the list of processes, too."""
ROOT = Path(__file__).parents[2]

SPELLINGS = {
    "as it is": CANARY.encode(),
    "its end": CANARY[-16:].encode(),
    "quoted": quote(CANARY, safe="").encode(),
    "in base64": base64.b64encode(CANARY.encode())[4:-4],
    "in hex": CANARY.encode().hex().encode(),
    "backwards": CANARY[::-1].encode(),
}

CRASHING = (sys.executable, "-W", "error", "-m", "tests.support.cometfs_crashing")


@dataclass
class Given:
    """How a key is given: words of a command, and of the environment; the files that have it."""

    options: tuple[str, ...] = ()
    environ: dict[str, str] = field(default_factory=dict)
    files: tuple[Path, ...] = ()


def in_file(home: Path, name: str, text: str, *options: str) -> Given:
    path = home / name
    path.write_text(text)
    path.chmod(0o600)
    return Given(options, files=(path,))


def smart() -> str:
    """A key that carries an address, which the option overrides."""
    return f"{CANARY}*{base64.b64encode(json.dumps({'baseUrl': 'http://127.0.0.1:1'}).encode()).decode()}"


WAYS: dict[str, Callable[[Path], Given]] = {
    "file": lambda home: in_file(home, "key", CANARY + "\n", "--api-key-file", str(home / "key")),
    "environment": lambda _: Given(environ={"COMET_API_KEY": CANARY}),
    "configuration": lambda home: in_file(home, ".comet.config", f"[comet]\napi_key = {CANARY}\n"),
    ".env": lambda home: in_file(home, ".env", f"COMET_API_KEY={CANARY}\n"),
    "smart": lambda home: in_file(home, "key", smart(), "--api-key-file", str(home / "key")),
}


@pytest.fixture(params=WAYS)
def given(request: pytest.FixtureRequest, stage: Stage) -> Given:
    return WAYS[request.param](stage.home)


def assert_absent(where: str, content: bytes | str) -> None:
    """In no spelling."""
    raw = content.encode("utf-8", "surrogateescape") if isinstance(content, str) else content
    for spelling, sought in SPELLINGS.items():
        at = raw.find(sought)
        assert at < 0, f"{where} has the key, {spelling}: {raw[max(0, at - 200) : at + 200]!r}"


def assert_absent_from_processes(given: Given) -> None:
    """The words of every process of this machine, and what a process knows whose key is from a file."""
    assert_absent("ps", subprocess.run(["ps", "axww", "-o", "args"], capture_output=True, check=True).stdout)
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            for name in ("cmdline", "comm", *(() if given.environ else ("environ",))):
                try:
                    assert_absent(f"{entry}/{name}", (entry / name).read_bytes())
                except OSError:
                    continue  # it has ended


def assert_absent_from_mounts(mountpoint: Path, top: str) -> None:
    """`mount`, and what a mount shows: names, links, attributes, and all bytes, those that no listing has, too."""
    assert_absent("mount", subprocess.run(["mount"], capture_output=True, check=True).stdout)
    assert_absent("mountinfo", Path("/proc/self/mountinfo").read_bytes())
    program = f"""
import os, sys
def show(path):
    print(path)
    for name in os.listxattr(path, follow_symlinks=False):
        try:
            print(name, os.getxattr(path, name, follow_symlinks=False))
        except OSError as error:
            print(name, error)
    try:
        if os.path.islink(path):
            print(os.readlink(path))
        elif os.path.isfile(path):
            sys.stdout.flush()
            sys.stdout.buffer.write(open(path, "rb").read())
    except OSError as error:
        print(error, error.filename)
found = []
for top in ({str(mountpoint / top)!r}, {str(mountpoint / ".cometfs")!r}):
    for folder, folders, files in os.walk(top):
        hidden = [name for name in (".api",) if os.path.isdir(os.path.join(folder, name))]
        folders += hidden
        found += [folder, *(os.path.join(folder, name) for name in [*folders, *files])]
found += [os.path.join({str(mountpoint)!r}, ".cometfs", name) for name in ("status.json", "errors.log", "metrics")]
for path in found:
    try:
        show(path)
    except OSError as error:
        print(path, error)
print("shown:", len(found))
"""
    command = inside(mountpoint.parent, sys.executable, "-c", program)
    done = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=True)
    assert int(done.stdout.rpartition(b"shown:")[2]) > 50
    assert b"metricName" in done.stdout  # the bytes of files are in it
    assert b"/.cometfs/status.json" in done.stdout
    assert_absent("the mount", done.stdout)
    assert_absent("its walker", done.stderr)


def assert_absent_from_files(folder: Path, given: Given) -> int:
    """All files of a home but those that the key was written to: cache, logs, reports. How many there are."""
    count = 0
    for path in folder.rglob("*"):
        assert_absent("a name", str(path))
        if path.is_file() and path not in given.files and not path.is_relative_to(folder / "mnt"):
            assert_absent(str(path), path.read_bytes())
            count += 1
    return count


def assert_said(said: Said, status: int | None = 0) -> Said:
    assert status is None or said.status == status, said
    assert_absent("stdout", said.output)
    assert_absent("stderr", said.complaint)
    return said


def logged(stage: Stage) -> str:
    return "".join(path.read_text("utf-8", "replace") for path in (stage.home / ".local/state/cometfs/log").glob("*"))


def test_a_key_is_nowhere_but_where_it_was_given(given: Given, stage: Stage, tmp_path: Path) -> None:
    """While it mounts, reads, writes, fails, reports and ends; with all that a log can say."""
    mountpoint = stage.home / "mnt"
    is_first = (
        given.options and given.files[0].read_text().strip() == CANARY
    )  # what is shown does not depend on the way
    serving = tmp_path / "serving"
    serving.mkdir()
    with running_comet(serving) as comet:
        words = ("--url", comet.url, *given.options)
        debug = ("--rw", "--log-level", "debug", "--deadline", "5")
        assert_said(stage.run("mount", mountpoint, *words, *debug, **given.environ))
        (mountpoint / ".cometfs/store/k").write_text("value")
        assert_absent_from_mounts(mountpoint, "tabular" if is_first else "tabular/wine-cultivars/forest-200")
        assert_absent_from_processes(given)
        assert_said(stage.run("status", mountpoint, **given.environ))
        assert_said(stage.run("doctor", *words, **given.environ), None)
        report = stage.home / "report"
        account = ("doctor", "--account", "--yes", "--report", str(report))
        assert_said(stage.run(*account, *words, **given.environ), None)
        assert_said(stage.run("cache", "info", **given.environ), None)
        assert_absent("the access log", comet.access_log.read_bytes())
    with pytest.raises(OSError, match=r"\[Errno"):
        (mountpoint / "tabular/nothing-of-this-name/params.json").read_bytes()
    for name in ("status.json", "errors.log", "metrics"):
        assert_absent(name, (mountpoint / ".cometfs" / name).read_bytes())
    assert_said(stage.run("refresh", mountpoint, **given.environ), None)
    assert_said(stage.run("umount", mountpoint, **given.environ))
    stage.await_no_process()
    assert_said(stage.run("mount", mountpoint, "--deadline", "3", *words, **given.environ), None)
    if is_mounted(mountpoint):  # what is known is shown without a server
        assert_said(stage.run("umount", mountpoint, **given.environ))
    assert logged(stage)
    assert assert_absent_from_files(stage.home, given) > 5
    assert (stage.home / ".cache/cometfs").is_dir()


@pytest.mark.parametrize("way", ["file", "environment"])
def test_a_crash_does_not_show_it(way: str, stage: Stage, comet: Comet) -> None:
    """Neither the traceback of a bug, which has the sentence of an error in it, nor that of a daemon that ends so."""
    given, mountpoint = WAYS[way](stage.home), stage.home / "mnt"
    command = [*CRASHING, "mount", str(mountpoint), "--url", comet.url, "--log-level", "debug", *given.options]
    environ = {**stage.environ, "PYTHONPATH": str(ROOT), **given.environ}
    done = subprocess.run(
        command, cwd=stage.home, env=environ, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert_said(Said(done.returncode, done.stdout, done.stderr))
    with pytest.raises(OSError, match=r".*"):
        (mountpoint / "vision-lab/digits/notes.md").read_bytes()
    assert_said(stage.run("umount", mountpoint, **given.environ), None)
    stage.await_no_process()
    log = logged(stage)
    assert log.count("Traceback") >= 2, log
    assert "a bug" in log
    assert "a bug at the end" in log
    assert_absent_from_files(stage.home, given)


def test_a_key_that_is_refused_is_not_repeated(stage: Stage, tmp_path: Path) -> None:
    """In the sentence that says so, by mount and by doctor."""
    (tmp_path / "other").write_text("another-key")
    with running_comet(tmp_path, "--api-key-file", str(tmp_path / "other")) as comet:
        for command in (("mount", str(stage.home / "mnt")), ("doctor", "--account", "--yes")):
            said = stage.run(*command, "--url", comet.url, COMET_API_KEY=CANARY)
            assert_said(said, 1)
            assert said.complaint + said.output
    for damaged in (f"{CANARY}*%%%", f"{CANARY}\x07", f"{CANARY}ä"):
        assert_said(stage.run("mount", stage.home / "mnt", COMET_API_KEY=damaged), 1)
    config = stage.home / ".comet.config"
    config.write_text(f"{CANARY}\n")  # no line name=value
    assert_said(stage.run("mount", stage.home / "mnt"), 1)


def test_a_server_keeps_its_key_to_itself(stage: Stage, tmp_path: Path) -> None:
    """The embedded Comet, with its key from a file: its words, its environment, what it prints and logs, its pages and
    refusals, however a client sends the key; a login's cookie has none of it.
    """
    given = in_file(tmp_path, "key", CANARY)
    with running_comet(tmp_path, "--api-key-file", str(tmp_path / "key")) as comet:
        assert_absent_from_processes(given)
        with httpx.Client(base_url=comet.url, timeout=PATIENCE, follow_redirects=False) as client:
            answers = [
                client.get("/api/rest/v2/workspaces", headers={"Authorization": CANARY}),
                client.get("/api/rest/v2/no/such", headers={"Authorization": CANARY}),
                client.get("/api/rest/v2/workspaces", headers={"Authorization": CANARY[:-1] + "x"}),
                client.get("/clientlib/isAlive/ver", params={"apiKey": CANARY}),
                client.post("/clientlib/logger/add/run", params={"apiKey": CANARY}, json={}),
                client.post("/clientlib/logger/add/run", json={"apiKey": CANARY}),
                client.post("/clientlib/no/such", json={"api_key": CANARY}),
                client.get("/"),
                client.post("/login", data={"key": CANARY[:-1]}),
                client.post("/login", data={"key": CANARY}),
                client.get("/"),
            ]
        for answer in answers:
            assert_absent(f"{answer.request.url.path}", answer.content + str(answer.headers.raw).encode())
        assert answers[0].status_code == 200
        assert answers[-1].status_code == 200
        assert_absent("the access log", comet.access_log.read_bytes())
        assert len(comet.requests()) == len(answers)


def test_a_server_whose_key_others_can_read_says_so(tmp_path: Path) -> None:
    """As a mount does."""
    path = tmp_path / "key"
    path.write_text(CANARY)
    path.chmod(0o644)
    command = [sys.executable, "-m", "cometfs", "serve", "--api-key-file", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        _, complaint = process.communicate(timeout=PATIENCE)
    assert f"chmod 600 {path}" in complaint
    assert_absent("stderr", complaint)


@needs_root
def test_only_the_user_who_mounts_sees_the_mount(stage: Stage, comet: Comet) -> None:
    """The kernel refuses all others, and names nothing to them."""
    mountpoint = stage.home / "mnt"
    assert stage.run("mount", mountpoint, "--url", comet.url, COMET_API_KEY="k").status == 0
    for folder in (mountpoint.parent, *mountpoint.parent.parents):
        if folder.stat().st_uid == os.geteuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o555)
    user = ["setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups"]
    looks = (("ls", mountpoint), ("cat", mountpoint / "README.md"), ("stat", mountpoint / "vision-lab"))
    for program, place in looks:
        done = subprocess.run([*user, program, place], capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert done.returncode != 0
        assert "Permission denied" in done.stderr
        assert done.stdout == ""
    assert "allow_other" not in Path("/proc/self/mountinfo").read_text().partition(f" {mountpoint} ")[2].splitlines()[0]
    assert stage.run("umount", mountpoint).status == 0
    await_that(lambda: not is_mounted(mountpoint), "it is still mounted")
