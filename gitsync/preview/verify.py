"""A commit tried out in a sandbox: does everything become ready, in which order, what does each release come to?"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gitsync.agent.agent import Agent
from gitsync.agent.crds import ensure_crds
from gitsync.agent.parts import sync_store
from gitsync.api.conditions import get_condition
from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.names import FALSE, HELM_GROUP, HELM_RELEASE, HELM_REPOSITORY, READY, SOURCE_GROUP
from gitsync.cluster import Cluster
from gitsync.preview.compose import open_commit
from gitsync.release.dependencies.index import ReleaseIndex, is_current
from gitsync.sandbox import Sandbox
from gitsync.sync.outcome import Outcomes, Phase

if TYPE_CHECKING:
    from gitsync.cluster import WatchEvent
    from gitsync.manifests import Desired
    from gitsync.settings import Settings


@dataclass(frozen=True, slots=True)
class Tried:
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
    """What came of a commit. ``problems`` are those of plain objects, and of files that cannot be used; ``assumed`` are
    the namespaces that were there before, since the commit names them and does not bring them."""

    commit: str
    releases: tuple[Tried, ...]
    problems: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()
    took: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether everything is as it should be."""
        return not self.problems and all(tried.phase in ("ready", "suspended") for tried in self.releases)


async def verify(settings: Settings, commit: str, base: str, patience: float) -> Verification:
    """Sync ``commit`` to a sandbox and say what came of it; after ``base``, if that is named, as a change of it.

    ``patience`` is how many seconds each of the two may take; what is not ready by then is not.

    Raises: GitRefused, GitUnavailable.
    """
    async with AsyncExitStack() as stack:
        sandbox = await stack.enter_async_context(Sandbox())
        there = {"kubeconfig": sandbox.kubeconfig, "context": "", "once": True, "prune": True, "allow_mass_prune": True}
        settings = settings.model_copy(update=there)
        cluster = await stack.enter_async_context(await Cluster.connect(kubeconfig=sandbox.kubeconfig))
        if base:
            before = settings.model_copy(update={"commit": base})
            await _furnish(cluster, await _read(before))
            await _sync(before, patience)
        settings = settings.model_copy(update={"commit": commit})
        desired = await _read(settings)
        assumed = await _furnish(cluster, desired)
        await ensure_crds(cluster)  # a watch of a kind that is not served yet begins late
        timing = _Timing()
        watch = await stack.enter_async_context(cluster.watch(HELM_GROUP, HELM_RELEASE))
        stack.callback(watch.subscribe(timing.on_event))
        await _sync(settings, patience)
        releases = await cluster.list(HELM_GROUP, HELM_RELEASE)
        problems = [f"{error.origin}: {error.message}" for error in desired.errors]
        problems += [*await _problems(cluster, settings), *await _unread(cluster)]
        return Verification(commit, tuple(timing.tried(releases)), tuple(problems), assumed, timing.now)


async def _sync(settings: Settings, patience: float) -> None:
    """One ``gitsync run --once``, cut short when it takes too long."""
    async with AsyncExitStack() as stack:
        agent = await Agent.start(settings, stack)
        late = asyncio.Event()
        timer = asyncio.get_running_loop().call_later(patience, late.set)
        stack.callback(timer.cancel)
        await agent.once(late)
        if agent.error is not None:
            raise agent.error


async def _read(settings: Settings) -> Desired:
    async with open_commit(settings) as desired:
        return desired


async def _furnish(cluster: Cluster, desired: Desired) -> tuple[str, ...]:
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


async def _problems(cluster: Cluster, settings: Settings) -> tuple[str, ...]:
    """What the newest sync could not do with plain objects; releases speak for themselves."""
    entries = await sync_store(settings, cluster).journal()
    prefix = f"{HELM_RELEASE}/"
    failed = [change for change in entries[0].changes if change.verb == "failed"] if entries else []
    return tuple(f"{item.object}: {item.why}" for item in failed if not item.object.startswith(prefix))


async def _unread(cluster: Cluster) -> list[str]:
    """Chart repositories that cannot be read, and why: releases that wait for them know only that."""
    repositories = await cluster.list(SOURCE_GROUP, HELM_REPOSITORY)
    conditions = {
        ObjectKey.of(item): get_condition((item.get("status") or {}).get("conditions"), READY) for item in repositories
    }
    return [f"{key}: {it.get('message')}" for key, it in sorted(conditions.items()) if it and it.get("status") == FALSE]


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

    def tried(self, releases: list[Manifest]) -> Iterator[Tried]:
        """In the order in which they became ready; then those that did not, by name."""
        index = ReleaseIndex()
        found = {ObjectKey.of(item): item for item in releases}
        for key, manifest in found.items():
            index.update(key, manifest)
        outcomes = Outcomes(index)
        order = sorted(found, key=lambda key: (self.ready.get(key, float("inf")), key))
        for place, key in enumerate(order, 1):
            outcome = outcomes.of(key)
            ready = outcome.phase == "ready"
            yield Tried(
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
