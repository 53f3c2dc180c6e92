"""Charts in a tree with their dependencies: folders of the same tree, and charts of chart repositories.
 As in Flux, a dependency in a chart's ``charts/`` is taken from there; the version is that of the lock file, else the
range's; ``file://`` paths are looked up in the same tree, URLs among the HelmRepositories of the source's namespace,
and a URL without a HelmRepository is read without credentials. Unlike in Flux, a dependency in the tree may have
dependencies of its own, which are built in the same way.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn

from cachetools import LRUCache

from gitsync.charts.workers import Workers
from gitsync.errors import ArtifactPathMissing, ChartError
from gitsync.helm.dependencies import ChartHead, Dependency, declares_dependencies, speaks
from gitsync.semver import compatible
from gitsync.sources.charts.treefiles import chart_files, packed, some_files
from gitsync.sources.helm import redacted
from gitsync.tree import Tree

#: How deep dependencies in a tree may lead, and how many of them a chart may come to in all.
MAX_DEPTH = 8
MAX_CHARTS = 200
_MAX_HEADS = 4096
_FILE = "file://"


@dataclass(frozen=True, slots=True)
class Local:
    """A chart's folder in a tree and the folders of the same tree that it depends on. ``remote`` are the dependencies
    that have to be fetched."""

    path: str
    #: The digest of the folder (``Tree.directory_digest``).
    digest: str
    name: str
    version: str
    local: tuple[Local, ...] = ()
    remote: tuple[Dependency, ...] = ()

    def all(self) -> Iterator[Local]:
        """This folder and all that it leads to, dependencies after what needs them."""
        yield self
        for item in self.local:
            yield from item.all()

    @property
    def content(self) -> str:
        """Identifies the folder with all its dependencies; the folder's digest if it has none."""
        if not self.local:
            return self.digest
        parts = "\0".join(f"{item.name}={item.digest}" for item in self.all())
        return hashlib.sha256(parts.encode()).hexdigest()


class LocalDependencies:
    """Follows ``file://`` dependencies. The head of a chart is remembered by its folder's digest."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self._heads: LRUCache[str, ChartHead] = LRUCache(_MAX_HEADS)

    async def of(self, tree: Tree, path: str, owner: str) -> Local | None:
        """The chart in a directory; None when there is no such directory. ``owner`` is on whose behalf it is read.

        Raises: ChartError for a dependency that is not there, is another chart or version than is asked for, leads out
        of the tree, or in a circle; what the tree raises.
        """
        return await self._of(tree, path, owner, (), [0])

    async def _of(self, tree: Tree, path: str, owner: str, around: tuple[str, ...], count: list[int]) -> Local | None:
        digest = await tree.directory_digest(path)
        if digest is None:
            return None
        if path in around:
            raise ChartError(f"dependencies lead in a circle: {' -> '.join([*around[around.index(path) :], path])}")
        count[0] += 1
        if len(around) > MAX_DEPTH or count[0] > MAX_CHARTS:
            raise ChartError(f"dependencies lead more than {MAX_DEPTH} deep, or to more than {MAX_CHARTS} charts")
        head = self._heads.get(digest)
        if head is None:
            head = self._heads[digest] = await self._head(tree, path, owner)
        local, remote = [], []
        for wanted in head.missing:
            if not wanted.repository.startswith(_FILE):
                remote.append(wanted)
                continue
            where = _resolved(path, wanted, head)
            found = await self._of(tree, where, owner, (*around, path), count)
            _check(found, wanted, head, where)
            if found is not None:
                local.append(found)
        return Local(path, digest, head.name, head.version, tuple(local), tuple(remote))

    async def _head(self, tree: Tree, path: str, owner: str) -> ChartHead:
        try:
            files = await some_files(tree, path, ("Chart.yaml", "requirements.yaml"))
            contents = await tree.read([entry.blob_id for entry in files.values()])
            if declares_dependencies({name: contents[entry.blob_id] for name, entry in files.items()}):
                files = {name: entry for name, entry in (await chart_files(tree, path)).items() if speaks(name)}
            return await self._workers.describe_folder(await packed(tree, files, self._workers.spool), path, owner)
        except ArtifactPathMissing as error:
            raise ChartError(error.message, chart=path, hint=error.hint) from error
        except ChartError as error:
            error.chart = error.chart or path
            raise


def _resolved(path: str, wanted: Dependency, head: ChartHead) -> str:
    """The path of a ``file://`` dependency in the tree, as Helm has it: counted from the chart's folder."""
    given = wanted.repository.removeprefix(_FILE)
    if given.startswith("/"):
        _refuse(head, wanted, "its path is absolute", "write it from the chart's folder, as file://../NAME")
    where = posixpath.normpath(posixpath.join(path, given))
    if where.startswith(".."):
        _refuse(head, wanted, "its path leads out of the repository", "move the chart into the repository")
    return "" if where == "." else where


def _check(found: Local | None, wanted: Dependency, head: ChartHead, where: str) -> None:
    if found is None:
        _refuse(head, wanted, f"there is no folder {where!r} in the repository", "correct the path, or add the chart")
    if found.name != wanted.name:
        _refuse(head, wanted, f"{where!r} holds chart {found.name!r}", "correct name or repository in Chart.yaml")
    if wanted.version and not compatible(wanted.version, found.version):
        hint = "correct the version in Chart.yaml, or run `helm dependency update` and commit the lock file"
        _refuse(head, wanted, f"{where!r} holds version {found.version}", hint)


def _refuse(head: ChartHead, wanted: Dependency, why: str, hint: str) -> NoReturn:
    raise ChartError(
        f"chart {head.name} depends on {described(wanted)}: {why}", chart=head.name, version=head.version, hint=hint
    )


def described(wanted: Dependency) -> str:
    """``lib 1.x from file://../lib``."""
    version = f" {wanted.version}" if wanted.version else ""
    where = wanted.repository if wanted.repository.startswith(_FILE) else redacted(wanted.repository)
    return f"{wanted.name}{version}" + (f" from {where}" if where else "")
