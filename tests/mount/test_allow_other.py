"""Other users of the machine at a mount: let in or refused by the kernel, by owner and modes; and what that costs."""

from __future__ import annotations

import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.other_users import UID, as_user, needs_root, unprivileged
from tests.support.processes import PATIENCE, Comet, is_mounted, running_mount
from tests.support.subprocesses import Said, Stage, clean_up

BASELINE = "vision-lab/digits/mlp-baseline"
WIDE = "vision-lab/digits/mlp-wide-76e61c8b"
GROUP = 54321
FIRST = "# A Comet account, mounted"

pytestmark = needs_root


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that every user may look into: pytest's own are private."""
    found = Path(tempfile.mkdtemp(prefix="cometfs-test-"))
    found.chmod(0o755)
    yield found
    shutil.rmtree(found)


def run(*command: str | Path, uid: int = UID, gid: int = UID) -> Said:
    """A command as another user."""
    words = [*as_user(uid, gid), *map(str, command)]
    done = subprocess.run(words, cwd="/", capture_output=True, text=True, timeout=PATIENCE, check=False)
    return Said(done.returncode, done.stdout, done.stderr)


def denied(said: Said) -> bool:
    return said.status != 0 and "Permission denied" in said.complaint


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_nobody_else_sees_a_mount_by_default(place: Path, comet: Comet) -> None:
    """And nobody pays for permissions."""
    with running_mount(place, comet) as mounted:
        assert mode(mounted / BASELINE) == 0o755
        assert mode(mounted / BASELINE / "params.json") == 0o644
        assert denied(run("ls", mounted.path))
        assert "default_permissions" not in Path("/proc/self/mountinfo").read_text()


def test_other_users_read_and_change_nothing(place: Path, comet: Comet) -> None:
    """The same bytes; `touch` asks Comet again, which is for the owner."""
    with running_mount(place, comet, "--allow-other") as mounted:
        path = mounted / BASELINE / "params.json"
        assert run("cat", path) == Said(0, path.read_text(), "")
        assert run("ls", mounted / BASELINE).output.split() == sorted(
            path.name for path in (mounted / BASELINE).iterdir()
        )
        for refused in (f"touch {path}", f"cp /etc/hostname {path}", f"mkdir {mounted / 'new'}", f"rm -f {path}"):
            assert denied(run(*refused.split())), refused
        assert subprocess.run(["touch", path], check=True, timeout=PATIENCE).returncode == 0


def test_owner_group_and_umask_decide(place: Path, comet: Comet) -> None:
    """A member of the group reads, another user does not even see a name; also of what the kernel has cached."""
    options = ("--allow-other", "--uid", "daemon", "--gid", str(GROUP), "--umask", "027")
    with running_mount(place, comet, *options) as mounted:
        path = mounted / BASELINE / "params.json"
        found = path.stat()
        assert (found.st_uid, found.st_gid, mode(path), mode(path.parent)) == (1, GROUP, 0o640, 0o750)
        assert mode(mounted.path) == 0o750
        text = path.read_text()
        assert run("cat", path, gid=GROUP).output == text
        for command in ("cat", "stat"):
            assert denied(run(command, path))
        assert denied(run("touch", path, gid=GROUP))
        assert run("touch", path, uid=1).status == 0


def test_root_alone_is_let_in(place: Path, comet: Comet) -> None:
    """Others see not even what the kernel has cached: libfuse alone would refuse only what reaches it."""
    with running_mount(place, comet, "--allow-root") as mounted:
        path = mounted / BASELINE / "params.json"
        assert path.read_text()
        assert (mode(mounted.path), mode(path)) == (0o700, 0o644)
        for command in ("ls", "cat", "stat"):
            assert denied(run(command, path))


def test_permissions_cost_no_size(place: Path, comet: Comet) -> None:
    """The kernel asks for the mode before a file is opened or tested. The answer is no call, and no size of another.

    As after `ls`, where the second size that is asked for brings those of all files.
    """
    with running_mount(place, comet, "--allow-other") as mounted:
        list((mounted / WIDE).iterdir())
        with comet.asked() as asked:
            tests = " && ".join(f"test -r {name}" for name in ("code.py", "output.txt", "system.json"))
            assert run("sh", "-c", f"cd {mounted / WIDE} && {tests}").status == 0
        assert asked == []
        with comet.asked() as asked:
            assert run("cat", mounted / WIDE / "params.json", mounted / WIDE / "others.json").status == 0
        assert sorted(asked) == ["experiment/log-other", "experiment/parameters"]
        listed = run("stat", "-c", "%s", mounted / WIDE / "tags.txt").output
        assert int(listed) == len((mounted / WIDE / "tags.txt").read_bytes()) > 0


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    found = Stage(tmp_path)
    yield found
    clean_up(found)


@pytest.mark.parametrize("option", ["--allow-other", "--allow-root"])
def test_without_a_line_in_fuse_conf_the_sentence_says_which(
    stage: Stage, place: Path, comet: Comet, option: str
) -> None:
    """fusermount3 refuses it to users other than root."""
    said = unprivileged(stage, place, f"cometfs mount m {option} --url {comet.url}", fuse_conf="")
    assert said.status == 1
    (line,) = said.complaint.splitlines()
    assert "'user_allow_other'" in line
    assert line.endswith("(root adds that line to it: echo user_allow_other | sudo tee -a /etc/fuse.conf)")


def test_with_that_line_users_let_others_in(stage: Stage, place: Path, comet: Comet) -> None:
    """All of them, or root alone; the mount is that of the user, and so are its files."""
    script = (
        "cometfs mount m {option} --url " + comet.url + " && stat -c %U m/README.md\n"
        "echo root: $(as_root head -n 1 m/README.md)\n"
        "echo other: $(as_other head -n 1 m/README.md 2>&1)\n"
        "cometfs umount m"
    )
    for option, other in (("--allow-other", FIRST), ("--allow-root", "head: cannot open 'm/README.md' for reading: ")):
        said = unprivileged(stage, place, script.format(option=option), fuse_conf="user_allow_other\n")
        assert (said.status, said.complaint) == (0, ""), said
        owner, of_root, of_other = said.output.splitlines()
        assert (owner, of_root) == ("stranger", f"root: {FIRST}")
        assert of_other.startswith(f"other: {other}")


def test_a_bind_mount_shows_the_mount(place: Path, comet: Comet) -> None:
    """That is `docker -v`: in another mount namespace, where another user reads it. It ends with its namespace."""
    with running_mount(place, comet, "--allow-other") as mounted:
        (place / "bound").mkdir()
        script = (
            f"mount --bind {mounted / 'vision-lab'} {place}/bound && exec {' '.join(as_user(UID, UID))} cat {place}"
        )
        command = ["unshare", "--mount", "sh", "-c", f"{script}/bound/digits/mlp-baseline/params.json"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True)
        assert done.stdout == (mounted / BASELINE / "params.json").read_text()
    assert not is_mounted(place / "mnt")


def test_a_bind_mount_outlives_an_unmount_and_says_so(place: Path, comet: Comet) -> None:
    """The daemon serves it as long as it is there: a container that was started before goes on."""
    with running_mount(place, comet, "--allow-other") as mounted:
        (place / "bound").mkdir()
        subprocess.run(["mount", "--bind", mounted.path, place / "bound"], check=True)
        try:
            subprocess.run(["fusermount3", "-u", "-z", str(mounted.path)], check=True)
            assert run("head", "-c", "1", place / "bound/README.md").output == "#"
            assert mounted.process.poll() is None
        finally:
            subprocess.run(["umount", place / "bound"], check=True)
        assert mounted.process.wait(PATIENCE) == 0


@pytest.mark.skipif(not shutil.which("sudo"), reason="sudo is not installed")
def test_sudo_from_and_to_another_user(place: Path, comet: Comet) -> None:
    """`sudo -u USER` is that user."""
    with running_mount(place, comet, "--allow-other", "--umask", "077") as mounted:
        command = ["sudo", "-n", "-u", "daemon", "cat", str(mounted / "README.md")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert denied(Said(done.returncode, done.stdout, done.stderr))


def test_a_mount_of_two_rules_is_refused(stage: Stage) -> None:
    """--allow-other lets root in, too."""
    said = stage.run("mount", "m", "--allow-other", "--allow-root", COMET_API_KEY="k")
    assert (said.status, said.complaint) == (1, "cometfs: --allow-other lets root in, too: give it or --allow-root\n")


def test_the_level_of_the_log_is_the_mounts_owners_alone(place: Path, comet: Comet) -> None:
    """Not of the user that the files belong to, whom the kernel lets through: the log has what others read."""
    command = ("setfattr", "-n", "user.cometfs.log_level", "-v", "debug")
    for options in ((), ("--uid", str(UID))):
        with running_mount(place, comet, "--allow-other", *options) as mounted:
            said = run(*command, mounted.path)
            assert said.status == 1
            assert "Operation not permitted" in said.complaint or denied(said)
            assert mounted.log.read_text() == ""
            subprocess.run([*command, mounted.path], check=True, timeout=PATIENCE)
            found = run("getfattr", "--absolute-names", "-n", "user.cometfs.log_level", mounted.path)
            assert 'user.cometfs.log_level="debug"' in found.output
