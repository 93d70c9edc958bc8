"""A directory of archives as workspaces, projects and experiments, in memory.

A record is read once however often it is served: replicas are little more than a key and a name that point to it.

Not here: what a record holds (`runs.record`), and answers (`read_api.serializers`).
"""

from __future__ import annotations

import logging
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from cometfs.errors import SetupError
from cometfs.server import sample_directory
from cometfs.server.catalog.artifacts import ArtifactCatalog, read_artifacts
from cometfs.server.catalog.json_cache import JsonCache
from cometfs.server.catalog.project import ServedExperiment, ServedProject
from cometfs.server.catalog.project_metadata import PROJECTS, ProjectMetadata, read_projects
from cometfs.server.catalog.registry import Registry
from cometfs.server.runs.apply import derived_id
from cometfs.server.runs.load import Heading, read_heading, read_record
from cometfs.server.runs.record import RunRecord
from cometfs.server.runs.schema import Number
from cometfs.server.runs.zip_reader import EXPERIMENT, MESSAGES, Archive, BrokenArchive, open_archive

LOG = logging.getLogger("cometfs.server")

DEFAULT_WORKSPACE = "default"
DEFAULT_PROJECT = "general"
"""Where an archive belongs that names no workspace or no project."""

_KEY = re.compile(r"[A-Za-z0-9_-]{1,100}")


class Catalog:
    """Everything that is served, found by name or key. Those that a directory is opened with are in the order of their
    start, the others behind them as they came.
    """

    def __init__(self, directory: Path | None = None) -> None:
        self.projects: dict[str, ServedProject] = {}
        self.experiments: dict[str, ServedExperiment] = {}
        self.artifacts = ArtifactCatalog([])
        self.registry = Registry()
        self.encoded = JsonCache()
        self.replicas: dict[str, list[str]] = {}
        """The keys under which a record is served once more, by its own."""
        self.copies: dict[str, list[Path]] = {}
        """Archives that are not served because they say again what others of their key say."""
        self.about: dict[tuple[str, str], ProjectMetadata] = {}
        """The metadata of projects, also of those that are not there yet; and of workspaces, with ``""`` as project."""
        self.directory = directory
        """Where the server may keep what it is given; None for nowhere."""

    def workspaces(self) -> list[str]:
        """Names of workspaces, sorted; a user always has one, so an empty catalog has the default one."""
        used = {project.workspace for project in self.projects.values()}
        used |= {workspace for (workspace, project), about in self.about.items() if not project and about.created}
        return sorted(used | self.artifacts.workspaces() | self.registry.workspaces()) or [DEFAULT_WORKSPACE]

    def default_workspace(self) -> str:
        """Where runs belong that name none, if there are any; else the first."""
        names = self.workspaces()
        return DEFAULT_WORKSPACE if DEFAULT_WORKSPACE in names else names[0]

    def projects_of(self, workspace: str) -> list[ServedProject]:
        """The projects of a workspace by name; none when there is no such workspace."""
        found = [project for project in self.projects.values() if project.workspace == workspace]
        return sorted(found, key=lambda project: project.name)

    def project(self, workspace: str, name: str) -> ServedProject | None:
        """The project of these names, if there is one."""
        return self.projects.get(project_id(workspace, name))

    def experiment(self, key: str, *, writable: bool = False) -> ServedExperiment | None:
        """The experiment of this key; one that is to be `writable` is no replica."""
        found = self.experiments.get(key)
        return None if found is None or (writable and found.is_replica) else found

    def add(self, key: str, workspace: str, project: str, record: RunRecord) -> ServedExperiment:
        """Serve `record` under `key`, in a project that is made if need be."""
        home = self._home(workspace, project)
        experiment = ServedExperiment(key, home, record)
        home.experiments.append(experiment)
        self.experiments[key] = experiment
        return experiment

    def move(self, experiment: ServedExperiment, workspace: str, project: str) -> None:
        """Put an experiment into another project, which is made if need be."""
        self._leave(experiment.project, {experiment.key})
        home = self._home(workspace, project)
        home.experiments = sorted([*home.experiments, experiment], key=lambda one: (one.record.start or 0, one.key))
        experiment.project = home
        self._registered_anew(experiment)

    def remove(self, experiment: ServedExperiment) -> None:
        """Serve an experiment no more, nor its replicas, and forget its copies."""
        gone = {experiment.key, *self.replicas.pop(experiment.key, ())}
        for home in {self.experiments[key].project.id: self.experiments[key].project for key in gone}.values():
            self._leave(home, gone)
        # Replaced, not changed: a thread may be walking through it.
        left = self.experiments.copy()
        for key in gone:
            del left[key]
        self.experiments = left
        self.copies.pop(experiment.key, None)
        self._registered_anew(experiment)

    def describe(self, workspace: str, project: str, about: ProjectMetadata) -> ServedProject:
        """Replace the metadata of a project, which is made if need be."""
        self.about = {**self.about, (workspace, project): about}
        home = self._home(workspace, project)
        home.about = about
        return home

    def forget(self, home: ServedProject) -> None:
        """A project has no metadata any more, and is gone unless it has experiments."""
        self.about = {names: one for names, one in self.about.items() if names != (home.workspace, home.name)}
        home.about = ProjectMetadata()
        self._leave(home, set())

    def _registered_anew(self, changed: ServedExperiment) -> None:
        """After an experiment has come, gone or moved: what others registered may have other numbers now."""
        if changed.record.registrations:
            self.registry = Registry(self.experiments.values())

    def _leave(self, home: ServedProject, gone: set[str]) -> None:
        """A project that no client made goes with its last experiment: the next server would not find it either."""
        home.experiments = [one for one in home.experiments if one.key not in gone]
        if not home.experiments and not home.about.created:
            self.projects = {identity: one for identity, one in self.projects.items() if one is not home}

    def _home(self, workspace: str, project: str) -> ServedProject:
        home = self.projects.get(project_id(workspace, project))
        if home is None:
            about = self.about.get((workspace, project)) or ProjectMetadata()
            home = ServedProject(project_id(workspace, project), workspace, project, about)
            # Replaced, not changed: a thread may be walking through it.
            self.projects = {**self.projects, home.id: home}
        return home


def project_id(workspace: str, name: str) -> str:
    """32 hex digits, the same for the same two names."""
    return derived_id("project", workspace, name)


def open_directory(directory: Path, replicate: int = 1) -> Catalog:
    """The catalog of all archives in `directory`: ``*.zip``, and folders of the same shape.

    Each is served `replicate` times: once as it is, and as copies whose keys and names are derived from its own. What
    is beside them, ``projects.json`` and the folder ``artifacts``, is served too. What cannot be read is skipped with a
    warning that names it. Raises SetupError when there is no such directory.
    """
    try:
        paths = sorted(path for path in directory.iterdir() if _may_be_archive(path))
    except OSError as exc:
        raise SetupError(f"cannot read the archives' directory {directory}: {exc.strerror}") from exc
    index = Catalog(None if directory == sample_directory() else directory)
    index.about = read_projects(directory)
    groups = _by_key(_opened(paths))
    for key, found in sorted(groups.items(), key=lambda group: (group[1][0][1].start_time or 0, group[0])):
        parts = _without_copies(found)
        index.copies[key] = [archive.path for archive, _ in found if all(archive is not one for one, _ in parts)]
        _add_replicas(index, key, parts, replicate)
    index.registry = Registry(index.experiments.values())
    index.artifacts = read_artifacts(directory)
    for (workspace, name), about in index.about.items():
        if name and about.created:
            index.describe(workspace, name, about)
        elif not about.created and index.project(workspace, name) is None:
            LOG.warning("%s: there is no project %s/%s", directory / PROJECTS, workspace, name)
    return index


def _may_be_archive(path: Path) -> bool:
    if path.name.startswith("."):
        return False
    try:
        if path.is_dir():
            return (path / EXPERIMENT).exists() or (path / MESSAGES).exists()
    except OSError as exc:
        LOG.warning("%s: skipped; %s", path, exc)
        return False
    return path.suffix.lower() == ".zip"


def _opened(paths: Iterable[Path]) -> Iterator[tuple[Archive, Heading]]:
    for path in paths:
        try:
            archive = open_archive(path)
            heading = read_heading(archive)
        except (BrokenArchive, OSError) as exc:
            LOG.warning("%s: skipped; %s", path, exc)
            continue
        if EXPERIMENT not in archive.members:
            LOG.warning(
                "%s: served as crashed run %s; it was killed, there is no %s", path, heading.offline_id, EXPERIMENT
            )
        yield archive, heading


def _by_key(archives: Iterable[tuple[Archive, Heading]]) -> dict[str, list[tuple[Archive, Heading]]]:
    """The archives of each key, by start; very old ones do not name their key, their file does."""
    groups: defaultdict[str, list[tuple[Archive, Heading]]] = defaultdict(list)
    for archive, heading in archives:
        key = heading.offline_id or archive.path.stem
        if _KEY.fullmatch(key):
            groups[key].append((archive, heading))
        else:
            LOG.warning("%s: skipped; %r is no experiment key", archive.path, key)
    for key, parts in groups.items():
        groups[key] = sorted(parts, key=_begun)
    return groups


def _begun(part: tuple[Archive, Heading]) -> tuple[Number, bool]:
    """When a part began; what a server logged goes on from what was there."""
    return part[1].start_time or 0, part[1].last_seen is not None


def _without_copies(parts: list[tuple[Archive, Heading]]) -> list[tuple[Archive, Heading]]:
    """Parts without those that are another one again: a zip beside its unpacked folder, a backup under another name.

    Parts of a run that was resumed begin at times of their own; of copies the longest is kept. What a server
    logged is no copy of what was put there, whenever both began by their own account.
    """
    kept: dict[object, tuple[Archive, Heading]] = {}
    for archive, heading in sorted(parts, key=_says_most, reverse=True):
        log = heading.start_time if heading.start_time is not None else _log_size(archive)
        first, _ = kept.setdefault((log, heading.last_seen is None), (archive, heading))
        if first is not archive:
            LOG.warning("%s: skipped; it is the same run as %s", archive.path, first.path)
    return sorted(kept.values(), key=_begun)


def _says_most(part: tuple[Archive, Heading]) -> tuple[int, bool]:
    """Of equal ones the folder that a server goes on with."""
    archive, heading = part
    return _log_size(archive), archive.path.name == heading.offline_id


def _log_size(archive: Archive) -> int:
    log = archive.members.get(MESSAGES)
    return log.size if log else 0


def _add_replicas(index: Catalog, key: str, parts: list[tuple[Archive, Heading]], replicate: int) -> None:
    record = read_record(parts)
    headings = _deciding([heading for _, heading in parts])
    workspace = next((heading.workspace for heading in headings if heading.workspace), DEFAULT_WORKSPACE)
    project = next((heading.project_name for heading in headings if heading.project_name), DEFAULT_PROJECT)
    index.add(key, workspace, project, record)
    for number in range(2, replicate + 1):
        name = f"{record.name}-r{number:04}" if record.name is not None else None
        replica = index.add(derived_id("replica", key, str(number)), workspace, project, record)
        replica.is_replica, replica.alias = True, name
        index.replicas.setdefault(key, []).append(replica.key)


def _deciding(headings: list[Heading]) -> list[Heading]:
    """What decides where an experiment belongs: first this server, which may have moved it, then its first archive."""
    ours = [heading for heading in headings if heading.last_seen is not None]
    return [*reversed(ours), *headings]
