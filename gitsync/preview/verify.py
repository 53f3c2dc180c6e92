"""A commit tried out in a sandbox: does everything become ready, in which order, what does each release come to?"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from gitsync.agent.agent import Agent
from gitsync.agent.crds import ensure_crds
from gitsync.agent.parts import access_rules, sync_store
from gitsync.api.conditions import get_condition
from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.names import FALSE, HELM_GROUP, HELM_RELEASE, HELM_REPOSITORY, READY, SOURCE_GROUP, TRUE
from gitsync.cluster import Cluster
from gitsync.preview.compose import open_commit
from gitsync.preview.lacking import Lacking
from gitsync.preview.unserved import in_the_way, unserved
from gitsync.release.dependencies.index import ReleaseIndex, is_current
from gitsync.runtime.until import until
from gitsync.sandbox import Sandbox
from gitsync.sync.outcome import Outcome, Outcomes, Phase

if TYPE_CHECKING:
    from gitsync.cluster import WatchEvent
    from gitsync.manifests import Desired
    from gitsync.settings import Settings


@dataclass(frozen=True, slots=True)
class ReleaseResult:
    """How a release came out. ``order`` is its place among those that became ready, 0 for one that did not; ``after``
    is how many seconds after the sync's beginning that was. ``objects`` are those that it holds."""

    key: ObjectKey
    phase: Phase
    message: str
    order: int = 0
    after: float = 0.0
    chart: str = ""
    objects: tuple[ObjectKey, ...] = ()


@dataclass(frozen=True, slots=True)
class Verification:
    """What came of a commit. ``problems`` are those of plain objects, of files that cannot be used, and of what is not
    served; ``assumed`` are the namespaces that were there before, since the commit names them and does not bring them.
    ``base`` is what came of the commit that was synced before it.
    """

    commit: str
    releases: tuple[ReleaseResult, ...]
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
        """All that is not as it should be: the problems, and the releases that are not ready."""
        unready = [item for item in self.releases if item.phase not in ("ready", "suspended")]
        return [*self.problems, *(f"{item.key.namespace}/{item.key.name}: {item.message}" for item in unready)]


async def verify(settings: Settings, commit: str, base: str, patience: float) -> Verification:
    """Sync ``commit`` to a sandbox and say what came of it; after ``base``, if that is named, as a change of it.

    ``patience`` is how many seconds each of the two may take; what is not ready by then is not. What waits for an
    object that is not there, when nothing else is at work any more, is not waited for: nobody brings one.

    Raises: GitRefused, GitUnavailable.
    """
    async with AsyncExitStack() as stack:
        sandbox = await stack.enter_async_context(Sandbox())
        there = {"kubeconfig": sandbox.kubeconfig, "context": "", "once": True, "prune": True, "allow_mass_prune": True}
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
    desired = await _read(settings)
    assumed = await _create_namespaces(cluster, desired)
    timing, lacking = _Timing(), Lacking(cluster, access_rules(settings))
    async with cluster.watch(HELM_GROUP, HELM_RELEASE) as watch:
        watch.subscribe(timing.on_event)
        await _sync(cluster, settings, patience, lacking)
    releases = tuple(timing.results(await cluster.list(HELM_GROUP, HELM_RELEASE), lacking.waiting))
    problems = [f"{error.origin}: {error.message}" for error in desired.errors]
    problems += [*await _failed(cluster, settings, desired), *await _unread(cluster)]
    return Verification(settings.commit, releases, tuple(problems), assumed, timing.now)


async def _sync(cluster: Cluster, settings: Settings, patience: float, lacking: Lacking) -> None:
    """One ``gitsync run --once``, cut short when it takes too long."""
    late = asyncio.Event()
    timer = asyncio.get_running_loop().call_later(patience, late.set)
    async with AsyncExitStack() as stack:
        stack.callback(timer.cancel)
        agent = await Agent.start(settings, stack, lacking.hopeless)
        await agent.once(late)
        if agent.error is not None:
            raise agent.error
        await _sources_judged(cluster, timer.when())


async def _sources_judged(cluster: Cluster, deadline: float) -> None:
    """Wait until the agent has said of each HelmRepository whether it can be read; a sync with an eye on what is
    hopeless does not wait for them."""

    def judged() -> bool:
        served = [manifest for _, manifest in watch.items() if not (manifest.get("spec") or {}).get("suspend")]
        return all(_ready(manifest).get("status") in (TRUE, FALSE) for manifest in served)

    with suppress(TimeoutError):
        async with asyncio.timeout_at(deadline), cluster.watch(SOURCE_GROUP, HELM_REPOSITORY) as watch:
            await until(watch, judged)


async def _read(settings: Settings) -> Desired:
    async with open_commit(settings) as desired:
        return desired


async def _create_namespaces(cluster: Cluster, desired: Desired) -> tuple[str, ...]:
    """Create the namespaces that a commit takes for granted. Returns their names."""
    named = {key.namespace for key in desired.objects if key.namespace}
    for release in desired.helm_releases.values():
        named.add(release.storage_namespace)
        if not release.spec.install.create_namespace:
            named.add(release.release_namespace)
    brought = {key.name for key in desired.objects if key.kind == "Namespace" and not key.group}
    assumed = []
    for name in sorted(named - brought):
        manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        if await cluster.find(ObjectKey.of(manifest)) is None:
            await cluster.create(manifest, manager="gitsync-verify")
            assumed.append(name)
    return tuple(assumed)


async def _failed(cluster: Cluster, settings: Settings, desired: Desired) -> list[str]:
    """What the newest sync could not do with plain objects, or was asked in vain; releases speak for themselves."""
    entries = await sync_store(settings, cluster).journal()
    prefix = f"{HELM_RELEASE}/"
    failed = {item.object: item.why for item in entries[0].changes if item.verb == "failed"} if entries else {}
    asked = [item for item in unserved(desired) if str(item.key) in failed] + in_the_way(desired)
    in_vain = {str(item.key): f"{item.origin}: {item.message}" for item in asked}
    others = [f"{name}: {why}" for name, why in failed.items() if not name.startswith(prefix) and name not in in_vain]
    return [*in_vain.values(), *others]


async def _unread(cluster: Cluster) -> list[str]:
    """Chart repositories that cannot be read, and why: releases that wait for them know only that."""
    repositories = await cluster.list(SOURCE_GROUP, HELM_REPOSITORY)
    conditions = {ObjectKey.of(item): _ready(item) for item in repositories}
    return [f"{key}: {it.get('message')}" for key, it in sorted(conditions.items()) if it.get("status") == FALSE]


def _ready(manifest: Manifest) -> Manifest:
    return get_condition((manifest.get("status") or {}).get("conditions"), READY) or {}


@dataclass
class _Timing:
    """When releases became ready for the first time since the sync began."""

    started: float = field(default_factory=time.monotonic)
    ready: dict[ObjectKey, float] = field(default_factory=dict)

    @property
    def now(self) -> float:
        return time.monotonic() - self.started

    def on_event(self, event: WatchEvent) -> None:
        if event.type != "DELETED" and is_current(event.manifest):
            self.ready.setdefault(event.key, self.now)

    def results(self, releases: list[Manifest], in_vain: Mapping[ObjectKey, str]) -> Iterator[ReleaseResult]:
        """In the order in which they became ready; then those that did not, by name. ``in_vain`` are those that were
        not waited for, and why."""
        index = ReleaseIndex()
        found = {ObjectKey.of(item): item for item in releases}
        for key, manifest in found.items():
            index.update(key, manifest)
        outcomes = Outcomes(index)
        order = sorted(found, key=lambda key: (self.ready.get(key, float("inf")), key))
        for place, key in enumerate(order, 1):
            outcome = outcomes.of(key)
            if key in in_vain and outcome.phase == "moving":
                outcome = Outcome("waiting", in_vain[key] or outcome.message)
            ready = outcome.phase == "ready"
            yield ReleaseResult(
                key,
                outcome.phase,
                outcome.message,
                place if ready else 0,
                self.ready.get(key, 0.0),
                *_content(found[key]),
            )


def _content(manifest: Manifest) -> tuple[str, tuple[ObjectKey, ...]]:
    """The chart of the newest revision, and what it holds."""
    status = HelmRelease.parse(manifest).status
    chart = f"{status.history[0].chart_name}-{status.history[0].chart_version}" if status.history else ""
    entries = status.inventory.entries if status.inventory else ()
    return chart, tuple(_key(entry.id) for entry in entries)


def _key(text: str) -> ObjectKey:
    """Of an inventory's ``namespace_name_group_kind``; a name may hold no ``_``."""
    namespace, name, group, kind = text.split("_")
    return ObjectKey(group, kind, namespace, name)
