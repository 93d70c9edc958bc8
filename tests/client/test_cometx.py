"""Comet's own tools move an account: `cometx download` from one server, `cometx copy` into another, and back.

What comet_ml's API says of a copy is compared with what it says of the source. What cometx itself leaves out or adds,
whatever the server, is named where it is let pass. Client and servers are processes of their own on loopback addresses.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from cometfs.server import sample_directory
from tests.support.comet_ml_client import SCRIPTS, python, run, surroundings
from tests.support.processes import PATIENCE, Comet, running_comet

Row = dict[str, Any]

DIGITS, TABULAR = "vision-lab/digits", ("tabular/Diabetes progression", "tabular/wine-cultivars")

KINDS = "moved é/kinds"
"""A run of what the sample lacks: examples of a confusion matrix, embeddings, a video, a notebook, NaN, contexts."""

MOVED = {DIGITS: "moved é/digits 2"} | {place: place.replace("tabular", "moved é") for place in TABULAR}
"""Where the projects of the sample go: one alone, with another name, and a whole workspace."""

BACK = {place: place.replace("moved", "back") for place in (*MOVED.values(), KINDS)}
"""Where all of these go then."""

LINE_BREAKS = "knn-imported-from-old-tracker"
"""A run with line breaks in names: comet_ml's uploader drops these and every metric."""

EXACT = ("name", "tags", "html", "code", "graph", "git", "patch", "fileName")
STATES = ("startTimeMillis", "endTimeMillis", "durationMillis", "running", "hasCrashed", "archived")

NOT_COPIED = frozenset({"env", "installedPackages", "osPackages", "logAdditionalSystemInfoList"})
"""Details of the machine that cometx leaves out, or not, as its threads run."""

MADE_UP: tuple[Any, ...] = (None, "", [], {}, 0)
"""What it writes for a detail that is not known."""

STEPLESS = frozenset({"model-element", "notebook"})

OWN = frozenset({"curr_step", "curr_epoch"})
"""Parameters that comet_ml logs itself while cometx copies."""

Accounts = dict[str, dict[str, Row]]


def cometx(folder: Path, url: str, *words: str) -> str:
    """What the command prints, to its end; it has no status that says how it went."""
    settings = {"COMET_OFFLINE_SAMPLING_SIZE": "1000000"}
    done = python(str(SCRIPTS / "run_cometx.py"), *words, folder=folder, url=url, **settings)
    said = done.stdout.decode() + done.stderr.decode()
    assert done.returncode == 0, said
    return said


def copied(
    folder: Path, source: Comet, target: Comet, place: str, goal: str, ignored: str = "confusion-matrix"
) -> None:
    """A project, or a workspace, from one server to another. cometx fails at a confusion matrix without examples."""
    folder.mkdir(exist_ok=True)
    said = cometx(folder, source.url, "download", place, "--ignore", "project_notes")
    assert "aborted" not in said, said
    said = cometx(folder, target.url, "copy", "--create-workspaces", place, goal, "--ignore", ignored)
    assert "100.0%" in said, said


def read(folder: Path, comet: Comet, *places: str) -> dict[str, Row]:
    found: dict[str, Row] = json.loads(run("read_project.py", *places, folder=folder, url=comet.url))
    return found


@pytest.fixture(scope="module")
def accounts(tmp_path_factory: pytest.TempPathFactory) -> Accounts:
    """The sample, its copy in an empty directory with one run more, and the copy of that in another one."""
    folder = tmp_path_factory.mktemp("accounts")
    with ExitStack() as stack:
        sample = stack.enter_context(running_comet(tmp_path_factory.mktemp("sample")))
        moved, back = (
            stack.enter_context(running_comet(tmp_path_factory.mktemp("log"), archives=tmp_path_factory.mktemp(name)))
            for name in ("moved", "back")
        )
        abreast = stack.enter_context(ThreadPoolExecutor())  # comet_ml mostly sleeps
        here = abreast.submit(read, folder, sample, *MOVED)
        coming: list[Future[Any]] = [
            abreast.submit(copied, folder / "to", sample, moved, DIGITS, MOVED[DIGITS]),
            abreast.submit(copied, folder / "to", sample, moved, "tabular", "moved é"),
            abreast.submit(run, "log_kinds.py", *KINDS.split("/"), folder=folder, url=moved.url),
        ]
        for one in coming:
            one.result()
        there = abreast.submit(read, folder, moved, *BACK)
        copied(folder / "from", moved, back, "moved é", "back é", "nothing")
        return {"sample": here.result(), "moved": there.result(), "back": read(folder, back, *BACK.values())}


def runs(accounts: Accounts, source: str, target: str) -> Iterator[tuple[Row, Row]]:
    """Each experiment and its copy."""
    for place, goal in (MOVED if target == "moved" else BACK).items():
        before, after = accounts[source][place]["experiments"], accounts[target][goal]["experiments"]
        assert before.keys() == after.keys()
        yield from ((before[key], after[key]) for key in before if before[key]["name"] != LINE_BREAKS)


WAYS = pytest.mark.parametrize(("source", "target"), [("sample", "moved"), ("moved", "back")])


@WAYS
def test_texts_values_and_times(accounts: Accounts, source: str, target: str) -> None:
    """Equal, every one; a detail of the machine that is not known is empty."""
    for before, after in runs(accounts, source, target):
        for field in (*EXACT, *STATES):
            assert after[field] == before[field], (before["name"], field)
        assert without(OWN, after["parameters"]) == without(OWN, before["parameters"])
        assert after["others"] == before["others"] | {"offline_experiment": "true"}
        for name, value in without(NOT_COPIED, before["system"]).items():
            assert after["system"][name] == value or (value in MADE_UP and after["system"][name] in MADE_UP), name


@WAYS
def test_points(accounts: Accounts, source: str, target: str) -> None:
    """Equal, every one, 20,001 of a metric too; comet_ml adds how long the copying took."""
    for before, after in runs(accounts, source, target):
        lost, added = differences(before["metrics"], after["metrics"])
        assert (lost, [point[0] for point in added]) == ([], ["process duration"]), before["name"]


@WAYS
def test_assets(accounts: Accounts, source: str, target: str) -> None:
    """Equal, every one: bytes, links, names, types, steps, contexts, folders, metadata.

    cometx leaves out empty files and the steps of some, and adds the script once more. Where there is no step,
    comet_ml puts the last one. In a run with remote files its threads mix files of one name up.
    """
    for before, after in runs(accounts, source, target):
        stepless = {identity(row) for row in before["assets"] if row[2] == "None" or row[1] in STEPLESS}
        mixed = mixed_up(before["assets"])
        rows = [
            [
                identity(row) if identity(row) in stepless else tuple(row)
                for row in one["assets"]
                if is_copied(row) and row[0] not in mixed
            ]
            for one in (before, after)
        ]
        lost, added = differences(*rows)
        assert (lost, [row[0] for row in added if not row[0].endswith("run/script.py")]) == ([], []), before["name"]


@WAYS
def test_output(accounts: Accounts, source: str, target: str) -> None:
    """Equal; cometx adds its own warnings."""
    for before, after in runs(accounts, source, target):
        said, again = before["output"] or "", after["output"] or ""
        assert again.startswith(said)
        assert all(line.startswith(("COMET ", "WARNING: ")) for line in again.removeprefix(said).splitlines())


def test_the_project(accounts: Accounts) -> None:
    """Its description comes along where a project is copied. With a whole workspace cometx leaves it out."""
    for place, account in ((DIGITS, "sample"), (MOVED[DIGITS], "moved")):
        assert accounts[account][place]["description"] == "Handwritten digits, 8x8 pixels"


def without(names: frozenset[str], values: Row) -> Row:
    return {name: value for name, value in values.items() if name not in names}


def identity(row: list[str]) -> tuple[str, ...]:
    """An asset without its step."""
    return (*row[:2], *row[3:])


def mixed_up(rows: list[list[str]]) -> set[str]:
    """Names of several files, in a run with remote ones."""
    names = Counter(row[0] for row in rows)
    return {name for name in names if names[name] > 1} if any(row[4] == "True" for row in rows) else set()


def is_copied(row: list[str]) -> bool:
    """Whether cometx copies a file: not one without bytes, nor what it was told to leave."""
    return row[0] != "confusion-matrix.json" and (row[4] == "True" or row[5] != "0")


def differences(before: Sequence[Sequence[str]], after: Sequence[Sequence[str]]) -> tuple[list[Any], list[Any]]:
    """What is lost, and what is added."""
    old, new = Counter(map(tuple, before)), Counter(map(tuple, after))
    return sorted((old - new).elements()), sorted((new - old).elements())


# -- the other commands ------------------------------------------------------------------------------------------------

MODEL = "digits-mlp"
BASELINE = "50d3a93fdfbc7f162d0165d3174ee601"


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Comet]:
    """The sample as a directory that can be written to."""
    archives = tmp_path_factory.mktemp("ours") / "archives"
    shutil.copytree(sample_directory(), archives)
    with running_comet(tmp_path_factory.mktemp("log"), archives=archives) as comet:
        yield comet


def comet_command(folder: Path, url: str, *words: str) -> str:
    """What `comet WORDS` prints. Its log is told when it starts where to go."""
    environ = surroundings(folder, url, COMET_LOGGING_CONSOLE="INFO")
    command = [sys.executable, "-m", "comet_ml.scripts.comet", *words]
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_lists_and_counts(ours: Comet, tmp_path: Path) -> None:
    """`cometx list` and `cometx count`, of everything that they know here."""
    listed = cometx(tmp_path, ours.url, "list", "vision-lab").splitlines()
    assert {DIGITS, "vision-lab/artifacts/digits-split/1.0.0 (first try)"} < set(listed)
    assert f"vision-lab/model-registry/{MODEL}/1.0.0 (staging)" in listed
    assert f"{DIGITS}/{BASELINE}" in cometx(tmp_path, ours.url, "list", DIGITS).splitlines()
    counted = cometx(tmp_path, ours.url, "count", "--count-all")
    assert all(words in counted for words in ("Projects: 3", "Artifacts: 2", "Total Experiments: 12"))
    found = cometx(tmp_path, ours.url, "count", "--with-experiments", "--query", "Metric('train_loss') < 0.5")
    assert "Total Experiments: 3" in found


def test_registered_models_by_command(ours: Comet, tmp_path: Path) -> None:
    """`comet models list` and `download`, by version and by stage."""
    words = ("-w", "vision-lab")
    assert MODEL in comet_command(tmp_path, ours.url, "models", "list", *words)
    for named in (("--model-version", "1.0.0"), ("--model-stage", "staging", "--output", "staged")):
        comet_command(tmp_path, ours.url, "models", "download", *words, "--model-name", MODEL, *named)
    kept = {name: sorted(path.name for path in (tmp_path / name).rglob("*.*")) for name in ("model", "staged")}
    assert kept == {name: ["config.json", "model.joblib"] for name in ("model", "staged")}


def test_logs_to_what_is_there(ours: Comet, tmp_path: Path) -> None:
    """`cometx log`: a file, parameters, an other for a whole project. `comet offline` reads the folder of the run."""
    (tmp_path / "note.txt").write_text("noted")
    (tmp_path / "values.json").write_text(json.dumps([{"name": "logged later", "valueCurrent": "3"}]))
    run_of = f"{DIGITS}/{BASELINE}"
    cometx(tmp_path, ours.url, "log", run_of, "note.txt", "--type", "asset")
    cometx(tmp_path, ours.url, "log", run_of, "values.json", "--type", "parameters")
    (tmp_path / "cm.json").write_text(json.dumps({"matrix": [[1, 0], [0, 1]], "sampleMatrix": None}))
    cometx(tmp_path, ours.url, "log", run_of, "cm.json", "--type", "confusion-matrix")
    cometx(tmp_path, ours.url, "log", DIGITS, "--type", "other", "--set", "reviewed:no {count}")
    found = read(tmp_path, ours, DIGITS)[DIGITS]["experiments"].values()
    assert sorted(one["others"]["reviewed"] for one in found) == [f"no {number}" for number in range(1, 6)]
    (baseline,) = (one for one in found if one["name"] == "mlp-baseline")
    assert baseline["parameters"]["logged later"] == "3"
    logged = {row[0]: row[1] for row in baseline["assets"]}
    assert (logged["note.txt"], logged["cm.json"]) == ("text-sample", "confusion-matrix")
    archive = shutil.make_archive(str(tmp_path / "logged"), "zip", ours.archives / BASELINE)
    for path in (archive, str(ours.archives / f"{BASELINE}.zip")):
        comet_command(tmp_path, ours.url, "offline", "--csv", "--output", f"{path}.csv", path)
        assert f'"vision-lab","digits","{BASELINE}"' in Path(f"{path}.csv").read_text()


def test_renames_duplicates(ours: Comet, tmp_path: Path) -> None:
    """`cometx rename-duplicates`: two runs of a project have one name."""
    assert "1 experiment(s) renamed" in cometx(tmp_path, ours.url, "rename-duplicates", DIGITS)
    assert "0 experiment(s) renamed" in cometx(tmp_path, ours.url, "rename-duplicates", DIGITS)
    names = cometx(tmp_path, ours.url, "list", "--use-name", DIGITS).splitlines()
    assert {f"{DIGITS}/mlp-wide", f"{DIGITS}/mlp-wide-1"} < set(names)


def test_what_is_not_there_is_named(ours: Comet, tmp_path: Path) -> None:
    """Commands of cometx that this server does not serve say so, as the manual does."""
    for words in (("list", "vision-lab/panels"), ("delete-assets", f"{DIGITS}/{BASELINE}", "--type", "image")):
        assert "no endpoint GET" in cometx(tmp_path, ours.url, *words)


def test_projects_by_the_api(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """comet_ml's API makes, describes, annotates and deletes them; they outlive a kill. Of names of metrics that are
    asked for at once the first counts, as Comet answers.
    """
    with running_comet(tmp_path_factory.mktemp("log"), archives=tmp_path) as comet:
        said: Row = json.loads(run("manage_projects.py", folder=tmp_path, url=comet.url))
        comet.process.kill()
    assert (said["workspaces"], said["notes"], said["metrics"]) == (["new ws"], "# Notes é\n", ["b"])
    described = {name: (row["projectDescription"], row["public"]) for name, row in said["projects"].items()}
    assert described == {"p": ("described", False), "bare": ("later", False)}
    with running_comet(tmp_path_factory.mktemp("log"), archives=tmp_path) as comet:
        again = read(tmp_path, comet, "new ws/p", "new ws/bare")
    assert [(row["description"], row["notes"]) for row in again.values()] == [
        ("described", None),
        ("later", "# Notes é\n"),
    ]


# -- cometfs export --layout cometx ------------------------------------------------------------------------------------

NOT_EXPORTED = frozenset({"cometDownloadVersion", "curlDownload", "compressedAssetLink", "s3Link"})
"""What names the program, or holds the API key or a link of the storage."""


def test_export_makes_the_same_tree(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Every file of `cometx download`: the same bytes, of JSON the same values; fewer calls."""
    with running_comet(tmp_path_factory.mktemp("log")) as comet:
        (tmp_path / "real").mkdir()
        cometx(tmp_path / "real", comet.url, "download", DIGITS)
        theirs = len(comet.requests())
        # It may lose these: in an order that changes it takes them out of an answer that it asks for once only.
        cometx(tmp_path / "real", comet.url, "download", DIGITS, "requirements")
        begun = len(comet.requests())
        command = [sys.executable, "-m", "cometfs", "export", DIGITS, "ours", "--layout", "cometx"]
        environ = {**surroundings(tmp_path, comet.url), "XDG_CACHE_HOME": str(tmp_path / "cache")}
        subprocess.run(command, cwd=tmp_path, env=environ, check=True, timeout=PATIENCE)
        assert len(comet.requests()) - begun < theirs
    real, ours = (
        {str(path.relative_to(top)): path for path in sorted(top.rglob("*")) if path.is_file()}
        for top in (tmp_path / "real", tmp_path / "ours")
    )
    real = {name: path for name, path in real.items() if name.startswith("vision-lab/")}
    ours = {name: path for name, path in ours.items() if not name.startswith(".cometfs-export/")}
    assert real.keys() == ours.keys()
    for name, path in real.items():
        assert downloaded(path) == downloaded(ours[name]), name


def downloaded(path: Path) -> Any:
    """The bytes of a file, of JSON the values; null is as if it was left out."""
    if ("assets/" in str(path) and path.name != "assets_metadata.jsonl") or path.suffix not in (".json", ".jsonl"):
        return path.read_bytes()
    text = path.read_text()
    found = [json.loads(line) for line in text.splitlines()] if path.suffix == ".jsonl" else json.loads(text)
    return [described(row) for row in found] if isinstance(found, list) else described(found)


def described(row: Row) -> Row:
    kept = {name: value for name, value in row.items() if value is not None and name not in NOT_EXPORTED}
    return without(frozenset({"isPublic"}), kept)
