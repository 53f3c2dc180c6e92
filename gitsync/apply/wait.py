"""Waiting until applied objects are ready: on shared watches, with a deadline and a reason, never by polling.

Sync and release wait with the same code. What is ready is decided by gitsync.health; here is only the waiting.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.kinds import defined_kind
from gitsync.apply.readiness import KSTATUS, Readiness
from gitsync.apply.served import await_served
from gitsync.apply.stuckpods import delete_stuck_pods
from gitsync.errors import MissingRight, NotReadyInTime, ObjectFailed
from gitsync.health import Health, assess, pods_of
from gitsync.logs import Once
from gitsync.runtime.progress import SILENCE, Report, report
from gitsync.text import whole_number

if TYPE_CHECKING:
    from gitsync.cluster import Cluster, Informer, WatchEvent
    from gitsync.runtime.interrupt import Interrupt

_WORKLOADS = frozenset(
    {("apps", "Deployment"), ("apps", "StatefulSet"), ("apps", "DaemonSet"), ("apps", "ReplicaSet"), ("batch", "Job")}
)


def _unheard(key: ObjectKey, health: Health) -> None:
    """``on_health`` where nobody wants to know more of a wait than its end."""


@dataclass(frozen=True, slots=True)
class WaitFor:
    """What to wait for: applied objects as the API server answered them, and how long.

    ``labels`` and ``namespace`` are those of the shared watches, and have to fit all objects. ``timeout`` is in
    seconds. ``readiness`` says which objects have to become ready; ``judge`` works out the health of those that no
    expression judges. ``on_reason`` is told what is waited for whenever that changes, ``on_health`` each health.
    """

    objects: Mapping[ObjectKey, Manifest]
    labels: str
    timeout: float
    readiness: Readiness = KSTATUS
    namespace: str = ""
    judge: Callable[[Manifest, Sequence[Manifest]], Health] = assess
    on_reason: Report = report
    on_health: Callable[[ObjectKey, Health], None] = _unheard


async def wait_ready(cluster: Cluster, want: WaitFor, interrupt: Interrupt) -> None:
    """Return when every object is ready, and discovery names the kinds of definitions among them: whoever goes on from
    here may need those. Pods that keep a StatefulSet from being updated are deleted meanwhile.

    Raises: NotReadyInTime at the deadline, ObjectFailed when an object says that it has failed for good, Superseded
    when interrupted, RetryableError when expressions cannot be evaluated; MissingRight when we may list objects and not
    watch them, and at the deadline whatever keeps a watch from seeing them.
    """
    waiting = _Waiting(want)
    if waiting.unready:
        await _watch_until_settled(cluster, want, waiting, interrupt)
    awaited = [applied for key, applied in want.objects.items() if want.readiness.awaits(key)]
    if definitions := [applied for applied in awaited if defined_kind(applied) is not None]:
        await interrupt.guard(await_served(cluster, definitions))


async def _watch_until_settled(cluster: Cluster, want: WaitFor, waiting: _Waiting, interrupt: Interrupt) -> None:
    async with AsyncExitStack() as stack:
        for group, kind, namespace in sorted({cluster.scope_of(key) for key in waiting.unready}):
            watch = await stack.enter_async_context(
                cluster.watch(group, kind, namespace=want.namespace or namespace, labels=want.labels)
            )
            waiting.observe(watch)
            stack.callback(watch.subscribe(waiting.on_event))
        await waiting.until_settled(cluster, stack, interrupt)


class _Waiting:
    """The objects that are not ready yet, and why."""

    def __init__(self, want: WaitFor) -> None:
        self._want = want
        self._changed = asyncio.Event()
        self._watches: list[Informer] = []
        self._pods: dict[str, Informer] = {}
        self._once = Once()
        #: Set when something happened since the last closer look.
        self._news = True
        self._latest: dict[ObjectKey, Manifest] = {}
        #: Objects that expressions have yet to judge, as they were seen last.
        self._to_ask: dict[ObjectKey, Manifest] = {}
        self.unready: dict[ObjectKey, Health] = {}
        for key, applied in want.objects.items():
            if want.readiness.awaits(key):
                self.unready[key] = Health("progressing", "Applied", "has just been applied")
                self._look(key, applied)

    def observe(self, watch: Informer) -> None:
        """Look at what a watch knows already, and at each of its events from now on."""
        self._watches.append(watch)
        for key in list(self.unready):
            live = watch.get(key)
            if live is not None:
                self._look(key, live)

    def on_event(self, event: WatchEvent) -> None:
        """A watched object changed: look again if it is one of ours."""
        if event.key in self.unready:
            if event.type == "DELETED":
                self._to_ask.pop(event.key, None)
                if not self._has_failed(event.key, event.manifest):
                    self._latest.pop(event.key, None)
                    self.unready[event.key] = Health("progressing", "Deleted", "was deleted while being waited for")
            else:
                self._look(event.key, event.manifest)
            self._news = True
            self._changed.set()

    def _on_pod_event(self, event: WatchEvent) -> None:
        """Some pod changed. A namespace may hold hundreds, and every wait in it hears of each: they are looked at
        together, at the next time to look."""
        if not self._news:
            self._news = True
            self._changed.set()

    def _has_failed(self, key: ObjectKey, leaving: Manifest) -> bool:
        """Whether an object had failed for good before it was deleted: then the wait has failed, also where the object
        is deleted in the same moment (a Job with a time to live), and however late we hear of it."""
        metadata = {name: value for name, value in leaving["metadata"].items() if name != "deletionTimestamp"}
        before = {**leaving, "metadata": metadata}
        if (last := self._want.judge(before, ())).status == "failed":
            self.unready[key], self._latest[key] = last, before
        return self.unready[key].status == "failed"

    def _look(self, key: ObjectKey, live: Manifest) -> None:
        if older(live, self._want.objects[key]):
            return
        if "deletionTimestamp" in live["metadata"] and self._has_failed(key, live):
            return
        self._latest[key] = live
        if self._want.readiness.asks(key):
            self._to_ask[key] = live
        else:
            self._judged(key, self._want.judge(live, self._pods_for(key, live)))

    def _judged(self, key: ObjectKey, health: Health) -> None:
        self._want.on_health(key, health)
        if health.status == "ready":
            self.unready.pop(key, None)
        else:
            self.unready[key] = health

    async def _ask(self) -> None:
        """Have expressions judge the object that waits longest for that."""
        key = next(iter(self._to_ask))
        live = self._to_ask.pop(key)
        health = await self._want.readiness.health(live)
        if self._latest.get(key) is live:  # else it changed meanwhile
            self._judged(key, health)

    def _pods_for(self, key: ObjectKey, live: Manifest) -> list[Manifest]:
        watch = self._pods.get(key.namespace)
        if watch is None or (key.group, key.kind) not in _WORKLOADS:
            return []
        pods: list[Manifest] = pods_of(live, [pod for _, pod in watch.items()])
        return pods

    def failed(self) -> ObjectKey | None:
        """The first object that has failed for good."""
        return next((key for key, health in self.unready.items() if health.status == "failed"), None)

    def reason(self) -> str:
        """The first object that is not ready, why, and how many more there are."""
        key = next(iter(self.unready))
        more = len(self.unready) - 1
        return f"{key}: {self.unready[key].message}" + (f" (and {more} more not ready)" if more else "")

    async def until_settled(self, cluster: Cluster, stack: AsyncExitStack, interrupt: Interrupt) -> None:
        """Wait for events until all are ready. From SILENCE on, pods are looked at too and reasons are told."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._want.timeout
        look_at = loop.time() + min(SILENCE, self._want.timeout / 2)
        while self.unready:
            interrupt.check()
            if self._to_ask and loop.time() < deadline:
                await self._ask()
                continue
            if self.failed() is not None:
                await self._look_closer(cluster, stack)  # its pods say what happened
                if (key := self.failed()) is not None:
                    raise ObjectFailed(f"{key}: {self.unready[key].message}", key=key)
                continue
            now = loop.time()
            self._complain(blind=now >= deadline)
            if now >= deadline:
                raise NotReadyInTime(f"not ready within {self._want.timeout:g}s: {self.reason()}")
            if now >= look_at and self._news:
                look_at = now + SILENCE
                await self._look_closer(cluster, stack)
                if self.unready and self.failed() is None:
                    await self._tell()
                continue
            await self._next(interrupt, (min(look_at, deadline) if self._news else deadline) - now)

    def _complain(self, *, blind: bool) -> None:
        """Raise the error of a watch: a missing right, or, when ``blind``, whatever keeps it from seeing."""
        for watch in self._watches:
            if isinstance(watch.error, MissingRight) or (blind and watch.error is not None):
                raise watch.error

    async def _tell(self) -> None:
        """Tell the reason when it is another than last time, or was asked for again."""
        reason = self.reason()
        if self._once.is_news("reason", reason) and await self._want.on_reason(reason):
            self._once.over("reason")
            self._news = True

    async def _look_closer(self, cluster: Cluster, stack: AsyncExitStack) -> None:
        self._news = False
        await self._watch_pods(cluster, stack)
        for key in list(self.unready):
            if (live := self._latest.get(key)) is not None:
                await delete_stuck_pods(cluster, live, self._pods_for(key, live), self._once)

    async def _next(self, interrupt: Interrupt, patience: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await interrupt.guard(self._changed.wait())
        self._changed.clear()

    async def _watch_pods(self, cluster: Cluster, stack: AsyncExitStack) -> None:
        """Pods say why a workload is not ready; they are watched only where somebody waits for long."""
        namespaces = {key.namespace for key in self.unready if (key.group, key.kind) in _WORKLOADS}
        for namespace in sorted(namespaces - self._pods.keys()):
            watch = await stack.enter_async_context(cluster.watch("", "Pod", namespace=namespace))
            self._pods[namespace] = watch
            stack.callback(watch.subscribe(self._on_pod_event))
        for key in list(self.unready):
            if key.namespace in self._pods and key in self._latest:
                self._look(key, self._latest[key])


def older(live: Manifest, applied: Manifest) -> bool:
    """Whether a watch's object is from before the apply whose answer is ``applied``: the watch has yet to catch up."""
    seen, wanted = live["metadata"], applied["metadata"]
    if seen.get("uid") != wanted.get("uid"):
        # A live object with another uid was either replaced since (newer) or is the one the apply replaced (older).
        return bool(version(live) < version(applied))
    if "generation" in wanted:
        return bool(seen.get("generation", 0) < wanted["generation"])
    return version(live) < version(applied)


def version(manifest: Manifest) -> int:
    """The object's resourceVersion as a number: of two states of one object, the newer has the higher (specified since
    Kubernetes 1.35, KEP-5504; before, they were etcd's revisions). 0 when it is not a number.
    """
    return whole_number(str(manifest["metadata"].get("resourceVersion", ""))) or 0
