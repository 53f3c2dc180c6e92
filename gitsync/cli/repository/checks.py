"""The checks of ``gitsync validate``, which find problems, each with its place."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Literal

from gitsync.api import Bucket, GitRepository, HelmChart, HelmRelease, HelmRepository
from gitsync.api.builtin import is_builtin
from gitsync.api.fields import dotted
from gitsync.api.kinds import is_own_kind, is_statusless
from gitsync.api.kustomization import Kustomization
from gitsync.api.names import BUCKET, EXTERNAL_ARTIFACT, GIT_REPOSITORY, HELM_CHART
from gitsync.cel.expressions import Expressions
from gitsync.diff.ignore import selects
from gitsync.errors import ArtifactError, FieldErrors, GitsyncError, SourceNotReady
from gitsync.logs import redact
from gitsync.preview.unserved import unserved
from gitsync.release.dependencies.release_owners import ReleaseIdentity
from gitsync.release.readiness import check_expressions
from gitsync.release.unsupported import refused
from gitsync.sources.charts.chart import WantedChart
from gitsync.sources.charts.helmchart import chart_path
from gitsync.sources.resolve.artifacts import Artifact, Artifacts
from gitsync.sources.resolve.commitsources import needs_secrets
from gitsync.sources.resolve.ociartifact import plain_artifact_spec
from gitsync.sources.resolve.repositories import plain_spec
from gitsync.sync.plan import brings
from gitsync.text import counted, listed

if TYPE_CHECKING:
    from gitsync.api import FieldPath, Manifest, ObjectKey, Origin
    from gitsync.api.fields import Selector
    from gitsync.api.sources import ChartHolder
    from gitsync.cli.repository.checkout import Tree
    from gitsync.manifests import Desired
    from gitsync.preview.order import CommitOrder
    from gitsync.release.access import AccessRules
    from gitsync.sources.helm import ChartRepositories
    from gitsync.sources.locator import ChartLocator

Severity = Literal["error", "warning"]
Check = Literal["", "manifests", "dependencies", "access", "patches", "release-names", "kinds", "expressions", "charts"]
#: What each check is about.
CHECKS: Mapping[Check, str] = {
    "manifests": "Files, documents and fields that cannot be used",
    "dependencies": "Cycles among dependencies, and those that are not there",
    "access": "References that the settings do not allow",
    "patches": "Patches whose target selects no object",
    "release-names": "Two HelmReleases about one Helm release",
    "kinds": "Kinds that nothing defines",
    "expressions": "CEL that does not compile",
    "charts": "Charts and sources that cannot be had",
}

_AT_ONCE = 8
#: How alike two names have to be, of 1, that one may be a typo of the other.
_ALIKE = 0.85
_CHART = ("spec", "chart", "spec", "chart")
_SOURCE = ("spec", "chart", "spec", "sourceRef")
_REFERENCE = ("spec", "chartRef")
#: By kind of source: the field that says what is read. For all other kinds it is ``spec.url``.
_PLACES = {BUCKET: ("spec", "endpoint"), HELM_CHART: ("spec", "chart")}


@dataclass(frozen=True, slots=True)
class ManifestProblem:
    """Something that is wrong. A ``warning`` is about something that could not be checked, or that may be right
    together with what is not in this repository."""

    origin: Origin
    message: str
    hint: str = ""
    severity: Severity = "error"
    object: str = ""
    field: str = ""
    #: The check that has found it, see CHECKS.
    check: Check = ""

    @property
    def said(self) -> str:
        """The message, with the hint in brackets, without secrets."""
        return redact(self.message + (f" ({self.hint})" if self.hint else ""))

    def line(self, tree: Tree) -> str:
        """``file:line:column: error: message (hint)``, as compilers write it."""
        return f"{tree.place(self.origin)}: {self.severity}: {self.said}"

    def data(self, tree: Tree) -> dict[str, Any]:
        """As JSON."""
        place = {"file": tree.shown(self.origin.path), "line": self.origin.line, "column": self.origin.column}
        about = {"object": self.object, "field": self.field, "message": redact(self.message), "hint": redact(self.hint)}
        return {**place, "severity": self.severity, "check": self.check, **about}


def manifest_problems(desired: Desired) -> Iterator[ManifestProblem]:
    """Files, documents and fields that cannot be used, and kinds and fields of Flux that gitsync does not serve."""
    for error in desired.errors:
        about = str(error.key) if error.key else ""
        yield ManifestProblem(error.origin, error.message, error.hint, object=about, field=error.field)
    for warning in desired.warnings:
        about = str(warning.key) if warning.key else ""
        yield ManifestProblem(warning.origin, warning.message, warning.hint, "warning", object=about)
    for part in desired.unread:
        if part.suspect:
            hint = "an object that came from here before is an error in a sync, and is not deleted"
            yield ManifestProblem(part.origin, f"not read: {part.reason}", hint, "warning")
    for key, release in desired.helm_releases.items():
        for field in refused(release):
            path = field.partition(":")[0].replace("[]", "").split(".")
            origin = desired.objects[key].field_origin(path)
            yield ManifestProblem(origin, f"{field} is not supported yet", "remove it", object=str(key), field=field)
    yield from _unserved_problems(desired)


def _unserved_problems(desired: Desired) -> Iterator[ManifestProblem]:
    """Kinds and fields of Flux that gitsync does not serve; a kind is named once, at its first object."""
    found = list(unserved(desired))
    counts = Counter((item.key.kind, item.message) for item in found if not item.field)
    for item in found:
        more = 0 if item.field else counts.pop((item.key.kind, item.message), 0) - 1
        if more < 0:
            continue  # counted in the problem of the first object of its kind
        message = f"{item.message} ({counted(more, 'other')} of it)" if more else item.message
        yield ManifestProblem(item.origin, message, item.hint, item.severity, str(item.key), item.field)


def kind_problems(desired: Desired) -> Iterator[ManifestProblem]:
    """Kinds that neither Kubernetes nor the repository defines: one problem for those of an API group, at its first
    object. They may be right: a sync applies such objects once a release, or somebody else, has brought the kind."""
    found: dict[str, list[ObjectKey]] = {}
    for key in desired.objects:
        own = is_own_kind(key) or is_statusless(key)
        if not (own or is_builtin(key.group) or brings(desired, key, "kind")):
            found.setdefault(key.group, []).append(key)
    for group, keys in found.items():
        first, *others = keys
        kinds = list(dict.fromkeys(key.kind for key in keys))
        if len(kinds) == 1:
            waiting = f"{first} and {counted(len(others), 'other')} of it wait" if others else f"{first} waits"
            said, it_is, its = f"{kinds[0]}.{group} is", "it is", "its CustomResourceDefinition"
        else:
            waiting = f"{first} and {counted(len(others), 'other object')} wait"
            said, it_is, its = f"{listed(kinds)} of {group} are", "they are", "their CustomResourceDefinitions"
        message = f"{said} defined neither by Kubernetes nor in the repository: {waiting} until {it_is}"
        hint = f"a release that brings {its} will do"
        yield ManifestProblem(desired.objects[first].origin, message, hint, "warning", object=str(first))


async def expression_problems(desired: Desired) -> list[ManifestProblem]:
    """CEL that does not compile. Raises: RetryableError."""
    problems = []
    async with Expressions() as expressions:
        for key, item in desired.objects.items():
            if not isinstance(item.model, HelmRelease | Kustomization):
                continue
            try:
                await check_expressions(item.model, expressions)
            except FieldErrors as found:
                problems += [
                    ManifestProblem(
                        item.field_origin(error.path), str(error), object=str(key), field=dotted(error.path)
                    )
                    for error in found.errors
                ]
    return problems


def access_problems(desired: Desired, rules: AccessRules) -> Iterator[ManifestProblem]:
    """References that the settings do not allow."""
    for key, release in desired.helm_releases.items():
        for field, wanted in rules.refused(release):
            parts = field.replace("[", ".").replace("]", "").split(".")
            origin = desired.objects[key].field_origin([int(part) if part.isdigit() else part for part in parts])
            message = f"cross-namespace references are not allowed: cannot access {wanted}"
            yield ManifestProblem(origin, message, object=str(key), field=field)


def graph_problems(order: CommitOrder) -> Iterator[ManifestProblem]:
    """Cycles, and dependencies that are not there."""
    desired = order.desired
    for cycle in order.graph.cycles():
        first = cycle.edges[0]
        origin = first.origin or desired.objects[first.dependent].origin
        yield ManifestProblem(
            origin,
            f"dependency cycle: {cycle}",
            f"take one of these away: {cycle.explain()}",
            object=str(first.dependent),
            field="spec.dependsOn",
        )
    for edge in order.missing():
        origin = edge.origin or desired.objects[edge.dependent].origin
        name = f"{edge.dependency.kind} '{edge.dependency.namespaced_name}'"
        yield ManifestProblem(
            origin,
            f"depends on {name}, which is not in the repository",
            _did_you_mean(edge.dependency, order),
            object=str(edge.dependent),
            field="spec.dependsOn",
        )


def _did_you_mean(wanted: ObjectKey, order: CommitOrder) -> str:
    """A hint for the most frequent mistakes: the right name in the wrong namespace or of the wrong kind, a typo in the
    name, a file that cannot be read; else ""."""
    named = sorted((key.kind != wanted.kind, key) for key in order.nodes if key.name == wanted.name)
    if not named:
        alike = {key.namespaced_name: key for key in sorted(order.nodes) if key.kind == wanted.kind}
        near = get_close_matches(wanted.namespaced_name, alike, n=1, cutoff=_ALIKE)
        named = [(False, alike[name]) for name in near]
    if not named:
        above = order.kustomizations  # what keeps one from being built is said in its name
        unread = sorted({it.origin.path for it in order.desired.errors if it.key is None or it.key in above})
        return f"or it is in what cannot be read: {listed(unread, 3)}" if unread else ""
    is_another, key = named[0]
    return f"did you mean {key.kind + ' ' if is_another else ''}'{key.namespaced_name}'?"


def patch_problems(order: CommitOrder) -> Iterator[ManifestProblem]:
    """Patches of Kustomizations whose target selects no object; kustomize does not report these."""
    for key, kustomization in order.kustomizations.items():
        objects = [item.manifest for other, item in order.desired.objects.items() if order.brought_by.get(other) == key]
        if not objects:
            continue  # what it brings is unknown, or it brings nothing because of an error that is reported already
        item = order.desired.objects[key]
        if item.field_origin(("spec", "patches")) == item.field_origin(("spec",)):
            continue  # the patches are not in its file: a patch of a kustomization gave them to many Kustomizations
        for number, patch in enumerate(kustomization.spec.patches):
            if patch.target is None or "$patch: delete" in patch.patch:
                continue
            target = _comparable(patch.target, kustomization)
            if not any(selects(target, _before(item, kustomization)) for item in objects):
                path: FieldPath = ("spec", "patches", number, "target")
                message = f"{dotted(path)}: selects no object that this Kustomization brings"
                origin = item.field_origin(path)
                yield ManifestProblem(origin, message, severity="warning", object=str(key), field=dotted(path))


def _comparable(target: Selector, kustomization: Kustomization) -> Selector:
    """A patch's target without what the built objects no longer show: their namespace where targetNamespace has
    replaced it, and their name where postBuild may have replaced a variable in it."""
    spec = kustomization.spec
    unknown = {"namespace": ""} if spec.target_namespace else {}
    unknown |= {"name": ""} if spec.post_build is not None else {}
    return target.model_copy(update=unknown)


def _before(manifest: Manifest, kustomization: Kustomization) -> Manifest:
    """An object with the name that it had when the patches were applied: without namePrefix and nameSuffix."""
    spec, metadata = kustomization.spec, manifest["metadata"]
    name = metadata["name"].removeprefix(spec.name_prefix).removesuffix(spec.name_suffix)
    return {**manifest, "metadata": {**metadata, "name": name}}


def claim_problems(desired: Desired) -> Iterator[ManifestProblem]:
    """HelmReleases that name a Helm release which another HelmRelease names as well."""
    owners: dict[ReleaseIdentity, ObjectKey] = {}
    for key, release in sorted(desired.helm_releases.items()):
        owner = owners.setdefault(ReleaseIdentity.of(release), key)
        if owner != key:
            yield ManifestProblem(
                desired.objects[key].field_origin(("spec", "releaseName")),
                f"release {release.release_name} is already managed by HelmRelease {owner.namespaced_name}",
                "give one of them another spec.releaseName",
                object=str(key),
                field="spec.releaseName",
            )


class ChartChecks:
    """Checks whether the charts of all releases can be read. Asks the network."""

    def __init__(self, desired: Desired, repositories: ChartRepositories, locator: ChartLocator) -> None:
        self._desired = desired
        self._repositories = repositories
        self._locator = locator
        self._limit = asyncio.Semaphore(_AT_ONCE)

    async def problems(self) -> list[ManifestProblem]:
        """Sources are tried first: one that cannot be read is one problem, not one for each of its charts. Objects that
        ``manifest_problems`` has named are passed over."""
        silent = {item.key for item in unserved(self._desired) if item.severity == "error"}
        silent |= {error.key for error in self._desired.errors if error.key is not None}
        all_sources = self._desired.chart_sources.items()
        sources = {key: it for key, it in all_sources if key not in silent and not self._locator.is_synced(key)}
        charts = {key: it for key, it in sources.items() if isinstance(it, HelmChart)}
        found = await self._sources({key: it for key, it in sources.items() if key not in charts})
        unread = silent | found.keys()
        found |= await self._sources({key: it for key, it in charts.items() if it.source not in unread})
        unread |= found.keys() | {key for key, it in charts.items() if it.source in unread}
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._release(key, release))
                for key, release in self._desired.helm_releases.items()
                if key not in silent and release.source not in unread
            ]
        return [*found.values(), *(problem for task in tasks if (problem := task.result()))]

    async def _sources(self, sources: Mapping[ObjectKey, ChartHolder]) -> dict[ObjectKey, ManifestProblem]:
        """The sources that cannot be read, each with its problem."""
        async with asyncio.TaskGroup() as group:
            read = {key: group.create_task(self._source(key, item)) for key, item in sources.items()}
        return {key: problem for key, task in read.items() if (problem := task.result())}

    async def _source(self, key: ObjectKey, source: ChartHolder) -> ManifestProblem | None:
        path = _PLACES.get(source.kind, ("spec", "url"))
        origin, field = self._desired.objects[key].field_origin(path), ".".join(path)
        if needs_secrets(source):
            what = "chart" if isinstance(source, HelmChart) else "repository"
            message = f"not checked: this {what} needs a Secret of the cluster"
            return ManifestProblem(origin, message, severity="warning", object=str(key), field=field)
        async with self._limit:
            try:
                if isinstance(source, HelmRepository):
                    await self._repositories.refresh(plain_spec(source))
                elif isinstance(source, GitRepository):
                    await self._locator.git_repositories.artifact_of(key)
                elif isinstance(source, Bucket):
                    await self._locator.buckets.artifact_of(key)
                elif isinstance(source, HelmChart):
                    await (await self._locator.helm_charts.artifact_of(key)).load()
                else:
                    await self._repositories.artifacts.refresh(plain_artifact_spec(source))
            except GitsyncError as error:
                if isinstance(source, HelmChart) and isinstance(error, SourceNotReady) and self._is_absent(source):
                    message = f"chart not checked: {_named(source.source)} is not in the repository"
                    return ManifestProblem(origin, message, severity="warning", object=str(key), field=field)
                return ManifestProblem(origin, error.message, error.hint, object=str(key), field=field)
        return None

    def _is_absent(self, chart: HelmChart) -> bool:
        return chart.source not in self._desired.chart_sources and not self._locator.is_synced(chart.source)

    async def _release(self, key: ObjectKey, release: HelmRelease) -> ManifestProblem | None:
        item = self._desired.objects[key]
        try:
            async with self._limit:
                await (await self._locator.locate(release)).load()
        except SourceNotReady as error:
            return self._not_ready(key, release, error)
        except GitsyncError as error:
            path = _CHART if release.spec.chart else _REFERENCE
            return ManifestProblem(
                item.field_origin(path), error.message, error.hint, object=str(key), field=".".join(path)
            )
        return None

    def _not_ready(self, key: ObjectKey, release: HelmRelease, error: SourceNotReady) -> ManifestProblem:
        """The problem of a chart whose source is not in the repository, or cannot be read without a cluster."""
        path = _SOURCE if release.spec.chart else _REFERENCE
        source, origin = release.source, self._desired.objects[key].field_origin(path)
        name, field = _named(source), ".".join(path)
        if source in self._desired.chart_sources:  # the source is in the repository, and something that it needs is not
            message = f"chart not checked: {error.message}"
            return ManifestProblem(origin, message, severity="warning", object=str(key), field=field)
        if source.kind == EXTERNAL_ARTIFACT:  # the repository may have the ArtifactGenerator that makes it
            if isinstance(error.__cause__, ArtifactError):
                return ManifestProblem(origin, error.message, error.hint, object=str(key), field=field)
            message = f"chart not checked: {error.message}"
            return ManifestProblem(origin, message, severity="warning", object=str(key), field=field)
        message = f"chart not checked: {name} is not in the repository"
        return ManifestProblem(origin, message, severity="warning", object=str(key), field=field)


def _named(source: ObjectKey) -> str:
    return f"{source.kind} '{source.namespaced_name}'"


async def own_artifacts(desired: Desired, name: str, url: str) -> Artifacts:
    """The repository that is checked, as an artifact of the sync ``name``. A GitRepository counts as this repository
    by its ``url``, if that is known, or if the folder of one of its charts is here."""
    artifact, assumed = Artifact.of(desired), set()
    asking: list[HelmRelease | HelmChart] = [*desired.helm_releases.values(), *desired.helm_charts.values()]
    for wanted in filter(None, map(WantedChart.of, asking)):
        path = chart_path(wanted)
        if (
            wanted.source.kind == GIT_REPOSITORY
            and path is not None
            and await artifact.tree.directory_digest(path) is not None
        ):
            assumed.add(wanted.source)
    return Artifacts.of_commit(name, url, artifact, assumed)
