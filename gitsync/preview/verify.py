"""A commit tried out in a sandbox: does everything become ready, in which order, what does each release come to?"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from gitsync.agent.agent import Agent
from gitsync.agent.ownkinds import ensure_crds
from gitsync.agent.parts import access_rules, sync_store
from gitsync.api.conditions import ready_of
from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.impliedchart import implied_by
from gitsync.api.inventory import parse_inventory_id
from gitsync.api.kinds import SERVED_SOURCES, SOURCE_EXTENSIONS_GROUP, is_kustomization
from gitsync.api.kustomization import Kustomization
from gitsync.api.names import (
    ARTIFACT_GENERATOR,
    FALSE,
    HELM_CHART,
    HELM_GROUP,
    HELM_RELEASE,
    KUSTOMIZATION,
    KUSTOMIZE_GROUP,
    ORIGIN_ANNOTATION,
    SOURCE_GROUP,
    TRUE,
    VERIFY_FIELD_MANAGER,
)
from gitsync.cluster import Cluster
from gitsync.health.helmrepository import is_mere_configuration
from gitsync.preview.compose import whole_commit
from gitsync.preview.lacking import LackingInSandbox
from gitsync.preview.unserved import unserved
from gitsync.release.dependencies.index import ReleaseIndex
from gitsync.release.dependencies.states import is_current
from gitsync.runtime.until import until
from gitsync.sandbox import Sandbox
from gitsync.sync.kustomization.storage.statusstore import inventory_of
from gitsync.sync.outcome import Outcome, Outcomes, Phase

if TYPE_CHECKING:
    from gitsync.cluster import Informer, WatchEvent
    from gitsync.manifests import Desired
    from gitsync.settings import Settings


@dataclass(frozen=True, slots=True)
class Result:
    """How a release or a Kustomization came out. ``order`` is its place among those of its kind that became ready, 0
    for one that did not; ``after`` is how many seconds after the sync's beginning that was. ``content`` is the chart,
    or the path; ``objects`` are those that it holds; ``origin`` is where Git has it."""

    key: ObjectKey
    phase: Phase
    message: str
    order: int = 0
    after: float = 0.0
    content: str = ""
    objects: tuple[ObjectKey, ...] = ()
    origin: str = ""

    @property
    def is_wrong(self) -> bool:
        """Whether the object is not as it should be."""
        return self.phase not in ("ready", "suspended")

    @property
    def told(self) -> str:
        """What is wrong with the object, and where it is written."""
        kind = f"{self.key.kind} " if is_kustomization(self.key) else ""
        place = f" ({self.origin})" if self.origin else ""
        return f"{kind}{self.key.namespaced_name}{place}: {self.message.removesuffix(place)}"


@dataclass(frozen=True, slots=True)
class Verification:
    """What came of a commit. ``problems`` are those of plain objects, of files that cannot be used, and of what is not
    served; ``assumed`` are the namespaces that were there before, since the commit names them and does not bring them.
    ``base`` is what came of the commit that was synced before it.
    """

    commit: str
    releases: tuple[Result, ...]
    kustomizations: tuple[Result, ...] = ()
    problems: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()
    took: float = 0.0
    base: Verification | None = None

    @property
    def passed(self) -> bool:
        """Whether everything is as it should be."""
        return not self.wrong

    @property
    def wrong(self) -> list[str]:
        """All that is not as it should be: the problems, and the Kustomizations and releases that are not ready."""
        results = (*self.kustomizations, *self.releases)
        return [*self.problems, *(item.told for item in results if item.is_wrong)]


async def verify(settings: Settings, commit: str, base: str, patience: float) -> Verification:
    """Sync ``commit`` to a sandbox and say what came of it; after ``base``, if that is named, as a change of it.

    ``patience`` is how many seconds each of the two may take; what is not ready by then is not. What waits for an
    object that is not there, when nothing else is at work any more, is not waited for: nobody brings one.

    Raises: GitRefused, GitUnavailable.
    """
    async with AsyncExitStack() as stack:
        sandbox = await stack.enter_async_context(Sandbox())
        there = {"kubeconfig": sandbox.kubeconfig, "context": "", "once": True, "prune": True, "allow_mass_prune": True}
        there["verify_keys"] = None  # what is tried is mostly not signed yet
        settings = settings.model_copy(update=there)
        cluster = await stack.enter_async_context(await Cluster.connect(kubeconfig=sandbox.kubeconfig))
        await ensure_crds(cluster)  # a watch of a kind that is not served yet begins late
        before = None
        if base:
            before = await _sync_and_judge(cluster, settings.model_copy(update={"commit": base}), patience)
        after = await _sync_and_judge(cluster, settings.model_copy(update={"commit": commit}), patience)
        return replace(after, base=before)


async def _sync_and_judge(cluster: Cluster, settings: Settings, patience: float) -> Verification:
    """What comes of the commit that ``settings`` name."""
    desired, whole = await whole_commit(settings)
    assumed = await _create_namespaces(cluster, desired, whole)
    timing, lacking = _Timing(), LackingInSandbox(cluster, access_rules(settings))
    async with (
        cluster.watch(HELM_GROUP, HELM_RELEASE) as releases,
        cluster.watch(KUSTOMIZE_GROUP, KUSTOMIZATION) as kustomizations,
    ):
        for watch in (releases, kustomizations):
            watch.subscribe(timing.on_event)
        outcomes = await _sync(cluster, settings, patience, lacking)
    problems = [f"{error.origin}: {error.message}" for error in desired.errors]
    problems += [*await _failed(cluster, settings, desired), *await unread(cluster)]
    return Verification(
        settings.commit,
        tuple(timing.releases(await cluster.list(HELM_GROUP, HELM_RELEASE), lacking.waiting)),
        tuple(timing.kustomizations(await cluster.list(KUSTOMIZE_GROUP, KUSTOMIZATION), outcomes)),
        tuple(problems),
        assumed,
        timing.now,
    )


async def _sync(
    cluster: Cluster, settings: Settings, patience: float, lacking: LackingInSandbox
) -> dict[ObjectKey, Outcome]:
    """One ``gitsync run --once``, cut short when it takes too long. Returns how what it has brought stands then."""
    late = asyncio.Event()
    timer = asyncio.get_running_loop().call_later(patience, late.set)
    async with AsyncExitStack() as stack:
        stack.callback(timer.cancel)
        agent = await Agent.start(settings, stack, lacking.hopeless)
        await agent.once(late)
        if agent.error is not None:
            raise agent.error
        await _sources_judged(cluster, timer.when())
        return await agent.outcomes()


async def _sources_judged(cluster: Cluster, deadline: float) -> None:
    """Wait until the agent has said of each source whether it can be read; a sync with an eye on what is hopeless does
    not wait for them."""

    def judged(watch: Informer) -> bool:
        served = [manifest for _, manifest in watch.items() if not (manifest.get("spec") or {}).get("suspend")]
        asked = [manifest for manifest in served if not is_mere_configuration(manifest)]
        return all(ready_of(manifest).get("status") in (TRUE, FALSE) for manifest in asked)

    own = [*((SOURCE_GROUP, kind) for kind in SERVED_SOURCES), (SOURCE_EXTENSIONS_GROUP, ARTIFACT_GENERATOR)]
    for group, kind in own:
        with suppress(TimeoutError):
            async with asyncio.timeout_at(deadline), cluster.watch(group, kind) as watch:
                await until(watch, partial(judged, watch))


async def _create_namespaces(cluster: Cluster, desired: Desired, whole: Desired) -> tuple[str, ...]:
    """Create the namespaces that a commit takes for granted, by the directory itself and with all Kustomizations. Those
    of the first have to be there before any Kustomization can bring them, as who sets up a cluster makes flux-system.
    Returns their names."""
    assumed = []
    for name in sorted(_lacked_namespaces(desired) | _lacked_namespaces(whole)):
        manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        if await cluster.find(ObjectKey.of(manifest)) is None:
            await cluster.create(manifest, manager=VERIFY_FIELD_MANAGER)
            assumed.append(name)
    return tuple(assumed)


def _lacked_namespaces(desired: Desired) -> set[str]:
    """The namespaces that objects name and the commit does not bring."""
    named = {key.namespace for key in desired.objects if key.namespace and "$" not in key.namespace}
    for release in desired.helm_releases.values():
        named.add(release.storage_namespace)
        if not release.spec.install.create_namespace:
            named.add(release.release_namespace)
    return named - {key.name for key in desired.objects if key.kind == "Namespace" and not key.group}


async def _failed(cluster: Cluster, settings: Settings, desired: Desired) -> list[str]:
    """What the newest sync could not do with plain objects, or was asked in vain; releases speak for themselves."""
    entries = await sync_store(settings, cluster).journal()
    prefix = f"{HELM_RELEASE}/"
    failed = {item.object: item.why for item in entries[0].changes if item.verb == "failed"} if entries else {}
    asked = [item for item in unserved(desired) if str(item.key) in failed]
    in_vain = {str(item.key): f"{item.origin}: {item.message}" for item in asked}
    others = [f"{name}: {why}" for name, why in failed.items() if not name.startswith(prefix) and name not in in_vain]
    return [*in_vain.values(), *others]


async def unread(cluster: Cluster) -> list[str]:
    """Sources that cannot be read, and why: releases that wait for them know only that. HelmCharts that HelmReleases
    imply are none of them: their releases say it."""
    repositories = [
        item
        for kind in SERVED_SOURCES
        for item in await cluster.list(SOURCE_GROUP, kind)
        if kind != HELM_CHART or implied_by(item) is None
    ]
    repositories += await cluster.list(SOURCE_EXTENSIONS_GROUP, ARTIFACT_GENERATOR)
    conditions = {ObjectKey.of(item): ready_of(item) for item in repositories}
    return [f"{key}: {it.get('message')}" for key, it in sorted(conditions.items()) if it.get("status") == FALSE]


@dataclass
class _Timing:
    """When releases became ready for the first time since the sync began, and Kustomizations with what they have."""

    started: float = field(default_factory=time.monotonic)
    ready: dict[ObjectKey, float] = field(default_factory=dict)
    _applied: dict[ObjectKey, str] = field(default_factory=dict)

    @property
    def now(self) -> float:
        return time.monotonic() - self.started

    def on_event(self, event: WatchEvent) -> None:
        if event.type == "DELETED" or not is_current(event.manifest):
            return
        applied = str((event.manifest.get("status") or {}).get("lastAppliedRevision", ""))
        is_new = is_kustomization(event.key) and self._applied.get(event.key) != applied
        if event.key not in self.ready or is_new:
            self.ready[event.key], self._applied[event.key] = self.now, applied

    def kustomizations(self, kustomizations: list[Manifest], outcomes: Mapping[ObjectKey, Outcome]) -> Iterator[Result]:
        """In the order in which they became ready; then those that did not, by name."""
        found = {key: item for item in kustomizations if (key := ObjectKey.of(item)) in outcomes}
        return self._results(found, outcomes)

    def releases(self, releases: list[Manifest], in_vain: Mapping[ObjectKey, str]) -> Iterator[Result]:
        """In the order in which they became ready; then those that did not, by name. ``in_vain`` are those that were
        not waited for, and why."""
        index = ReleaseIndex()
        found = {ObjectKey.of(item): item for item in releases}
        for key, manifest in found.items():
            index.update(key, manifest)
        judged = Outcomes(index, at_rest=True)
        outcomes = {key: judged.of(key) for key in found}
        for key, why in in_vain.items():
            if key in outcomes and outcomes[key].phase == "moving":
                outcomes[key] = Outcome("waiting", why or outcomes[key].message)
        return self._results(found, outcomes)

    def _results(self, found: Mapping[ObjectKey, Manifest], outcomes: Mapping[ObjectKey, Outcome]) -> Iterator[Result]:
        order = sorted(found, key=lambda key: (self.ready.get(key, float("inf")), key))
        for place, key in enumerate(order, 1):
            outcome = outcomes[key]
            yield Result(
                key,
                outcome.phase,
                outcome.message,
                place if outcome.phase == "ready" else 0,
                self.ready.get(key, 0.0),
                *_content(found[key]),
                (found[key]["metadata"].get("annotations") or {}).get(ORIGIN_ANNOTATION, ""),
            )


def _content(manifest: Manifest) -> tuple[str, tuple[ObjectKey, ...]]:
    """The chart of a release's newest revision, or the path of a Kustomization, and what that holds."""
    if is_kustomization(ObjectKey.of(manifest)):
        return Kustomization.parse(manifest).path, tuple(inventory_of(manifest).wanted)
    status = HelmRelease.parse(manifest).status
    chart = f"{status.history[0].chart_name}-{status.history[0].chart_version}" if status.history else ""
    entries = status.inventory.entries if status.inventory else ()
    return chart, tuple(key for entry in entries if (key := parse_inventory_id(entry.id)))
