"""Experiments changed as files are: real programs rename, move, edit and remove; the server is asked what it has."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.changed_experiments import (
    OTHER,
    PROJECT,
    WORKSPACE,
    Experiments,
    changing_comet,
    errors_of,
    sh,
)
from tests.support.older_kernels import ends_one_by_one
from tests.support.processes import PATIENT, Comet, Mounted, running_mount
from tests.support.subprocesses import await_that


@pytest.fixture(scope="module")
def comet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Comet]:
    with changing_comet(tmp_path_factory.mktemp("changing")) as running:
        yield running


@pytest.fixture(scope="module")
def experiments(comet: Comet) -> Experiments:
    return Experiments(comet)


@pytest.fixture(scope="module")
def rw(tmp_path_factory: pytest.TempPathFactory, comet: Comet, experiments: Experiments) -> Iterator[Mounted]:
    with running_mount(tmp_path_factory.mktemp("rw"), comet, "--rw") as mounted:
        yield mounted


@pytest.fixture
def project(rw: Mounted) -> Path:
    """A project whose listing is asked for anew, for tests that make experiments at the server."""
    folder = rw / WORKSPACE / PROJECT
    for path in (rw / WORKSPACE, folder, folder.with_name(OTHER)):
        path.touch()
    return folder


def test_a_directory_that_is_renamed_renames_its_experiment(rw: Mounted, experiments: Experiments) -> None:
    """It keeps its inode, a program that stands in it, and open files; links and tables follow."""
    key = experiments.make("first", "old")
    project = rw / WORKSPACE / PROJECT
    project.touch()
    number = (project / "first").stat().st_ino
    assert "first" in (project / "experiments.csv").read_text()
    with (project / "first/metadata.json").open() as opened:
        done = sh("cd first && mv ../first ../second && cat tags.txt && ls -d ../second && pwd -P", project)
        assert opened.read().count('"first"') == 1
    assert done.stdout.split() == ["old", "../second", str(project / "second")], done.stderr
    assert experiments.place(key) == ("second", PROJECT, False)
    assert (project / "second").stat().st_ino == number
    assert not (project / "first").exists()
    assert (project / "views/by-key" / key).resolve() == project / "second"
    assert json.loads((project / "second/metadata.json").read_text())["experimentName"] == "second"
    assert "second" in (project / "experiments.csv").read_text()
    assert rw.log.read_text() == ""


@pytest.mark.parametrize(
    ("command", "tags"),
    [
        ("echo new >> {}", ["a", "b", "new"]),
        ("echo new > {}", ["new"]),
        (": > {}", []),
        ("printf 'b\\n\\nb\\n  \\nc' > {}", ["b", "c"]),
        ("sed -i s/a/x/ {}", ["b", "x"]),
        ("vim -N -u NONE -es -c '%s/a/x/' -c wq {} < /dev/null", ["b", "x"]),
        ("perl -pi -e s/a/x/ {}", ["b", "x"]),
        ("echo n | tee -a {} > /dev/null", ["a", "b", "n"]),
        ("truncate -s 2 {}", ["a"]),
        ("printf 'c\\n' > /tmp/$$; cp -p /tmp/$$ {}; rm /tmp/$$", ["c"]),
    ],
)
def test_tags_are_edited_as_lines(
    rw: Mounted, project: Path, experiments: Experiments, command: str, tags: list[str]
) -> None:
    """They are at the server when the program has closed the file, and the file shows them; nothing else is left."""
    key = experiments.make("tagged", "a", "b")
    folder = rw / WORKSPACE / PROJECT / "views/by-key" / key
    listed = sorted(path.name for path in folder.iterdir())
    done = sh(command.format("tags.txt"), folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert experiments.tags(key) == tags
    assert (folder / "tags.txt").read_text() == "".join(f"{tag}\n" for tag in tags)
    assert (folder / "tags.txt").stat().st_size == len((folder / "tags.txt").read_bytes())
    assert sorted(path.name for path in folder.iterdir()) == listed
    assert rw.log.read_text() == ""


MOVES = (
    ("mv {0} archived/", "{0}", PROJECT, True, "archived/{0}"),
    ("mv {0} archived/{0}-old", "{0}-old", PROJECT, True, "archived/{0}-old"),
    ("mv {0} archived/ && mv archived/{0} .", "{0}", PROJECT, False, "{0}"),
    (f"mv {{0}} ../{OTHER}/", "{0}", OTHER, False, f"../{OTHER}/{{0}}"),
    (f"mv {{0}} ../{OTHER}/archived/new-{{0}}", "new-{0}", OTHER, True, f"../{OTHER}/archived/new-{{0}}"),
    ("mv {0} {0}%2Fé", "{0}/é", PROJECT, False, "{0}%2Fé"),
    ("mv {0} archived && cd archived && mv {0} other-{0}", "other-{0}", PROJECT, True, "archived/other-{0}"),
    ("mv {0} {0}-1 && mv {0}-1 {0}-2 && mv {0}-2 {0}", "{0}", PROJECT, False, "{0}"),
    ('python3 -c \'import os; os.replace("{0}", "{0}.x")\'', "{0}.x", PROJECT, False, "{0}.x"),
)


@pytest.mark.parametrize(("number", "move"), list(enumerate(MOVES)))
def test_experiments_are_moved_as_directories(
    rw: Mounted, experiments: Experiments, number: int, move: tuple[str, str, str, bool, str]
) -> None:
    """Between projects, into the archive and out of it, under the same name or another; found there and not here."""
    archived = move[3]
    command, name, project, path = (str(one).format(f"moving-{number}") for one in (*move[:3], move[4]))
    key = experiments.make(f"moving-{number}", "kept")
    folder = rw / WORKSPACE / PROJECT
    for path_to_touch in (rw / WORKSPACE, folder, folder.with_name(OTHER)):
        path_to_touch.touch()
    before = (folder / f"moving-{number}").stat().st_ino
    done = sh(command, folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert experiments.place(key) == (name, project, archived)
    found = folder / path
    assert (found / "tags.txt").read_text() == "kept\n"
    assert found.stat().st_ino == before
    assert json.loads((found / "metadata.json").read_text())["archived"] is archived
    everywhere = [folder, folder / "archived", folder.with_name(OTHER), folder.with_name(OTHER) / "archived"]
    shown = [one.resolve() for place in everywhere for one in place.iterdir() if f"moving-{number}" in one.name]
    assert shown == [found.resolve()]


REFUSED = (
    ("mv {0} taken", "not permitted", "'taken' cannot be its name here: it would be shown as 'taken-"),
    ("mv -T {0} single", "File exists", None),
    ("mv {0} single/", "not permitted", "an experiment stands in a project or in its archive, and not in single"),
    ("mv {0} %41", "not permitted", "'%41' cannot be its name here: it would be shown as 'A'"),
    ("mv {0} .git", "not permitted", "'.git' cannot be its name here"),
    ("mv {0} $'\\xff'", "not permitted", "is no UTF-8, which a name is"),
    ("mv {0} ../moved", "not permitted", "an experiment stands in a project or in its archive, and not in lab"),
    ("mv views/latest {0}-v", "Read-only", None),
    ("mv notes.md {0}-v", "Read-only", None),
    ("mv {0}/tags.txt .", "not permitted", "tags.txt is a part of its experiment"),
    ("mv {0}/tags.txt {0}/tags.txt.bak", "not permitted", "tags.txt is a part of its experiment"),
    ("mkdir new", "not permitted", "nothing new can be made in changing"),
    ("mkdir {0}/new", "not permitted", "nothing new can be made in {0}"),
    ("echo x > {0}/model.bin", "not permitted", "model.bin cannot be in an experiment"),
    ("echo x > {0}/params.json", "Read-only", None),
    ("echo x > {0}/metrics/new.csv", "Read-only", None),
    ("rm {0}/tags.txt", "not permitted", "it is a part of its experiment, and not removed"),
    ("rm -r {0}", "not permitted", "experiments are not removed by this mount"),
    ("rmdir {0}", "not permitted", "experiments are not removed by this mount"),
    ("rmdir archived", "Read-only", None),
    ("ln -s x {0}/link", "not permitted", "nothing new can be made in {0}"),
)


@pytest.mark.parametrize(("number", "refusal"), list(enumerate(REFUSED)))
def test_what_cannot_be_changed_is_refused_with_a_reason(
    rw: Mounted, project: Path, experiments: Experiments, number: int, refusal: tuple[str, str, str | None]
) -> None:
    """An errno for the program, a sentence in errors.log, and nothing is changed."""
    command, errno, sentence = refusal
    key = experiments.make(f"refused-{number}", "kept", project=PROJECT)
    if number == 0:
        for name in ("taken", "taken", "single"):
            experiments.make(name)
    for path in (project, project.parent):
        path.touch()
    known = len(errors_of(rw))
    with experiments.comet.asked() as asked:
        done = sh(command.format(f"refused-{number}"), project)
        assert done.returncode != 0
    assert errno in done.stderr
    assert len(errors_of(rw)) - known <= 2  # one of a removal, whatever the number of files
    if sentence is not None:
        assert sentence.format(f"refused-{number}") in errors_of(rw)[-1]
    assert [endpoint for endpoint in asked if "write" in endpoint] == []
    assert experiments.place(key) == (f"refused-{number}", PROJECT, False)
    assert experiments.tags(key) == ["kept"]


@pytest.mark.parametrize(
    ("command", "sentence", "others"),
    [
        ("sed -i 's/\"1\\.50\"/2.50/; s/1\\.50/2.50/' {}", None, {"lr": "2.50", "note": "a"}),
        ("jq '.new = true | .lr = 7' {} > /tmp/$$; cp /tmp/$$ {}; rm /tmp/$$", None, {"lr": "7", "new": "true"}),
        ('jq \'.note = "é \\"x\\""\' {} > .{}.tmp && mv .{}.tmp {}', None, {"note": 'é "x"', "lr": "1.50"}),
        ("jq 'del(.note)' {} > .{}.tmp && mv .{}.tmp {}", "Comet has no way to take an other away ('note')", {}),
        ("jq '.note = {{}}' {} > .{}.tmp && mv .{}.tmp {}", "'note' is none of them", {}),
        ("echo '{{' >> {}", "it is no JSON any more", {}),
        ("echo '[1]' > {}", "it is no JSON object any more", {}),
        ("printf '\\xff' >> {}", "this is no UTF-8 at byte", {}),
        ('vim -N -u NONE -es -c \'%s/"a"/"b"/\' -c wq {} < /dev/null', None, {"note": "b", "lr": "1.50"}),
    ],
)
def test_others_are_edited_as_json(
    rw: Mounted, project: Path, experiments: Experiments, command: str, sentence: str | None, others: dict[str, str]
) -> None:
    """Values that are changed and new are sent, and no others; what Comet cannot do is refused, and changes nothing."""
    key = experiments.make("othered", lr="1.50", note="a")
    before = experiments.others(key)
    folder = project / "views/by-key" / key
    done = sh(command.format(*["others.json"] * 4), folder)
    assert experiments.others(key) == before | others
    if sentence is None:
        assert (done.returncode, done.stderr) == (0, "")
        shown = json.loads((folder / "others.json").read_text())
        assert {name: str(value) for name, value in shown.items()}.keys() == (before | others).keys()
    else:
        assert sentence in errors_of(rw)[-1]
        assert json.loads((folder / "others.json").read_text())["note"] == "a"


def test_the_other_called_name_is_the_name(rw: Mounted, project: Path, experiments: Experiments) -> None:
    """The directory is renamed by the edit."""
    key = experiments.make("by-name")
    project.touch()
    done = sh("sed -i s/by-name/by-other/ by-name/others.json && cat by-other/others.json", project)
    assert '"Name": "by-other"' in done.stdout, done.stderr
    assert experiments.place(key)[0] == "by-other"
    assert not (project / "by-name").exists()


@pytest.fixture(scope="module")
def deleting(tmp_path_factory: pytest.TempPathFactory, comet: Comet, experiments: Experiments) -> Iterator[Mounted]:
    with running_mount(tmp_path_factory.mktemp("deleting"), comet, "--rw", "--allow-delete") as mounted:
        yield mounted


@pytest.mark.parametrize(
    "command",
    [
        "rm -r {}",
        "rm -rf {}",
        "rmdir {}",
        "find {} -delete",
        "python3 -c 'import shutil; shutil.rmtree(\"{}\")'",
        "busybox rm -r {}",
        "find {} -depth -delete",
    ],
)
def test_what_removes_an_experiment_archives_it(deleting: Mounted, experiments: Experiments, command: str) -> None:
    """With --allow-delete; it is whole in the archive, and comes back from there."""
    key = experiments.make("removed", "kept")
    folder = deleting / WORKSPACE / PROJECT
    for path in (folder.parent, folder):
        path.touch()
    assert "removed" not in [path.name for path in (folder / "archived").iterdir()]
    done = sh(command.format("removed"), folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert experiments.place(key) == ("removed", PROJECT, True)
    assert not (folder / "removed").exists()
    assert "removed" in [path.name for path in (folder / "archived").iterdir()]
    assert sh("mv archived/removed . && cat removed/tags.txt && mv removed removed-too", folder).stdout == "kept\n"
    assert experiments.place(key) == ("removed-too", PROJECT, False)
    experiments.ask(f"write/experiment/delete?experimentKey={key}")


def test_parts_and_archived_experiments_are_not_removed(deleting: Mounted, experiments: Experiments) -> None:
    """Comet could not restore them."""
    key = experiments.make("whole", "kept")
    folder = deleting / WORKSPACE / PROJECT
    for path in (folder.parent, folder):
        path.touch()
    with experiments.comet.asked() as asked:
        assert "not permitted" in sh("rm whole/tags.txt", folder).stderr
        assert "a part of its experiment" in errors_of(deleting)[-1]
    assert [endpoint for endpoint in asked if "write" in endpoint] == []
    assert sh("mv whole archived/", folder).stderr == ""
    assert "not permitted" in sh("rm -r archived/whole", folder).stderr
    assert "in the archive already" in errors_of(deleting)[-1]
    assert "not permitted" in sh("rmdir archived/whole", folder).stderr
    assert experiments.place(key) == ("whole", PROJECT, True)


REST = "import os; d = os.open('partly', 0); [os.unlink('partly/' + n) for n in os.listdir(d) if n.endswith({!r})]"


@pytest.mark.parametrize(
    "command",
    [
        "find partly -name '*.txt' -delete",
        "find partly -name metadata.json -delete",
        "find partly -type f -delete",
        f'python3 -c "{REST.format(".txt")}"',
        f'python3 -c "{REST.format(".json")}"',
        "find partly -name '*.txt' -exec rm {} +",
        "rm partly/*.txt",
        "printf 'y\\nn\\n' | rm -ri partly",
    ],
)
def test_who_takes_away_a_part_is_refused(deleting: Mounted, experiments: Experiments, command: str) -> None:
    """At once, or at the first file that is left out; with what removes a whole experiment."""
    key = experiments.make("partly", "kept")
    folder = deleting / WORKSPACE / PROJECT
    for path in (folder.parent, folder):
        path.touch()
    listed = sorted(path.name for path in (folder / "partly").iterdir())
    done = sh(command, folder)
    if "rm -ri" not in command:
        assert done.returncode != 0
        assert "not permitted" in done.stderr
        assert "A whole experiment is: rmdir EXPERIMENT, or rm -r of it" in "".join(errors_of(deleting)[-8:])
    assert sorted(path.name for path in (folder / "partly").iterdir()) == listed
    assert experiments.place(key) == ("partly", PROJECT, False)
    experiments.ask(f"write/experiment/delete?experimentKey={key}")


@pytest.mark.parametrize(
    "command",
    [
        "echo x >> {}/others.json",
        "echo x > {}/others.json",
        """echo '{{"b": "1"}}' > {}/others.json""",
        r"printf 'a\xff\n' >> {}/tags.txt",
        r"printf 'a\xff\n' > {}/tags.txt",
    ],
)
def test_a_shell_learns_of_what_is_wrong_when_it_writes(
    rw: Mounted, project: Path, experiments: Experiments, command: str
) -> None:
    """Its own `echo` looks at no error of close. Nothing is changed, though the file was emptied before."""
    key = experiments.make("echoed", "kept", a="1")
    project.touch()
    with experiments.comet.asked() as asked:
        done = sh(f"bash -c {shlex.quote(command.format('echoed'))}", project)
    assert done.returncode == 1
    assert "write error" in done.stderr
    assert [endpoint for endpoint in asked if "write" in endpoint] == []
    assert "nothing" in errors_of(rw)[-1] or "no UTF-8" in errors_of(rw)[-1]
    assert (experiments.tags(key), experiments.others(key)["a"]) == (["kept"], "1")
    assert (project / "echoed/tags.txt").read_text() == "kept\n"
    experiments.ask(f"write/experiment/delete?experimentKey={key}")


@pytest.mark.parametrize("command", ["mv", "busybox mv"])
def test_a_file_is_moved_over_tags_from_elsewhere(
    rw: Mounted, project: Path, experiments: Experiments, command: str
) -> None:
    """`mv` removes the old one first. What it moves away it cannot take from here, and nothing is changed."""
    name = f"moved-over-{len(command)}"
    key = experiments.make(name, "old")
    project.touch()
    done = sh(f"printf 'new\\nbetter\\n' > /tmp/$$ && {command} /tmp/$$ {name}/tags.txt && ! test -e /tmp/$$", project)
    assert (done.returncode, done.stderr) == (0, "")
    assert experiments.tags(key) == ["better", "new"]
    assert (project / name / "tags.txt").read_text() == "better\nnew\n"
    assert (
        "not permitted"
        in sh(f"{command} {name}/tags.txt /tmp/taken-$$; s=$?; rm -f /tmp/taken-$$; exit $s", project).stderr
    )
    assert (project / name / "tags.txt").read_text() == "better\nnew\n"
    with_rubbish = sh(
        f"printf '[' > /tmp/$$ && {command} /tmp/$$ {name}/others.json; s=$?; rm -f /tmp/$$; exit $s", project
    )
    assert with_rubbish.returncode != 0
    assert (project / name / "others.json").read_text().startswith("{")


def test_an_interrupted_removal_leaves_all(deleting: Mounted, experiments: Experiments) -> None:
    """Nothing goes before the directory itself does."""
    key = experiments.make("interrupted", "kept")
    folder = deleting / WORKSPACE / PROJECT
    for path in (folder.parent, folder):
        path.touch()
    listed = sorted(path.name for path in (folder / "interrupted").iterdir())
    remove = "d = os.open('interrupted', 0); [os.unlink('interrupted/' + n) for n in os.listdir(d)[:2]]"
    assert sh(f'python3 -c "import os; {remove}"', folder).stderr == ""
    assert sorted(path.name for path in (folder / "interrupted").iterdir()) == listed
    assert (folder / "interrupted/tags.txt").read_text() == "kept\n"
    assert experiments.place(key) == ("interrupted", PROJECT, False)


def test_a_mount_that_is_only_read_changes_nothing(tmp_path: Path, comet: Comet, experiments: Experiments) -> None:
    """EROFS, and no call."""
    experiments.make("read")
    with running_mount(tmp_path, comet) as mounted:
        folder = mounted / WORKSPACE / PROJECT
        (folder / "read/tags.txt").read_text()
        with comet.asked() as asked:
            for command in (
                "mv read other",
                "mv read archived/",
                "echo a >> read/tags.txt",
                "rm -r read",
                "rmdir read",
            ):
                assert "Read-only file system" in sh(command, folder).stderr
        assert [endpoint for endpoint in asked if "write" in endpoint] == []


@pytest.mark.parametrize("kernel", ["at once", "one by one"])
def test_a_suffix_goes_where_nothing_needs_it(
    tmp_path: Path, comet: Comet, experiments: Experiments, kernel: str
) -> None:
    """A move that keeps the directory's name keeps the experiment's: it is listed as any other is."""
    name = f"same-{kernel}".replace(" ", "-")
    one, other = (experiments.make(name) for _ in range(2))
    environ: Any = ends_one_by_one(tmp_path) if kernel == "one by one" else {}
    with running_mount(tmp_path, comet, "--rw", program=PATIENT, **environ) as mounted:
        project = mounted / WORKSPACE / PROJECT
        assert sh(f"mv {name}-{one[:8]} archived/", project).stderr == ""
        assert experiments.place(one) == (name, PROJECT, True)
        await_that(lambda: not (project / "archived" / f"{name}-{one[:8]}").exists(), "the suffix stays")
        assert json.loads((project / "archived" / name / "metadata.json").read_text())["experimentKey"] == one
        await_that(lambda: (project / name).exists(), "the other one has it, too")
        assert "File exists" in sh(f'python3 -c \'import os; os.rename("{name}", "archived/{name}")\'', project).stderr
        assert experiments.place(other) == (name, PROJECT, False)


@pytest.mark.parametrize("kernel", ["at once", "one by one"])
def test_what_depends_on_a_name_or_a_tag_follows(
    tmp_path: Path, comet: Comet, experiments: Experiments, kernel: str
) -> None:
    """Of two that share a name the other one loses its suffix; views and tables change; whatever was looked at before.
    So it is on kernels that end names one by one, while they keep the directories of a rename locked."""
    name = f"twin-{kernel}".replace(" ", "-")
    keys = [experiments.make(name, "both") for _ in range(2)]
    environ: Any = ends_one_by_one(tmp_path) if kernel == "one by one" else {}
    with running_mount(tmp_path, comet, "--rw", program=PATIENT, **environ) as mounted:
        project = mounted / WORKSPACE / PROJECT
        one, other = (project / f"{name}-{key[:8]}" for key in keys)
        moved, tagged = project / f"{name}-moved", project / "views/by-tag" / name / f"{name}-moved"
        assert not any(path.exists() for path in (project / name, moved, tagged, project / "archived" / name))
        assert (project / "views/by-key" / keys[1]).resolve() == other
        assert json.loads(sh(f"jq -sc 'map(.name)' {project}/experiments.jsonl", project).stdout).count(name) == 2
        sh(f"mv {one.name} {moved.name}", project)
        sh(f"echo {name} >> {moved.name}/tags.txt", project)
        await_that(lambda: (project / name).exists() and not other.exists(), "the other one still bears its key")
        assert (project / "views/by-key" / keys[1]).resolve() == project / name
        assert tagged.resolve() == moved
        rows = [json.loads(line) for line in (project / "experiments.jsonl").read_text().splitlines()]
        assert [row["tags"] for row in rows if row["name"] == moved.name] == [sorted(["both", name])]
        sh(f"mv {name} archived/ && sed -i /{name}/d {moved.name}/tags.txt", project)
        assert (project / "archived" / name / "tags.txt").read_text() == "both\n"
        await_that(lambda: not (project / name).exists() and not tagged.exists(), "what is gone is still there")
        assert mounted.log.read_text() == ""


# -- Several at once ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory, comet: Comet, rw: Mounted) -> Iterator[Mounted]:
    """Another mount of the account, with the same cache."""
    cache = str(rw.path.parent / "cache")
    with running_mount(tmp_path_factory.mktemp("second"), comet, "--rw", XDG_CACHE_HOME=cache) as mounted:
        yield mounted


def test_two_mounts_lose_none_of_each_others_changes(rw: Mounted, second: Mounted, experiments: Experiments) -> None:
    """Each sends what it has changed in the version that it was given; the kernel and the caches show it then."""
    key = experiments.make("shared", "a", "b", note="1", lr="2")
    one, other = (mounted / WORKSPACE / PROJECT for mounted in (rw, second))
    for folder in (one, other):
        folder.touch()
        assert (folder / "shared/tags.txt").read_text() == "a\nb\n"
        assert json.loads((folder / "shared/others.json").read_text())["note"] == 1
    assert sh("echo one >> shared/tags.txt; sed -i s/1/11/ shared/others.json", one).stderr == ""
    assert sh("echo other >> shared/tags.txt; sed -i /a/d shared/tags.txt", other).stderr == ""
    assert sh("sed -i s/2/22/ shared/others.json", other).stderr == ""
    assert experiments.tags(key) == ["b", "one", "other"]
    found = experiments.others(key)
    assert (found["note"], found["lr"]) == ("11", "22")
    assert (other / "shared/tags.txt").read_text() == "b\none\nother\n"
    (one / "shared").touch()
    assert (one / "shared/tags.txt").read_text() == "b\none\nother\n"


def test_a_program_that_read_an_old_version_sends_what_it_has_changed(
    rw: Mounted, project: Path, experiments: Experiments
) -> None:
    """As an editor does that has a file in its buffer for a while, and then truncates it or renames another over it."""
    key = experiments.make("buffered", "a", "b")
    (rw / WORKSPACE / PROJECT).touch()
    path = project / "buffered/tags.txt"
    assert path.read_text() == "a\nb\n"
    experiments.tag(key, "late")
    path.touch()
    assert sh("cat buffered/tags.txt", project).stdout == "a\nb\nlate\n"
    path.write_text("a\nc\n")  # this process was given a and b alone
    assert experiments.tags(key) == ["a", "c", "late"]
    experiments.tag(key, "later")
    temporary = path.with_name(".tags.txt.new")
    temporary.write_text("d\n")
    temporary.rename(path)
    assert experiments.tags(key) == ["d", "late", "later"]


def test_open_readers_keep_their_version(rw: Mounted, project: Path, experiments: Experiments) -> None:
    """And the next open has the new one; handles of one program that writes see what it writes."""
    experiments.make("opened", "a")
    (rw / WORKSPACE / PROJECT).touch()
    path = project / "opened/tags.txt"
    with path.open() as reader:
        with path.open("r+") as writer:
            writer.seek(0, 2)
            writer.write("b\n")
            writer.flush()
            assert path.read_text() == "a\nb\n"
        assert path.read_text() == "a\nb\n"
        assert reader.read() == "a\n"


def test_temporary_files_are_nobodys_and_few(rw: Mounted, project: Path, experiments: Experiments) -> None:
    """In no listing; not sent; so many at most."""
    key = experiments.make("scratched", "a")
    (rw / WORKSPACE / PROJECT).touch()
    folder = project / "scratched"
    listed = sorted(path.name for path in folder.iterdir())
    with experiments.comet.asked() as asked:
        (folder / ".tags.txt.swp").write_text("x")
        (folder / "tags.txt~").write_text("y" * 5000)
        assert ((folder / "tags.txt~").stat().st_size, (folder / ".tags.txt.swp").read_text()) == (5000, "x")
        assert sorted(path.name for path in folder.iterdir()) == listed
        (folder / "tags.txt~").rename(folder / ".tags.txt.swp")
        assert (folder / ".tags.txt.swp").stat().st_size == 5000
        (folder / ".tags.txt.swp").unlink()
        assert not (folder / ".tags.txt.swp").exists()
        done = sh("for i in $(seq 80); do exec {fd}> tags.txt.$i || exit 7; done", folder)
        assert "No space left" in done.stderr
    assert [endpoint for endpoint in asked if "write" in endpoint] == []
    assert experiments.tags(key) == ["a"]


def test_an_experiment_without_tags_has_a_file_to_write_them_into(rw: Mounted, experiments: Experiments) -> None:
    """Listed and empty."""
    key = experiments.make("untagged", project="bare")
    (rw / WORKSPACE).touch()
    folder = rw / WORKSPACE / "bare"
    assert "tags.txt" in sh("ls untagged", folder).stdout.split()
    assert (folder / "untagged/tags.txt").read_text() == ""
    assert sh("echo first >> untagged/tags.txt", folder).stderr == ""
    assert experiments.tags(key) == ["first"]
    assert (folder / "untagged/tags.txt").read_text() == "first\n"


def test_many_writers_at_once_lose_nothing(rw: Mounted, project: Path, experiments: Experiments) -> None:
    """In one mount they share the file; the last to close it finds all of it stored, and the next one begins anew."""
    key = experiments.make("crowded", "a")
    (rw / WORKSPACE / PROJECT).touch()
    sh("for i in 1 2 3 4 5 6 7 8; do (echo w$i | tee -a crowded/tags.txt > /dev/null) & done; wait", project)
    assert experiments.tags(key) == ["a", *(f"w{number}" for number in range(1, 9))]
    experiments.tag(key, "outside")
    (project / "crowded/tags.txt").touch()
    assert "outside" in (project / "crowded/tags.txt").read_text().split()
    assert sh("sed -i /w/d crowded/tags.txt", project).stderr == ""
    assert experiments.tags(key) == ["a", "outside"]


def test_a_change_costs_two_calls_and_what_it_has_made_old(
    rw: Mounted, project: Path, experiments: Experiments
) -> None:
    """The change, the look at whether it is there, and the listings of its projects."""
    key = experiments.make("cheap", "a", note="1")
    (rw / WORKSPACE / PROJECT).touch()
    assert (project / "cheap/tags.txt").read_text() == "a\n"
    assert (project / "cheap/others.json").read_text()
    with experiments.comet.asked(about=key) as asked:
        sh("mv cheap cheaper", project)
    assert asked == ["write/experiment/log-other", "experiment/metadata", "experiments"]
    (project / "cheaper/tags.txt").read_text()
    with experiments.comet.asked(about=key) as asked:
        sh("echo b >> cheaper/tags.txt", project)
    assert asked == ["write/experiment/tags", "experiment/tags"]


def test_what_is_appended_is_put_at_the_end(rw: Mounted, project: Path, experiments: Experiments) -> None:
    """Although the kernel does not know the size: nothing has asked for it."""
    key = experiments.make("appended", "a")
    append = "import os; fd = os.open('tags.txt', os.O_WRONLY | os.O_APPEND); os.write(fd, b'new\\n'); os.close(fd)"
    for number in range(2):
        (rw / WORKSPACE / PROJECT).touch()
        assert sh(f'cd appended && python3 -c "{append}"', project).stderr == "", number
    assert experiments.tags(key) == ["a", "new"]
