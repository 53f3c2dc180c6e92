"""A plan on its way into the cluster: objects applied, waited for, and what left Git deleted (``leaving``), each as
soon as what it needs is there.

Every wait here holds up only what it is about. A step that cannot be taken yet (its kind is still to be installed, its
predecessor is still being deleted, a release has yet to let go of it) counts as tried, and the others go on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from gitsync.api import drop_nulls
from gitsync.api.builtin import is_builtin
from gitsync.api.conditions import ready_of
from gitsync.api.identity import CommitInfo, Manifest, ObjectKey, without_managed_fields
from gitsync.api.kinds import defined_kind, is_kustomization, is_own_kind, is_release, is_statusless
from gitsync.api.names import FALSE, FIELD_MANAGER, SYNC_LABEL
from gitsync.apply.applier import Applied, Applier, storable
from gitsync.apply.crds import CRD_TIMEOUT
from gitsync.apply.deleted import wait_deleted
from gitsync.apply.fieldmanagers import OWNERS
from gitsync.apply.recreate import Force, Recreating
from gitsync.apply.served import JUST_BROUGHT, await_kind
from gitsync.apply.wait import WaitFor, wait_ready
from gitsync.diff.ignore import tolerating
from gitsync.errors import (
    AlreadyExists,
    ApiError,
    Invalid,
    KindUnknown,
    MissingRight,
    NotFound,
    NotReadyInTime,
    ObjectFailed,
    OwnedByAnother,
    WebhookUnavailable,
)
from gitsync.health import Health
from gitsync.logs import Once
from gitsync.manifests import DesiredObject
from gitsync.release.dependencies.index import ReleaseIndex
from gitsync.release.dependencies.places import edge_origins
from gitsync.release.dependencies.states import commit_of
from gitsync.release.values.lines import lines_written
from gitsync.release.wanted.syncclaims import SyncClaims
from gitsync.runtime.fairslots import FairSlots, Slot
from gitsync.runtime.interrupt import Interrupt
from gitsync.runtime.progress import Report as Listener
from gitsync.runtime.progress import listener, reporting, telling
from gitsync.runtime.reached import Reached
from gitsync.runtime.together import as_one, until_one_fails
from gitsync.sync.default_namespace import with_namespace
from gitsync.sync.outcome import Hopeless, Outcomes, ReleasesSettling
from gitsync.sync.owner import Owner, stamped
from gitsync.sync.plan import Step, SyncPlan
from gitsync.sync.policy import is_forced, left_alone
from gitsync.sync.reporting.report import Report
from gitsync.sync.reporting.timeline import APPLY, TAKEN_UP, Turn, turn_of_release
from gitsync.sync.rollout.holders import Holders
from gitsync.sync.rollout.lacking import LackingSources
from gitsync.sync.rollout.leaving import Leaving
from gitsync.sync.rollout.prune import Pruner
from gitsync.sync.spec import SyncSpec
from gitsync.text import listed

if TYPE_CHECKING:
    from gitsync.cluster import Cluster
    from gitsync.sources.resolve.artifacts import SyncedRepository

T = TypeVar("T")
#: Seconds for the predecessor of an object, which is being deleted, to be gone.
GONE_TIMEOUT = 60.0
#: Seconds for the controller of a custom resource to begin with what it makes of that: a Secret of an ExternalSecret.
MADE_OF_IT = 10.0
#: Objects that are named of those that wait.
_TOLD = 2
#: What a release of the same commit may bring: the kind of an object, its namespace, a webhook that has to be asked.
_MAY_COME = (KindUnknown, NotFound, WebhookUnavailable)


@dataclass
class Rollout:
    """One sync's plan, carried out once. ``run`` returns when everything is settled and deleted, or has failed; what
    came of it is in the report, in ``applied`` (the API server's answers), in ``leaving`` and in ``placed`` (by their
    keys in the plan, objects whose kind has come meanwhile, in the namespace that they turned out to need). ``judge``
    looks at an object that is there, though the plan knows of none, and says what is to be done about it.
    ``on_applied`` is called when all is applied, and nothing has failed: what is waited for from then on is that it
    becomes ready. ``on_sent`` is called when nothing more is sent, or nothing before others have done something."""

    cluster: Cluster
    index: ReleaseIndex
    owner: Owner
    wanted: SyncClaims
    repository: SyncedRepository
    pruner: Pruner
    plan: SyncPlan
    report: Report
    slots: FairSlots
    spec: SyncSpec
    judge: Callable[[DesiredObject], Awaitable[Step]]
    hopeless: Hopeless | None = None
    on_applied: Callable[[], None] = lambda: None
    on_sent: Callable[[], None] = lambda: None
    #: By key, the API server's answer; {} for an object whose readiness is not waited for, which nobody looks at.
    applied: dict[ObjectKey, Manifest] = field(default_factory=dict)
    placed: dict[ObjectKey, DesiredObject] = field(default_factory=dict)
    emptied: bool = False

    def __post_init__(self) -> None:
        self._applier = Applier(self.cluster, FIELD_MANAGER, OWNERS)
        self._steps = [step for stage in self.plan.stages for step in stage]
        #: Steps that have been taken, have failed, or wait for something: what comes after them need not wait more.
        self._tried: Reached[ObjectKey] = Reached()
        #: Steps about which nothing more will be done.
        self._over: Reached[ObjectKey] = Reached()
        #: Namespaces ("" for cluster-scoped objects) in which all that was applied is ready, or has failed.
        self._settled: Reached[str] = Reached()
        self._kinds = {kind[:2]: step.key for step in self._steps if (kind := defined_kind(step.desired.manifest))}
        #: Definitions of kinds, of which objects can be applied by now, or will not be.
        self._served: Reached[ObjectKey] = Reached()
        releases = filter(self.spec.is_release, self.plan.desired.helm_releases)
        self._followed = frozenset(key for key in releases if self.spec.waits and self.cluster.serves(key))
        self._releases = ReleasesSettling(self.index, self._followed)
        #: What is as it should be already, of a Kustomization that waits: whether that is ready counts, too.
        self._standing = {
            step.key: step.live for step in self.plan.steps if step.live is not None and self._stands(step)
        }
        self.leaving = Leaving(
            self.index,
            self.owner,
            self.wanted,
            self.pruner,
            self.plan,
            self.report,
            self.spec,
            self._settled,
        )
        #: Releases that waited for another one when all had settled.
        self._waited: list[ObjectKey] = []
        self._holders = Holders(self.index, self.wanted, self._releases)
        self._lacking = LackingSources(self.cluster)
        #: What is being applied at this moment, and waits for no release, or is to become ready.
        self._busy: set[ObjectKey] = set()
        self._once = Once()
        #: What objects wait for that cannot be applied yet, and who wants to hear of it.
        self._waits: dict[ObjectKey, str] = {}
        self._outside: Listener | None = None
        #: When the controllers of the custom resources that were applied are to have begun with what they make of them.
        self._made_at = 0.0

    async def run(self, arrived: Callable[[ObjectKey], None], interrupt: Interrupt) -> None:
        """Carry the plan out; ``arrived`` is called for each step that has been dealt with. Raises: ClusterUnavailable
        and other RetryableErrors, with the rest given up."""
        releases = [step.key for step in self._steps if self.spec.is_release(step.key)]

        # Connections that are opened meanwhile remember whom to tell, for as long as they are open: no more than that.
        outside, tell = listener(), self.report.repeated
        self._outside = outside

        async def log_reason(reason: str) -> None:
            tell("info", "waiting", **{"for": reason})
            if outside is not None:
                await outside(reason)

        with reporting(log_reason), self._timing():
            if self.spec.is_root:
                self.wanted.claims.first_commit.set()
            await until_one_fails(
                self._take_all(arrived, interrupt),
                self._settle_releases(releases),
                *(self._settle(namespace, interrupt) for namespace in self._namespaces()),
                self._settle_standing(interrupt),
                *self.leaving.run(interrupt),
            )
            if any(self.spec.is_release(entry.key) for entry in self.plan.prune):
                # One that waited for another to be removed goes on by now, and so does who waited for it.
                self._releases = ReleasesSettling(self.index, self._waited)
                await self._settle_releases(releases)
        self._judge_releases(releases)

    async def _take_all(self, arrived: Callable[[ObjectKey], None], interrupt: Interrupt) -> None:
        try:
            await self._take_stages(arrived, interrupt)
        finally:
            self.wanted.took(self.applied)  # not each by itself: who kept a thousand would look as often
        self.on_sent()
        if not self.report.counts["failed"]:
            self.on_applied()

    async def _take_stages(self, arrived: Callable[[ObjectKey], None], interrupt: Interrupt) -> None:
        async with as_one() as tasks:
            for stage in self.plan.stages:
                interrupt.check()
                self._busy |= {step.key for step in stage}
                for step in stage:
                    self.report.timeline.turn(step.key, APPLY)
                for step in stage:
                    # Those that have yet to wait for a slot are no tasks: there may be thousands.
                    slot = None if self._has_to_wait(step) else await self.slots.take(self.owner)
                    task = tasks.create_task(self._take(step, slot, arrived))
                    if slot is not None:
                        task.add_done_callback(slot.give_back)
                await self._tried.all_of(step.key for step in stage)

    def _judge_releases(self, releases: Iterable[ObjectKey]) -> None:
        outcomes = Outcomes(self.index)
        for key in (key for key in releases if key in self.applied and self.spec.waits):
            outcome = outcomes.of(key)
            if outcome.phase == "suspended":
                self.report.suspended(key)
            elif outcome.phase != "ready":
                self.report.outcome("failed" if outcome.phase == "failed" else "waiting", key, outcome.message)
        if not self.spec.is_root and self.spec.waits:  # who waits for the Kustomization waits for these
            for key in self._followed & (self.applied.keys() | self._standing.keys()):
                outcome = outcomes.of(key)
                if outcome.phase not in ("ready", "suspended"):
                    self.report.unready.append(ObjectFailed(f"{key}: {outcome.message}", key=key))

    @contextmanager
    def _timing(self) -> Iterator[None]:
        """With what the releases say of themselves noted."""

        def said(key: ObjectKey, before: Manifest | None, after: Manifest | None) -> None:
            if key in self._followed and key in self.applied:
                self.report.timeline.turn(key, turn_of_release(after))

        unsubscribe = self.index.subscribe(said)
        try:
            yield
        finally:
            unsubscribe()

    def _judged(self, key: ObjectKey, health: Health) -> None:
        is_over = health.status in ("ready", "failed")
        self.report.timeline.turn(key, None if is_over else Turn("settle", health.message))

    def _namespaces(self) -> set[str]:
        return {step.key.namespace for step in self._steps} | {entry.key.namespace for entry in self.plan.prune}

    async def _take(self, step: Step, slot: Slot | None, arrived: Callable[[ObjectKey], None]) -> None:
        try:
            await self._until_applied(step, slot)
        finally:
            for reached in (self._tried, self._over, self._served):
                reached.add(step.key)
            arrived(step.key)
            self._is_over(step)

    def _has_to_wait(self, step: Step) -> bool:
        """Whether others have something to do before a step can be taken."""
        return step.holder is not None or (step.key.group, step.key.kind) in self._kinds

    async def _until_applied(self, step: Step, slot: Slot | None) -> None:
        """Apply one object, as soon as it can be, at first with the ``slot`` that it has. One that fails does not stop
        the others."""
        if (definition := self._kinds.get((step.key.group, step.key.kind))) is not None:
            self._tried.add(step.key)
            self.report.timeline.turn(step.key, Turn("wait", f"for {definition}, which defines its kind"))
            await self._served.all_of([definition])
            self.report.timeline.turn(step.key, APPLY)
        todo: Step | None = step
        try:
            while todo is not None:
                seen = self._releases.changes
                try:
                    await self._until_let_go(todo)
                    given, slot = slot, None
                    todo = await self._apply(todo, given or await self.slots.take(self.owner), looked=todo is not step)
                except _MAY_COME as error:
                    if not await self._waiting(step, error.message, self._releases.changed_since(seen)):
                        raise
                    if isinstance(error, KindUnknown):  # discovery says a little later what a release has brought
                        version = step.desired.manifest["apiVersion"].rpartition("/")[2]
                        await await_kind(self.cluster, step.key.group, step.key.kind, version, JUST_BROUGHT)
                        await self._place(step)
        except (ApiError, NotReadyInTime, OwnedByAnother, WebhookUnavailable) as error:
            self.report.failed(self._desired(step).key, error, str(step.desired.origin))
            self.report.timeline.turn(step.key, None)

    async def _place(self, step: Step) -> None:
        """The kind of an object has come, which says whether it needs a namespace."""
        with suppress(KindUnknown):
            found = await with_namespace(step.desired, self.cluster, self.spec.default_namespace)
            if found.key != step.key:
                self.placed[step.key] = found

    def _desired(self, step: Step) -> DesiredObject:
        return self.placed.get(step.key, step.desired)

    async def _until_let_go(self, step: Step) -> None:
        """Return when no release has an object any more, or none that goes on wanting it. Raises: OwnedByAnother."""
        while step.holder is not None and (hold := await self.wanted.take(step.key)) is not None:
            if (error := self._holders.error(hold)) is not None:
                raise error
            await self._waiting(step, hold.told, self._holders.change(hold))

    async def _waiting(self, step: Step, why: str, change: Awaitable[T]) -> T:
        """Wait for a release to change what keeps a step from being taken; the others go on meanwhile."""
        self._tried.add(step.key)
        self.on_sent()
        if not self._releases.all_settled and self._once.is_news(why):
            origin = str(step.desired.origin)
            self.report.repeated("info", "object has to wait", object=str(step.key), why=why, origin=origin)
        self._is_over(step)
        self.report.timeline.turn(step.key, Turn("wait", why))
        self._waits[step.key] = why
        try:
            with reporting(_passed_on(self._outside)):
                async with telling(self._why_waiting):
                    return await change
        finally:
            self._waits.pop(step.key, None)
            self._busy.add(step.key)
            self.report.timeline.turn(step.key, APPLY)

    def _why_waiting(self) -> str:
        """What the first objects wait for that cannot be applied yet: the same for all who tell it."""
        return listed((f"{key}: {why}" for key, why in self._waits.items()), _TOLD)

    def _is_over(self, step: Step) -> None:
        """Nothing is done about a step, for now or for good: who waits for what it brings may have to wait no more."""
        self._busy.discard(step.key)
        self._releases.look_again()

    async def _apply(self, step: Step, slot: Slot, *, looked: bool) -> Step | None:
        """Apply one object. Returns what is to be done instead when it is there already, and nobody has ``looked``."""
        desired, live = self._desired(step), step.live
        wanted, origin = desired.manifest, desired.origin
        commit = _commit_for(step, self.report.commit)
        with slot:
            values_origin = await asyncio.to_thread(lines_written, step.desired) if is_release(step.key) else ""
            if self.spec.ignore and (newest := await self.cluster.find(desired.key)) is not None:
                # Its plan may be minutes old, and what others write to it goes on.
                live, wanted = newest, tolerating(wanted, newest, self.spec.ignore)
            marks = edge_origins(desired), self.spec.works_on(desired.key), values_origin
            manifest = drop_nulls(stamped(wanted, self.owner, commit, origin, *marks))
            self.wanted.about_to_write(desired.key, self.report.commit.id)
            applied = await self._put(manifest, live, is_new=live is None and not looked)
        if applied is None:
            return await self._instead_of(step)
        while "deletionTimestamp" in applied.object["metadata"]:
            # An apply to what is on its way out would be lost with it.
            self._tried.add(step.key)
            await wait_deleted(self.cluster, [desired.key], GONE_TIMEOUT)
            async with self.slots.held(self.owner):
                applied = await self._applier.send(manifest, None)
        if applied.created and step.was_there and (desired.key.group, desired.key.kind) == ("", "Namespace"):
            self._emptied(desired.key.name)
        self._note(step, applied)
        if defined_kind(step.desired.manifest):
            self._tried.add(step.key)
            await self._until_served(step.key, applied.object)
        return None

    def _emptied(self, namespace: str) -> None:
        """Syncs apply again what has gone with a Namespace; a release is deployed, and stays as it is."""
        self.emptied = True
        for release in filter(None, (other.release for other in self.wanted.emptied(namespace))):
            if release.namespace != namespace:  # else it was in there itself
                where = {"release": release.namespaced_name, "namespace": namespace}
                hint = f"gitsync reconcile helmrelease {release.name} -n {release.namespace} --force"
                self.report.repeated(
                    "warning", "objects of a release have gone with their namespace", hint=hint, **where
                )

    async def _put(self, manifest: Manifest, live: Manifest | None, *, is_new: bool) -> Applied | None:
        """Create or change an object; None when one is there that was taken for new. One that is on its way out is as
        it is when it refuses that: no finalizer, for one, can be put on it."""
        try:
            return await (self._made(manifest) if is_new else self._sent(manifest, live))
        except ApiError as error:
            with suppress(ApiError):
                found = await self.cluster.find(ObjectKey.of(manifest))
                if found is not None and "deletionTimestamp" in found["metadata"]:
                    return Applied(found)
            raise error

    async def _made(self, manifest: Manifest) -> Applied | None:
        """Create an object; None when it is there."""
        try:
            answer = await self.cluster.apply(storable(manifest), manager=FIELD_MANAGER, new=True, repeatable=True)
        except AlreadyExists:
            return None
        except Invalid:  # perhaps only together with what is there
            if await self.cluster.find(ObjectKey.of(manifest)) is None:
                raise
            return None
        return Applied(answer, created=True)

    async def _instead_of(self, step: Step) -> Step | None:
        """What is to be done about an object that is there already; None when that is nothing.

        Raises: OwnedByAnother."""
        found = await self.judge(self._desired(step))
        if found.refused:
            raise OwnedByAnother(found.why)
        if not found.applies:
            self.report.unchanged(1)
            self.report.timeline.turn(step.key, None)
            return None
        return replace(found, desired=step.desired)

    async def _sent(self, manifest: Manifest, live: Manifest | None) -> Applied:
        answer = Applied(manifest)

        async def put(item: Manifest) -> Manifest:
            nonlocal answer, live
            found, live = live, None  # a second time it was deleted before
            answer = await self._applier.send(item, found)
            return answer.object

        force = Force(self.spec.force or is_forced(manifest), self.spec.force_setting, GONE_TIMEOUT)
        await Recreating(self.cluster, put, force).apply(manifest)
        return answer

    def _note(self, step: Step, applied: Applied) -> None:
        key, live, answer, origin = self._desired(step).key, step.live, applied.object, str(step.desired.origin)
        if applied.created:
            self.report.done("created", key, origin)
        elif live is None:
            self.report.done("changed", key, origin, "adopted: was in the cluster already")
        elif answer["metadata"]["resourceVersion"] != live["metadata"]["resourceVersion"]:
            self.report.done("changed", key, origin, step.why)
        else:
            self.report.unchanged(1)
        self.applied[key] = answer if self._is_waited_for(key, answer) else {}
        self.report.timeline.turn(step.key, TAKEN_UP if step.key in self._followed else None)
        if self.spec.is_kustomization(step.key) and self.cluster.serves(step.key):
            self.index.brought(answer)
        if not is_builtin(step.key.group) and not is_own_kind(step.key):
            self._made_at = asyncio.get_running_loop().time() + MADE_OF_IT
        if self.spec.is_release(step.key):
            self.repository.reached(step.key)
            self.index.update(step.key, without_managed_fields(answer))
            self.wanted.claims.reached(self.owner.claimant, step.key)

    async def _until_served(self, key: ObjectKey, crd: Manifest) -> None:
        try:
            await wait_ready(self.cluster, WaitFor({key: crd}, labels="", timeout=CRD_TIMEOUT), Interrupt())
        except (NotReadyInTime, ObjectFailed) as error:
            self.report.not_ready(error)
        finally:
            self._served.add(key)

    async def _settle_releases(self, releases: Sequence[ObjectKey]) -> None:
        """Follow the commit's releases, from when they have been applied."""
        await self._tried.all_of(releases)
        with reporting(_passed_on(self._outside, news_only=True)):
            async with telling(lambda: self._unsettled(releases)):
                await self._releases.follow(self.spec.settle_timeout, self.hopeless or self._in_vain)
        outcomes = Outcomes(self.index)
        self._waited = [key for key in releases if outcomes.of(key).phase == "waiting"]

    def _unsettled(self, releases: Iterable[ObjectKey]) -> str:
        """The first releases that are waited for; of those that have failed so far, why: others say something else at
        every moment."""
        outcomes = Outcomes(self.index)
        left = [key for key in releases if key in self.applied and outcomes.of(key).phase in ("moving", "waiting")]
        ready = {key: ready_of(self.index.manifest(key)) for key in left[:_TOLD]}
        texts = {key: f": {it.get('message')}" if it.get("status") == FALSE else "" for key, it in ready.items()}
        return listed((f"{key}{texts.get(key, '')}" for key in left), _TOLD)

    async def _in_vain(self, index: ReleaseIndex, keys: Collection[ObjectKey]) -> bool:
        """Whether these releases, all that have not settled, lack what nothing of this commit brings any more: no
        release, no step, and no controller of a custom resource."""
        if self._busy:
            return False
        loop = asyncio.get_running_loop()
        if self._made_at > loop.time():
            loop.call_at(self._made_at, self._releases.look_again)
            return False
        # Those that have yet to be applied wait as well, for a release to bring what they lack.
        return await self._lacking.hopeless(index, keys, [key for key in keys if index.expects(key)])

    async def _settle(self, namespace: str, interrupt: Interrupt) -> None:
        """Wait until what was applied in a namespace is ready, or has failed."""
        steps = [step for step in self._steps if step.key.namespace == namespace]
        await self._over.all_of(step.key for step in steps)
        mine = [self._desired(step).key for step in steps]
        plain = {key: found for key in mine if (found := self.applied.get(key)) and self._is_waited_for(key, found)}
        want = WaitFor(plain, SYNC_LABEL, self.spec.settle_timeout, self.spec.readiness, on_health=self._judged)
        self._busy |= plain.keys()
        try:
            await wait_ready(self.cluster, want, interrupt)
        except (NotReadyInTime, ObjectFailed, MissingRight) as error:
            self.report.not_ready(error)
        self._busy -= plain.keys()
        self._releases.look_again()
        await self._releases.settled(key for key in mine if self.spec.is_release(key))
        self._settled.add(namespace)

    def _stands(self, step: Step) -> bool:
        if self.spec.is_root or not self.spec.waits or step.verdict != "unchanged":
            return False
        return not left_alone(step.desired.manifest, step.live)

    async def _settle_standing(self, interrupt: Interrupt) -> None:
        """Wait until what was as it should be before is ready, or has failed: for nothing that is pruned."""
        plain = {key: live for key, live in self._standing.items() if self._is_waited_for(key, live)}
        try:
            want = WaitFor(plain, SYNC_LABEL, self.spec.settle_timeout, self.spec.readiness)
            await wait_ready(self.cluster, want, interrupt)
        except (NotReadyInTime, ObjectFailed, MissingRight) as error:
            self.report.not_ready(error)

    def _is_waited_for(self, key: ObjectKey, manifest: Manifest) -> bool:
        """Of what is no release: not what nobody gives a status, nor what nobody looks at while it is suspended."""
        if is_own_kind(key) and (manifest.get("spec") or {}).get("suspend") is True:
            return False
        if not self.spec.waits or self.spec.is_release(key) or (self.spec.is_root and is_kustomization(key)):
            return False
        return bool(self.spec.cluster) or not (is_statusless(key) or (self.hopeless is not None and is_own_kind(key)))


def _passed_on(outside: Listener | None, *, news_only: bool = False) -> Listener:
    """Tells it to whoever asked for all of this, without a line: each object has one. Holds nothing else: timers that
    are set meanwhile keep it until their time, also when they are cancelled."""
    told = ""

    async def tell(reason: str) -> bool | None:
        nonlocal told
        if outside is None or (news_only and reason == told):
            return outside is not None
        told = reason
        again = await outside(reason)
        return news_only or again

    return tell


def _commit_for(step: Step, commit: CommitInfo) -> CommitInfo:
    """The commit to stamp: this one, but for an object that merely drifted the one that brought its content."""
    drifted = commit_of(step.live) if step.verdict == "drifted" and step.live is not None else None
    return drifted or commit
