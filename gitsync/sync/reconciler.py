"""The synced Git repository: polled, read, and handed to the sync, newest commit first."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import aclosing, suppress
from functools import partial
from typing import TYPE_CHECKING

import structlog

from gitsync.api.identity import CommitInfo, ObjectKey
from gitsync.api.kustomization import Kustomization
from gitsync.api.names import RECONCILIATION_SUCCEEDED
from gitsync.apply.claimant import Claimant
from gitsync.backoff import Backoff, Outage
from gitsync.defects import outlive
from gitsync.errors import ApiError, ClusterUnavailable, GitsyncError, GitUnavailable, NotVerified, RetryableError
from gitsync.git import Poll, Poller, redacted_url, watch_local
from gitsync.logs import Once, commit_context, keep_secret, keeping_secrets
from gitsync.manifests import Desired
from gitsync.metering import METER
from gitsync.runtime.schedule import Schedule
from gitsync.runtime.together import until_one_fails
from gitsync.runtime.workqueue import WorkQueue
from gitsync.sources.resolve.artifacts import Artifact, SyncedRepository
from gitsync.sync.apply import Syncer, SyncResult
from gitsync.sync.build import CommitSource
from gitsync.sync.standing import Standing, source_failed, sync_applied, sync_began, sync_ended, sync_failed
from gitsync.tree import Tree, changed_files

if TYPE_CHECKING:
    from gitsync.runtime.interrupt import Interrupt

log = structlog.get_logger(__name__)

#: Seconds between two comparisons of everything in Git with the cluster.
FULL_INTERVAL = 600.0
#: Seconds for a release or sync to delete an object that it does not want any more.
DELETED_WITHIN = 2.0
#: Seconds until everything is compared after a Namespace was deleted, and objects with it.
SOON = 0.1
#: Seconds between two looks whether a held commit has been confirmed.
CONFIRMED_WITHIN = 3.0


class SyncReconciler:
    """Keeps a cluster at the head of a repository. Several may work side by side, each by the name of its sync."""

    def __init__(self, source: CommitSource, syncer: Syncer, repository: SyncedRepository, interval: float) -> None:
        self._source = source
        self._repository = repository
        self._mirror = source.mirror
        self._poller = Poller(source.mirror, interval, accept=source.verify)
        repository.verified = source.verified
        self._syncer = syncer
        self._name = syncer.owner.full_name
        self._log = log.bind(**syncer.spec.context)
        self._wanted: CommitInfo | None = None
        #: When the newest commit was found, by the monotonic clock; 0.0 once it is ready.
        self._found = 0.0
        self._synced: Tree | None = None
        self._full = True
        self._backoff: Backoff[str] = Backoff()
        self._outage = Outage()
        self._once = Once()
        self._queue: WorkQueue[str] = WorkQueue(self._sync, "sync")
        syncer.wanted.claims.on_release.append(self._on_claim_dropped)
        syncer.wanted.claims.on_emptied.append(self._on_emptied)
        self._news = asyncio.Event()
        self.result: SyncResult | None = None
        self.error: GitsyncError | None = None
        #: Set when a sync has ended, in whatever way but that the API server was away: that goes on.
        self.first_done = asyncio.Event()
        #: Called when a sync has ended, and when the repository cannot be read or can be read again.
        self.on_done: Callable[[], None] = lambda: None
        #: Called when a new commit begins to be applied.
        self.on_begin: Callable[[Standing], None] = lambda _: None
        self._begun = ""
        #: The commit that is held, "" for none; the Event is set while there is one.
        self._held, self._is_held = "", asyncio.Event()
        #: Called when all of a commit is applied, though it may not be ready yet.
        self.on_applied: Callable[[], None] = lambda: None
        #: How the sync of a new commit stands while it is under way, also while it only waits for readiness.
        self._under_way: Standing | None = None
        syncer.on_applied = self._on_applied
        #: How the last sync has ended; and, if so, why the repository cannot be read.
        self._ended: Standing | None = None
        self._source_failed: Standing | None = None
        #: The last commit whose sync has come to its end.
        self.commit = ""

    def _on_claim_dropped(self, key: ObjectKey, cluster: str) -> None:
        """Some claimant has given up an object. If this sync is to have it, compare everything: the other may have
        written to it since. If this sync only keeps the object's Namespace for now, look again soon: once the object is
        deleted, the Namespace can go."""
        me, claims = self._syncer.owner.claimant, self._syncer.wanted.claims
        if me in claims.to_have(key, cluster):
            self.compare_all()
        elif ObjectKey("", "Namespace", "", key.namespace) in claims.keys(me, "kept"):
            self._full = True
            self._queue.wake_within(self._name, DELETED_WITHIN)

    def _on_emptied(self, sync: Claimant) -> None:
        """A Namespace was deleted and is there again: objects of this sync may have gone with it."""
        if sync == self._syncer.owner.claimant:
            self.compare_all()

    def cluster_is_back(self, seconds: float) -> None:
        """The API server answers again after so many seconds: try again what has failed because it was away."""
        self._queue.wake_failed(seconds)

    async def run(self, schedule: Schedule) -> None:
        """Poll until cancelled."""
        self._repository.poll_now = self._news.set
        schedule.every(f"full comparison {self._name}", FULL_INTERVAL, self.compare_all)
        await until_one_fails(
            outlive(f"poll {self._name}", partial(self._poll_on, schedule)),
            outlive(f"watch local repository of {self._name}", self._watch),
            outlive(f"confirmation of commits of {self._name}", self._until_confirmed),
        )

    async def _poll_on(self, schedule: Schedule) -> None:
        while True:
            self._news.clear()
            next_in = await self.poll()
            schedule.once(f"poll {self._name}", next_in, self._news.set)
            await self._news.wait()

    @property
    def is_syncing(self) -> bool:
        """Whether a sync is under way."""
        return self._queue.is_busy

    @property
    def standing(self) -> Standing | None:
        """How the sync stands; None before the first."""
        return self._source_failed or self._under_way or self._ended

    @property
    def applied_commit(self) -> str:
        """The commit that was applied last, though its objects may not be ready yet."""
        now = self._under_way
        is_applied = now is not None and now.reason == RECONCILIATION_SUCCEEDED
        return now.commit.id if now is not None and is_applied and now.commit is not None else self.commit

    @property
    def wanted(self) -> CommitInfo | None:
        """The newest commit that is to be applied; None before the first."""
        return self._wanted

    async def objects(self) -> list[ObjectKey]:
        """The objects in this sync's inventory."""
        return sorted(entry.key for entry in await self._syncer.planner.inventory())

    async def stop(self, grace: float) -> None:
        """End the sync under way."""
        await self._queue.stop(grace)

    async def poll(self) -> float:
        """Ask the remote once. Returns seconds until the next time."""
        poll = await self._poller.poll()
        METER.polls["failed" if poll.error is not None else "unchanged" if poll.commit is None else "news"] += 1
        self._repository.polled(poll.error, self._mirror.default_branch, self._mirror.cloned_from)
        if poll.error is not None:
            self.error = poll.error
            self._source_failed = source_failed(poll.error)
            if isinstance(poll.error, NotVerified):
                await self._refuse(poll, poll.error)
            elif poll.report:
                self._log.warning(
                    "repository cannot be read, the cluster is left as it is",
                    repository=redacted_url(self._mirror.source.url),
                    error=poll.error,
                    **({"for": f"{poll.outage:.0f}s"} if poll.outage >= 1 else {}),
                )
            self.first_done.set()
            self.on_done()
        elif self._source_failed is not None or poll.report:
            self._source_failed = None
            self.on_done()
        if poll.error is None and poll.report:
            self._log.info("repository can be read again", after=f"{poll.outage:.0f}s")
        if poll.commit is not None:
            self.error = None
            self._wanted, self._found = poll.commit, time.monotonic()
            self._queue.wake(self._name, interrupt=f"commit {poll.commit.short} is newer")
        return poll.next_in

    async def _refuse(self, poll: Poll, error: NotVerified) -> None:
        """The head is not signed as it must be: the cluster is kept at the commit before, also after a restart."""
        if self._wanted is None:
            await self._stay()
            if self._repository.current is not None:
                self._wanted = self._repository.current.commit
                self._queue.wake(self._name)
        if poll.report:
            refused = commit_context(poll.refused) if poll.refused is not None else {}
            kept = self._wanted.short if self._wanted is not None else "none"
            key = {"key": error.signer} if error.signer else {}
            self._log.error("commit is not verified and not applied", error=error, kept=kept, **key, **refused)

    async def _sync(self, name: str, interrupt: Interrupt) -> float | None:
        with keeping_secrets():
            return await self._pass(name, interrupt)

    async def _pass(self, name: str, interrupt: Interrupt) -> float | None:
        commit = self._wanted
        if commit is None:
            return None  # nothing has been polled yet
        full, self._full = self._full, False  # cleared before the sync, since it may be asked for again meanwhile
        is_owed, is_over = full, True
        try:
            desired = await self._source.read(commit)
            keep_secret(desired.opened_values)
            tree = Artifact.of(desired).tree
            files = await changed_files(self._synced, tree)
            await self._begin(commit)
            self.result = await self._syncer.sync(desired, full=full, files=files, interrupt=interrupt)
            is_owed = False
        except RetryableError as error:
            is_over = not isinstance(error, ClusterUnavailable)
            self._end(sync_failed(error, commit, self._repository.revision(commit.id)))
            return self._later(commit, error)
        except GitsyncError as error:
            self._log.error("sync failed", error=error, **commit_context(commit))
            self.error = error
            self._end(sync_failed(error, commit, self._repository.revision(commit.id)))
            return self._backoff.next(name)
        finally:
            self._full |= is_owed
            if is_over:
                self.first_done.set()
        self._went_well()
        if self.result.result in ("succeeded", "failed"):
            self.commit = commit.id
        superseded = self.result.result == "superseded"
        self._end(None if superseded else sync_ended(desired, self.result, self._repository.revision(commit.id)))
        self._hold(commit.id if self.result.result == "held" else "")
        if self._held:
            await self._stay()
        if superseded:
            self._full = True  # a part was applied: if the next commit reverts that, no difference of trees shows it
        else:
            self._synced = tree
        if self.result.emptied:
            self._full = True
            return SOON
        if self.result.retry or self.result.result == "held":
            self._full = True
            return max(10.0, self._backoff.next(name))
        self._backoff.reset(name)
        if self._found and commit is self._wanted and self.result.result == "succeeded" and not self.result.waiting:
            METER.ready.add(time.monotonic() - self._found)
            self._found = 0.0
        return None

    def _went_well(self) -> None:
        """A sync has come to its end; what the one before has ended with is over."""
        self._outage.over()
        if self._source_failed is None:
            self.error = None

    def _hold(self, commit: str) -> None:
        self._held = commit
        (self._is_held.set if commit else self._is_held.clear)()

    async def _until_confirmed(self) -> None:
        """While a commit is held, look often whether it has been confirmed: the tries themselves get ever rarer."""
        while True:
            await self._is_held.wait()
            held = self._held
            with suppress(RetryableError, ApiError):  # the tries will report that the cluster is away
                if await self._syncer.store.confirmed(held) and held == self._held:
                    self._hold("")
                    self._queue.wake(self._name)
            await asyncio.sleep(CONFIRMED_WITHIN)

    async def _begin(self, commit: CommitInfo) -> None:
        """Tell ``on_begin`` of a new commit, once; not if an agent before this one has already applied it."""
        if commit.id != self._begun and commit.id != (await self._syncer.planner.inventory()).commit:
            self._under_way = sync_began(commit, self._repository.revision(commit.id))
            self.on_begin(self._under_way)
        self._begun = commit.id

    def _on_applied(self, desired: Desired) -> None:
        """All of a commit is applied. If the Kustomization that stands for this sync does not wait for readiness, it is
        ready now, as with Flux, and those that depend on it may go on."""
        key = self._syncer.store.kustomization_of(desired)
        item = desired.objects.get(key) if key is not None else None
        spec = item.model.spec if item is not None and isinstance(item.model, Kustomization) else None
        if desired.errors or (spec is not None and (spec.wait or spec.health_checks)):
            return
        self._under_way = sync_applied(desired.commit, self._repository.revision(desired.commit.id))
        self.on_applied()

    def _end(self, standing: Standing | None) -> None:
        """A sync has ended so; None: it was cut short for a newer commit."""
        self._under_way = None
        self._ended = standing or self._ended
        self.on_done()

    async def _stay(self) -> None:
        """A commit is held, or refused: keep the charts of the last commit that was applied, also after a restart."""
        current = self._repository.current
        commit_id = current.commit.id if current is not None else (await self._syncer.planner.inventory()).commit
        if not commit_id:
            return
        try:
            commit = await self._mirror.fetch(commit_id)  # fetching also keeps it in the mirror
            if current is None:
                await self._source.verify(commit)
                self._repository.carry_out(Artifact.of(await self._source.read(commit)), ())
            self._once.over(self._name)
        except GitsyncError as error:
            # By the class of the error: the words of one cause may differ each time.
            said = {"commit": commit_id[:7], "error": error}
            if self._once.is_news(self._name, f"{commit_id} {type(error).__name__}"):
                self._log.warning("charts of the commit before cannot be read", **said)

    def _later(self, commit: CommitInfo, error: RetryableError) -> float:
        delay = max(self._backoff.next(self._name), error.retry_after or 0.0)
        self.error = error
        if self._outage.failed(type(error).__name__):
            self._log.warning("sync will be tried again", error=error, after=f"{delay:.0f}s", **commit_context(commit))
        return delay

    def compare_all(self) -> None:
        """Sync the present commit again, comparing everything with the cluster."""
        if self._wanted is not None:
            self._full = True
            self._queue.wake(self._name)

    async def _watch(self) -> None:
        """A commit in a repository on this machine is synced at once."""
        path = self._mirror.source.local_path
        if path is None:
            return
        try:
            async with aclosing(watch_local(path)) as changes:
                async for _ in changes:
                    self._news.set()
        except GitUnavailable as error:
            self._log.debug("local repository is polled only", why=error.message)
