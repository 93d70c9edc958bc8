"""Ways to look at what is held: open files, maps, directories that one stands in, whatever becomes of their experiment.

Not here: what is looked at by name (path_reads.py).
"""

from __future__ import annotations

import mmap
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.support.account_history import Experiment, Following
from tests.support.history import Wrong, explained
from tests.support.observer import GONE, OUTPUT, Onlooker, Target
from tests.support.path_reads import read_to_end
from tests.support.processes import PATIENCE
from tests.support.spawning import inside

# -- Files that are held open ------------------------------------------------------------------------------------------


def hold(eye: Onlooker) -> None:
    """A handle for a while: sizes, reads anywhere, reads on at its end. One version; or one that grows."""
    target, began = eye.target(), time.monotonic()
    with eye.absence(target, began):
        descriptor = os.open(eye.root / target.path, os.O_RDONLY)
        try:
            _follow(eye, descriptor, target, began)
        finally:
            os.close(descriptor)
        eye.count("hold")


def _follow(eye: Onlooker, descriptor: int, target: Target, began: float) -> None:
    following = Following(eye.account, target.file, eye.versions(target, began), began)
    at = 0
    for _ in range(eye.chance.randrange(2, 25)):
        size = os.fstat(descriptor).st_size
        following.sized(size)
        start = eye.chance.choice((at, at, size, eye.chance.randrange(size + 1), max(0, size - 5000)))
        length = eye.chance.choice((1, 100, 4096, 70_000, 1 << 20))
        data = os.pread(descriptor, length, start)
        following.seen(start, length, data)
        if start + len(data) < min(size, start + length):
            raise Wrong(f"{target.path} had {size} bytes, and no more than {len(data)} from {start} on")
        at = start + len(data)
        if eye.findings.over.wait(eye.chance.choice((0, 0, 0.01, 0.1))):
            return


def map(eye: Onlooker) -> None:
    """A map of a file that does not grow is one version, too, however long it is held."""
    target, began = eye.target("params.json"), time.monotonic()
    with eye.absence(target, began), (eye.root / target.path).open("rb") as file:
        following = Following(eye.account, target.file, eye.versions(target, began), began)
        with mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
            for pause in (0, 0.1, 0.3):
                following.seen(0, len(mapped) + 1, mapped[:])
                eye.findings.over.wait(eye.chance.choice((0, pause)))
        eye.count("map")


def wait_for_growth(eye: Onlooker) -> None:
    """Who reads on at the end of what is running gets what has been acknowledged."""
    one, began = eye.experiment(), time.monotonic()
    target = eye.target_of(one, OUTPUT)
    wanted = one.files[OUTPUT].now.size
    if one.state != "running" or target is None or not one.never_moved:
        return
    following = Following(eye.account, OUTPUT, eye.versions(target, began), began)
    with (eye.root / target.path).open("rb", buffering=0) as file:
        at = file.seek(max(0, wanted - 3000))
        while at < wanted and not eye.findings.over.wait(0.05):
            data = file.read(1 << 16) or b""
            following.seen(at, 1 << 16, data)
            at += len(data)
            if time.monotonic() > began + PATIENCE:
                raise Wrong(f"{target.path} has {at} bytes, and {wanted} were logged at {began:.3f}")
    eye.count("caught up")


# -- Standing in an experiment -----------------------------------------------------------------------------------------


def stand(eye: Onlooker) -> None:
    """A directory that is held, whatever becomes of its experiment: its own files, ENOENT or ESTALE."""
    target, began = eye.target("."), time.monotonic()
    with eye.absence(target, began):
        directory = os.open(eye.root / target.place.path / target.directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            one = _whose(eye, directory, target, began)
            for _ in range(eye.chance.randrange(1, 25)):
                _look_around(eye, directory, one)
                if eye.findings.over.wait(eye.chance.choice((0, 0, 0.02, 0.1))):
                    return
        finally:
            os.close(directory)


def _whose(eye: Onlooker, directory: int, target: Target, began: float) -> Experiment:
    key = os.getxattr(f"/proc/self/fd/{directory}", "user.comet.key").decode()
    holders = eye.account.holders(target.place, target.directory, began, time.monotonic())
    if key not in holders:
        raise Wrong(f"{target.path} is {key[:8]} since {began:.3f}; it was {holders}")
    return eye.account.experiments[key]


def _look_around(eye: Onlooker, directory: int, one: Experiment) -> None:
    file, began = eye.file(one), time.monotonic()
    before = eye.outputs_shown()
    try:
        descriptor = os.open(file, os.O_RDONLY, dir_fd=directory)
        try:
            data = read_to_end(descriptor, eye.chance)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in GONE or (one.never_moved and not eye.lacks(one, file, began)):
            raise Wrong(f"{file} of {one.key[:8]}, where one stood at {began:.3f}: {error}") from error
        eye.count("gone")
        return
    versions = eye.account.versions(one.key, file, began, time.monotonic())
    if all(not version.equals(data) for version in versions):
        raise Wrong(f"{file} of {one.key[:8]} at {began:.3f}: {explained(data, {one.key: versions})}")
    eye.hold_growth(one.key, file, data, before)
    eye.count("stand")


def shell(eye: Onlooker) -> None:
    """The same by a process that has its working directory there."""
    target, began = eye.target(), time.monotonic()
    with eye.absence(target, began), _shell_in(eye, target) as ask:
        for _ in range(3):
            _hold_said(eye, target, ask(target.file), began)
            eye.findings.over.wait(eye.chance.choice((0, 0.05, 0.5)))


@contextmanager
def _shell_in(eye: Onlooker, target: Target) -> Iterator[Callable[[str], bytes]]:
    script = 'echo; while read -r file; do cat "./$file"; printf "\\0\\n"; done'
    with subprocess.Popen(
        inside(eye.root / target.place.path / target.directory, "sh", "-c", script),
        env={**os.environ, "LC_ALL": "C"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as running:
        assert running.stdout is not None
        _hold_entered(running.stdout.readline())

        def ask(file: str) -> bytes:
            assert running.stdin is not None
            assert running.stdout is not None
            running.stdin.write(f"{file}\n".encode())
            running.stdin.flush()
            said = b""
            while not said.endswith(b"\0\n"):
                line = running.stdout.readline()
                if not line:
                    raise Wrong(f"the shell in {target.path} ended: {said!r}")
                said += line
            return said[:-2]

        yield ask
        assert running.stdin is not None
        running.stdin.close()


def _hold_entered(said: bytes) -> None:
    """Its first line, when it is there; else an error of who could not go there."""
    for number in GONE:
        if os.strerror(number).encode() in said:
            raise OSError(number, said.decode())
    assert said == b"\n", said


def _hold_said(eye: Onlooker, target: Target, said: bytes, began: float) -> None:
    """By where it stands one cannot tell any more whose it is: all who bore the name at the time it went there."""
    if said.startswith(b"cat: "):
        if not any(word in said for word in (b"No such file", b"Stale file handle")):
            raise Wrong(f"in {target.path} cat said {said!r}")
        return
    holders = eye.account.holders(target.place, target.directory, began, time.monotonic())
    found = {key: eye.account.versions(key, target.file, began, time.monotonic()) for key in holders if key is not None}
    if all(not version.equals(said) for versions in found.values() for version in versions):
        raise Wrong(f"a shell in {target.path} since {began:.3f}: {explained(said, found)}")
    eye.count("shell")
