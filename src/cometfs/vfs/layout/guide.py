"""README.md of the mount and of each project: what is here and what it costs, for people and for programs that explore.

Not here: README.md of the repository.
"""

from __future__ import annotations

from cometfs.text.printable import printable
from cometfs.vfs.schema.declaration import Context, Dir
from cometfs.vfs.schema.markdown import markdown

_COSTS = """\
Comet allows an API key about 15,000 calls an hour. Everything here is fetched when it is first wanted and kept:

- `ls` of a directory of projects or experiments costs 1 call, whatever their number; `ls` in an experiment none.
- A small file costs 1 call when it is read, or when `ls -l` wants its size; files of one answer share it.
- An asset costs 1 call. A second read costs nothing: for hours if the experiment has ended, 5 seconds if it runs.
- `*/params.json`, `*/metrics.json` and `*/metrics/*` of a whole project cost a call for some hundred experiments, not
  one for each; after `experiments.csv` nearly none. One with NaN, words or over 15,000 points is asked by itself.
- `grep -r` over N experiments costs some 10 calls for each, and 1 for each asset: name the files instead,
  as in `grep lr */params.json`.
- `<experiment>/.api/` (Comet's own answers, whole) is there when it is named and in no listing: `ls A/.api`.
- Nothing here can be broken: a mount is only read, unless it was made with `--rw`. What was logged never changes.
- An error is an errno, never an empty file: 0 bytes of a text mean that Comet has none. No JSON file is empty."""

_COMMANDS = (
    ("ls", "what is here"),
    ("cat */url.txt", "where it is at Comet"),
    ("grep -H '\"lr\"' */params.json", "one parameter of all experiments: a few calls"),
    ("grep '\"loss\"' */metrics.json", "last, min and max of a metric: a few calls"),
    ("jq -c '[.name, .tags]' experiments.jsonl", "all experiments, one a line"),
    ("diff A/params.json B/params.json", "what differs between two experiments"),
    ("diff A/code.py B/code.py", "... in their code"),
    ("tail -n 20 A/output.txt", "the end of what one printed"),
    ("ls -l A/assets A/images", "what it logged, with sizes and times: 1 call"),
    ("getfattr -d A/assets/FILE", "where a file comes from, and how old it is: no call"),
    ("cp -r A /somewhere", "take one away, whole"),
)
"""Commands, to be run in a project's directory; A and B stand for experiments."""


def of_mount(entry: Dir) -> bytes:
    """README.md at the root, with the table of the whole tree."""
    parts = [
        "# A Comet account, mounted\n",
        "`<workspace>/<project>/<experiment>/`: everything that Comet (comet.com) knows of an experiment, as files.\n",
        "## What it costs to read\n",
        _COSTS + "\n",
        "## Commands worth knowing\n",
        "In a project's directory:\n",
        _commands(),
        "## What is where\n",
        markdown(entry),
    ]
    return "\n".join(parts).encode()


def of_project(at: Context) -> bytes:
    """README.md in a project."""
    project = at.project or {}
    count = project.get("numberOfExperiments")
    about = map(printable, (project.get("projectDescription") or "A project").splitlines())
    parts = [
        f"# {printable(str(project.get('projectName')))}\n",
        "\n".join(about) + f"; {count if count is not None else 'some'} experiments.\n",
        "One directory an experiment; those that share a name bear a piece of their key.\n",
        "- `experiments.csv`: a row for each, with parameters, others, metrics, tags; asked in batches, the first time",
        "- `experiments.jsonl`: the same as JSON, an object a line, where lists, line breaks or types matter",
        "- `overview.html`: the same for a browser",
        "- `summary/`: the files that these three are links to; `ls -l`, `du` and `cp` there make them",
        "- `charts/<metric>.csv`: one metric of all, aligned on step; 1 call for every 100",
        "- `views/`: links by key, tag, state, best value, and to the latest; `archived/`: what was put away",
        "- `views/best/<metric>/{max,min}` lead to this file where no experiment has a number of the metric",
        "- `.api/`: Comet's own answers, whole\n",
        "## What it costs to read\n",
        _COSTS + "\n",
        "## Commands worth knowing\n",
        _commands(),
    ]
    return "\n".join(parts).encode("utf-8", "replace")


def _commands() -> str:
    width = max(len(command) for command, _ in _COMMANDS)
    return "\n".join(["```sh", *(f"{command:<{width}}  # {about}" for command, about in _COMMANDS), "```", ""])
