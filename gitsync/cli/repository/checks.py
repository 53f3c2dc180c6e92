"""What ``gitsync validate`` finds: problems, each with its place."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from gitsync.api.fields import dotted
from gitsync.apply.readiness import check_expressions
from gitsync.cel.expressions import Expressions
from gitsync.cli.repository.order import missing_edges
from gitsync.errors import FieldErrors, GitsyncError, SourceNotReady
from gitsync.logs import redact
from gitsync.preview.unserved import unserved
from gitsync.release.dependencies.release_owners import Claim
from gitsync.release.unsupported import refused
from gitsync.sources.artifacts import Artifact, Artifacts
from gitsync.sources.helm import RepositorySpec
from gitsync.sources.helmchart import chart_path
from gitsync.sync.apply import release_graph

if TYPE_CHECKING:
    from gitsync.api import HelmRelease, HelmRepository, ObjectKey, Origin
    from gitsync.cli.repository.checkout import Tree
    from gitsync.manifests import Desired
    from gitsync.release.access import AccessRules
    from gitsync.sources.helm import ChartRepositories
    from gitsync.sources.locator import ChartLocator

Severity = Literal["error", "warning"]

_AT_ONCE = 8
_CHART = ("spec", "chart", "spec", "chart")
_SOURCE = ("spec", "chart", "spec", "sourceRef")


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong. A ``warning`` is what could not be checked, or may be right in a larger whole."""

    origin: Origin
    message: str
    hint: str = ""
    severity: Severity = "error"
    object: str = ""
    field: str = ""

    def line(self, tree: Tree) -> str:
        """``file:line:column: error: what (what to do)``, as compilers write it."""
        text = f"{self.severity}: {self.message}" + (f" ({self.hint})" if self.hint else "")
        return f"{tree.place(self.origin)}: {redact(text)}"

    def data(self, tree: Tree) -> dict[str, Any]:
        """As JSON."""
        place = {"file": tree.shown(self.origin.path), "line": self.origin.line, "column": self.origin.column}
        about = {"object": self.object, "field": self.field, "message": redact(self.message), "hint": redact(self.hint)}
        return {**place, "severity": self.severity, **about}


def manifest_problems(desired: Desired) -> Iterator[Problem]:
    """Files, documents and fields that cannot be used, and what is not served."""
    for error in desired.errors:
        about = str(error.key) if error.key else ""
        yield Problem(error.origin, error.message, error.hint, object=about, field=error.field)
    for warning in desired.warnings:
        about = str(warning.key) if warning.key else ""
        yield Problem(warning.origin, warning.message, warning.hint, "warning", object=about)
    for part in desired.unread:
        if part.suspect:
            hint = "an object that came from here before is an error in a sync, and is not deleted"
            yield Problem(part.origin, f"not read: {part.reason}", hint, "warning")
    for key, release in desired.helm_releases.items():
        for field in refused(release):
            path = field.partition(":")[0].replace("[]", "").split(".")
            origin = desired.objects[key].field_origin(path)
            yield Problem(origin, f"{field} is not supported yet", "remove it", object=str(key), field=field)
    for item in unserved(desired):
        yield Problem(item.origin, item.message, item.hint, item.severity, str(item.key), item.field)


async def expression_problems(desired: Desired) -> list[Problem]:
    """CEL that does not compile. Raises: RetryableError."""
    problems = []
    async with Expressions() as expressions:
        for key, release in desired.helm_releases.items():
            try:
                await check_expressions(release, expressions)
            except FieldErrors as found:
                item = desired.objects[key]
                problems += [
                    Problem(item.field_origin(error.path), str(error), object=str(key), field=dotted(error.path))
                    for error in found.errors
                ]
    return problems


def access_problems(desired: Desired, rules: AccessRules) -> Iterator[Problem]:
    """References that the settings do not allow."""
    for key, release in desired.helm_releases.items():
        for field, wanted in rules.refused(release):
            parts = field.replace("[", ".").replace("]", "").split(".")
            origin = desired.objects[key].field_origin([int(part) if part.isdigit() else part for part in parts])
            message = f"cross-namespace references are not allowed: cannot access {wanted}"
            yield Problem(origin, message, object=str(key), field=field)


def graph_problems(desired: Desired) -> Iterator[Problem]:
    """Cycles, and dependencies that are not there."""
    graph = release_graph(desired)
    for cycle in graph.cycles():
        first = cycle.edges[0]
        origin = first.origin or desired.objects[first.dependent].origin
        yield Problem(
            origin,
            f"dependency cycle: {cycle}",
            f"take one of these away: {cycle.explain()}",
            object=str(first.dependent),
            field="spec.dependsOn",
        )
    for edge in missing_edges(graph, desired):
        origin = edge.origin or desired.objects[edge.dependent].origin
        name = f"{edge.dependency.namespace}/{edge.dependency.name}"
        yield Problem(
            origin,
            f"depends on HelmRelease '{name}', which is not in the repository",
            _elsewhere(edge.dependency, desired),
            object=str(edge.dependent),
            field="spec.dependsOn",
        )


def _elsewhere(wanted: ObjectKey, desired: Desired) -> str:
    """The most frequent mistake: the right name in another namespace."""
    named = [key for key in desired.helm_releases if key.name == wanted.name]
    return f"did you mean '{named[0].namespace}/{named[0].name}'?" if named else ""


def claim_problems(desired: Desired) -> Iterator[Problem]:
    """HelmReleases about a Helm release that another one is about already."""
    owners: dict[Claim, ObjectKey] = {}
    for key, release in sorted(desired.helm_releases.items()):
        owner = owners.setdefault(Claim.of(release), key)
        if owner != key:
            yield Problem(
                desired.objects[key].field_origin(("spec", "releaseName")),
                f"release {release.release_name} is already managed by HelmRelease {owner.namespace}/{owner.name}",
                "give one of them another spec.releaseName",
                object=str(key),
                field="spec.releaseName",
            )


class ChartChecks:
    """Whether the charts of all releases can be had. Asks the network."""

    def __init__(self, desired: Desired, repositories: ChartRepositories, locator: ChartLocator) -> None:
        self._desired = desired
        self._repositories = repositories
        self._locator = locator
        self._limit = asyncio.Semaphore(_AT_ONCE)

    async def problems(self) -> list[Problem]:
        """Repositories first: one that cannot be read is one problem, not one for each of its charts.
        ``manifest_problems`` has named what is not served."""
        silent = {item.key for item in unserved(self._desired) if item.severity == "error"}
        repositories = {key: item for key, item in self._desired.helm_repositories.items() if key not in silent}
        async with asyncio.TaskGroup() as group:
            read = {key: group.create_task(self._repository(key, item)) for key, item in repositories.items()}
        found = [problem for task in read.values() if (problem := task.result())]
        unread = silent | {key for key, task in read.items() if task.result()}
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._release(key, release))
                for key, release in self._desired.helm_releases.items()
                if key not in silent and release.source not in unread
            ]
        return found + [problem for task in tasks if (problem := task.result())]

    async def _repository(self, key: ObjectKey, repository: HelmRepository) -> Problem | None:
        origin = self._desired.objects[key].field_origin(("spec", "url"))
        if repository.spec.secret_ref or repository.spec.cert_secret_ref:
            message = "not checked: this repository needs a Secret of the cluster"
            return Problem(origin, message, severity="warning", object=str(key), field="spec.url")
        async with self._limit:
            try:
                await self._repositories.refresh(_spec(repository))
            except GitsyncError as error:
                return Problem(origin, error.message, error.hint, object=str(key), field="spec.url")
        return None

    async def _release(self, key: ObjectKey, release: HelmRelease) -> Problem | None:
        item = self._desired.objects[key]
        try:
            async with self._limit:
                await (await self._locator.locate(release)).load()
        except SourceNotReady as error:
            return self._elsewhere(key, release, error)
        except GitsyncError as error:
            origin = item.field_origin(_CHART)
            return Problem(origin, error.message, error.hint, object=str(key), field=".".join(_CHART))
        return None

    def _elsewhere(self, key: ObjectKey, release: HelmRelease, error: SourceNotReady) -> Problem:
        """A chart from a source that is not in the repository, or from a GitRepository that means another one."""
        source, origin = release.source, self._desired.objects[key].field_origin(_SOURCE)
        name, field = f"{source.kind} '{source.namespace}/{source.name}'", ".".join(_SOURCE)
        if source in self._desired.helm_repositories:  # it is there, and what it needs is not
            message = f"chart not checked: {error.message}"
            return Problem(origin, message, severity="warning", object=str(key), field=field)
        if source in self._desired.objects:
            only = f"gitsync does not serve {source.kind} yet, but for the repository that is synced"
            message = f"{only}: {name} is another, or has no folder {chart_path(release)!r}"
            return Problem(origin, message, object=str(key), field=field)
        message = f"chart not checked: {name} is not in the repository"
        return Problem(origin, message, severity="warning", object=str(key), field=field)


async def own_artifacts(desired: Desired, name: str) -> Artifacts:
    """The repository that is looked at, as the sync ``name`` would have it. Nobody says what its URL is, so a
    GitRepository of which a chart's folder is here counts as this one."""
    artifact, urls = Artifact.of(desired), {}
    for release in desired.helm_releases.values():
        path = chart_path(release)
        if path is not None and await artifact.tree.directory_digest(path) is not None:
            urls[release.source] = ""
    return Artifacts.of_commit(name, "", replace(artifact, git_repositories=urls))


def _spec(repository: HelmRepository) -> RepositorySpec:
    return RepositorySpec(url=repository.spec.url, timeout=repository.spec.timeout)
