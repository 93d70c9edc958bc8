"""What programs list and read in experiments and directories, as traces, and what is fetched ahead of them."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

from cometfs.vfs.answers.body_windows import MOST, MOST_BYTES, SMALL, UNREAD, WAITS, BodyWindows, Sized
from cometfs.vfs.answers.walks import IDLE, PATIENCE, PROGRAMS, Usage, Walks

COPIER, SHELL, READER = 10, 20, 30
"""Programs."""

FILES = ("metadata.json", "url.txt", "tags.txt", "code.py", "params.json", "metrics.json")
FOLDERS = {"metrics": 18, "assets": 23, "git": 2}
OFFERED = frozenset((*FILES, *FOLDERS))


class Trace:
    """One policy, and what it says: `followed` are the experiments whose answers are asked for, as they are."""

    def __init__(self) -> None:
        self.policy = Walks()
        self.now = 0.0
        self.followed: list[tuple[str, Usage | None]] = []

    def lists(self, experiment: str, program: int = COPIER) -> Trace:
        if self.policy.entered(program, "project", experiment, self.now):
            self._follow(experiment, program)
        return self

    def read(self, experiment: str, *files: str, program: int = COPIER) -> Trace:
        for file in files:
            self.now += 0.01
            if self.policy.read(program, "project", experiment, file, self.now):
                self._follow(experiment, program)
        return self

    def whole(self, experiment: str, program: int = COPIER, seconds: float = 0.0) -> Trace:
        self.lists(experiment, program).read(experiment, *FILES, program=program)
        for folder, count in FOLDERS.items():
            self.policy.listed(program, "project", experiment, folder, count, self.now)
            for file in range(count):
                self.now += seconds
                self.policy.read_in(program, "project", experiment, folder, file, self.now)
        return self

    def _follow(self, experiment: str, program: int) -> None:
        usage = self.policy.usage(program, "project")
        self.followed.append((experiment, usage))
        wanted = OFFERED if usage is None else usage.files | usage.listed
        self.policy.offered(program, "project", wanted)

    @property
    def experiments(self) -> list[str]:
        return [experiment for experiment, _ in self.followed]


def test_an_experiment_whose_directories_take_minutes_is_one_visit() -> None:
    """Its big assets: the next experiment is followed by what was used of this one."""
    trace = Trace().whole("run-1", seconds=IDLE / 10).lists("run-2")
    assert trace.experiments == ["run-1", "run-2"]
    assert trace.followed[1][1] is not None


def test_the_second_file_of_a_listed_experiment_brings_the_others() -> None:
    trace = Trace().lists("run-1").read("run-1", "metadata.json")
    assert trace.followed == []
    assert trace.read("run-1", "url.txt").followed == [("run-1", None)]
    assert trace.read("run-1", *FILES).experiments == ["run-1"], "once"


def test_the_order_does_not_matter() -> None:
    """cp reads by inode number, rsync by name."""
    files = list(FILES)
    random.Random(2).shuffle(files)
    assert Trace().lists("run-1").read("run-1", *files).experiments == ["run-1"]


def test_the_next_experiment_is_followed_as_soon_as_it_is_listed() -> None:
    trace = Trace().whole("run-1").lists("run-2")
    everything = Usage(frozenset(FILES), frozenset(FOLDERS), frozenset(FOLDERS))
    assert trace.followed == [("run-1", None), ("run-2", everything)]


def test_of_the_next_experiment_only_what_was_used_is_fetched() -> None:
    """`grep -r --include=*.json`: it lists all, and reads some."""
    trace = Trace().lists("run-1").read("run-1", "metadata.json", "params.json")
    for folder, count in FOLDERS.items():
        trace.policy.listed(COPIER, "project", "run-1", folder, count, trace.now)
    trace.policy.read_in(COPIER, "project", "run-1", "git", "metadata.json", trace.now)
    trace.lists("run-2")
    used = Usage(frozenset(("metadata.json", "params.json")), frozenset(FOLDERS), frozenset())
    assert trace.followed[-1] == ("run-2", used)


def test_the_only_file_of_a_directory_is_all_of_it() -> None:
    trace = Trace().lists("run-1").read("run-1", *FILES)
    trace.policy.listed(COPIER, "project", "run-1", "curves", 1, trace.now)
    trace.policy.read_in(COPIER, "project", "run-1", "curves", "roc.csv", trace.now)
    trace.lists("run-2")
    usage = trace.followed[-1][1]
    assert usage is not None
    assert usage.read == {"curves"}


def test_one_off_reads_bring_nothing() -> None:
    """One file of a listed directory again and again; two that nobody listed; `ls` and then `cat a b`, `cat *` in a
    shell: another program reads than the one that listed."""
    assert not Trace().lists("run-1").read("run-1", *["tags.txt"] * 9).followed
    assert not Trace().read("run-1", "tags.txt", "code.py").followed
    assert not Trace().lists("run-1", SHELL).read("run-1", *FILES, program=READER).followed
    assert not Trace().lists("run-1").read("run-2", "tags.txt", "code.py").followed
    assert not Trace().lists("run-1").lists("run-2").lists("run-3").followed, "find, tree"
    one_each = Trace()
    for number in range(20):
        one_each.lists(f"run-{number}").read(f"run-{number}", "params.json")
    assert not one_each.followed


def test_a_program_that_pauses_begins_anew() -> None:
    trace = Trace().whole("run-1")
    trace.now += IDLE + 1
    assert trace.lists("run-2").experiments == ["run-1"]


def test_programs_that_leave_most_of_it_are_not_followed_for_a_while() -> None:
    """Scripts that list an experiment and read two files of it."""
    trace = Trace()
    for program in range(100):
        trace.lists("run-1", program).read("run-1", "metadata.json", "url.txt", program=program)
    assert len(trace.followed) == PATIENCE + PROGRAMS - 1
    trace.now += IDLE + 1
    assert trace.lists("run-1").read("run-1", *FILES).experiments[-1] == "run-1"


def test_programs_that_use_it_are_followed_on() -> None:
    trace = Trace()
    for program in range(50):
        trace.whole("run-1", program)
    assert len(trace.followed) == 50


class Directory:
    """A directory of bodies and a program that listed it. What was asked for is at hand at the next read."""

    def __init__(self, sizes: Iterable[int | None], numbers: Sequence[int] = ()) -> None:
        self.policy = BodyWindows()
        self.bodies = [Sized(place, size) for place, size in enumerate(sizes)]
        if numbers:
            self.bodies = [body._replace(number=(number,)) for body, number in zip(self.bodies, numbers, strict=True)]
        self.policy.listed(COPIER, "assets")
        self.windows: list[list[int]] = []
        self.at_hand: set[int] = set()
        self.waits = 0

    def read(self, places: Iterable[int], program: int = COPIER) -> Directory:
        for place in places:
            if self.policy.reads(program, "assets", place):
                window = self.policy.window(program, "assets", place, self.bodies)
                if window:
                    self.windows.append(window)
                self.at_hand |= set(window)
            if place not in self.at_hand:
                self.waits += 1
                self.policy.waited(program, "assets", place)
                self.at_hand.add(place)
        return self


def test_after_the_second_body_the_others_are_asked_for_at_once() -> None:
    directory = Directory([10_000] * 23).read([0])
    assert directory.windows == []
    assert directory.read([1]).windows == [list(range(2, 23))]
    directory.read(range(2, 23))
    assert len(directory.windows) == 1
    assert directory.waits == 2


def test_big_bodies_and_those_of_unknown_size_are_left_to_their_reader() -> None:
    assert Directory([10, 10, SMALL, SMALL + 1, None]).read([0, 1]).windows == [[2]]


def test_a_window_is_bounded_in_number_and_in_bytes() -> None:
    assert len(Directory([10] * 1000).read([0, 1]).windows[0]) == MOST
    window = Directory([SMALL] * 1000).read([0, 1]).windows[0]
    assert len(window) * SMALL <= MOST_BYTES


def test_the_next_window_comes_when_half_of_the_last_is_read() -> None:
    """A program that goes on never waits again, and has no more ahead of it than a window."""
    directory = Directory([10] * 1000).read(range(1000))
    assert directory.waits == 2
    assert sorted(place for window in directory.windows for place in window) == list(range(2, 1000))
    assert len(Directory([10] * 1000).read(range(30)).windows) == 1


def test_a_program_that_stops_gets_no_more() -> None:
    directory = Directory([10] * 1000).read([0, 1, 2, 2, 2, 2])
    assert len(directory.windows) == 1


def test_another_order_is_followed_too() -> None:
    """By inode number: most of a window is not what is read next, but all will be read."""
    order = list(range(300))
    random.Random(5).shuffle(order)
    assert Directory([10] * 300).read(order).waits <= 300 * WAITS // MOST + WAITS
    far = Directory([10] * 10_000).read(random.Random(6).sample(range(10_000), 1000))
    assert len(far.at_hand) <= 1000 + UNREAD, "what is not read does not pile up"


def test_the_order_of_inode_numbers_is_followed_as_that_of_the_listing() -> None:
    """`cp -r` of thousands: after two it never waits again."""
    for seed in range(3):
        order = list(range(2000))
        random.Random(seed).shuffle(order)
        numbers = [place for _, place in sorted(zip(order, range(2000), strict=True))]
        assert Directory([10] * 2000, numbers).read(order).waits == 2
        assert Directory([10] * 2000, numbers).read(range(2000)).waits == 2


def test_bodies_at_hand_say_nothing() -> None:
    directory = Directory([10] * 23)
    directory.at_hand |= set(range(23))
    assert not directory.read(range(23)).windows


def test_bodies_of_a_directory_that_the_program_has_not_listed_bring_nothing() -> None:
    """`cat assets/a assets/b`, `file *`."""
    assert not Directory([10] * 23).read(range(23), program=READER).windows
