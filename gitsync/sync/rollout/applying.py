"""Applies a plan's objects, each as soon as what it needs is there. A step that cannot be taken yet counts as tried,
and the others go on: its kind is still to be installed, say, or its predecessor is still being deleted, or a release
has yet to let go of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from gitsync.api import drop_nulls
from gitsync.api.identity import CommitInfo, Manifest, ObjectKey, without_managed_fields
from gitsync.api.kinds import defined_kind, is_release
from gitsync.api.names import FIELD_MANAGER
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
    NotFound,
    NotReadyInTime,
    ObjectFailed,
    OwnedByAnother,
    WebhookUnavailable,
)
from gitsync.logs import Once
from gitsync.manifests import DesiredObject
from gitsync.release.dependencies.places import edge_origins
from gitsync.release.dependencies.states import commit_of
from gitsync.release.values.lines import lines_written
from gitsync.release.wanted.syncclaims import SyncClaims
from gitsync.runtime.fairslots import FairSlots, Slot
from gitsync.runtime.interrupt import Interrupt
from gitsync.runtime.progress import reporting, telling
from gitsync.runtime.together import as_one
from gitsync.sync.default_namespace import with_namespace
from gitsync.sync.owner import Owner, stamped
from gitsync.sync.plan import Step
from gitsync.sync.policy import is_forced
from gitsync.sync.reporting.timeline import APPLY, TAKEN_UP, Turn
from gitsync.sync.rollout.course import Course, passed_on
from gitsync.sync.rollout.holders import Holders
from gitsync.sync.rollout.unanswered import Write
from gitsync.text import listed

if TYPE_CHECKING:
    from gitsync.sources.resolve.artifacts import SyncedRepository

T = TypeVar("T")
#: Seconds for the predecessor of an object, which is being deleted, to be gone.
GONE_TIMEOUT = 60.0
#: How many of the objects that wait are named.
_TOLD = 2
#: Errors that may end when a release of the same commit brings what is missing: a kind, a namespace, the server of a
#: webhook.
_MAY_COME = (KindUnknown, NotFound, WebhookUnavailable)


@dataclass
class Applying:
    """Applies the objects of one ``course``. ``judge``, ``on_applied`` and ``on_sent`` are described at Rollout.
    ``emptied``: the namespace of an object had gone, and was made again."""

    course: Course
    owner: Owner
    wanted: SyncClaims
    repository: SyncedRepository
    slots: FairSlots
    judge: Callable[[DesiredObject], Awaitable[Step]]
    on_applied: Callable[[], None]
    on_sent: Callable[[], None]
    emptied: bool = False

    def __post_init__(self) -> None:
        course = self.course
        self._cluster, self._spec, self._report = course.cluster, course.spec, course.report
        self._applier = Applier(course.cluster, FIELD_MANAGER, OWNERS)
        self._kinds = {kind[:2]: step.key for step in course.steps if (kind := defined_kind(step.desired.manifest))}
        self._holders = Holders(course.index, self.wanted, course.releases)
        self._once = Once()
        #: By object that cannot be applied yet: what it waits for.
        self._waits: dict[ObjectKey, str] = {}

    async def run(self, arrived: Callable[[ObjectKey], None], interrupt: Interrupt) -> None:
        """Apply all; ``arrived`` is called for each step that has been dealt with. Raises: ClusterUnavailable and other
        RetryableErrors, with the rest given up; Superseded."""
        try:
            await self._take_stages(arrived, interrupt)
        finally:
            self.wanted.took(self.course.applied)  # all at once: each call has the syncs that kept some look
        self.on_sent()
        if not self._report.counts["failed"]:
            self.on_applied()

    async def _take_stages(self, arrived: Callable[[ObjectKey], None], interrupt: Interrupt) -> None:
        async with as_one() as tasks:
            for stage in self.course.plan.stages:
                interrupt.check()
                self.course.busy |= {step.key for step in stage}
                for step in stage:
                    self._report.timeline.turn(step.key, APPLY)
                for step in stage:
                    # The slot is waited for before the task is made: there may be thousands of steps.
                    slot = None if self._has_to_wait(step) else await self.slots.take(self.owner)
                    task = tasks.create_task(self._take(step, slot, arrived))
                    if slot is not None:
                        task.add_done_callback(slot.give_back)
                await self.course.tried.all_of(step.key for step in stage)

    async def _take(self, step: Step, slot: Slot | None, arrived: Callable[[ObjectKey], None]) -> None:
        try:
            await self._until_applied(step, slot)
        finally:
            for reached in (self.course.tried, self.course.over, self.course.served):
                reached.add(step.key)
            arrived(step.key)
            self.course.note_idle(step)

    def _has_to_wait(self, step: Step) -> bool:
        """Whether a step has to wait for others before it needs a slot."""
        return step.holder is not None or (step.key.group, step.key.kind) in self._kinds

    async def _until_applied(self, step: Step, slot: Slot | None) -> None:
        """Apply one object, as soon as it can be; ``slot`` is for the first try. Its failure does not stop the
        others."""
        if (definition := self._kinds.get((step.key.group, step.key.kind))) is not None:
            self.course.tried.add(step.key)
            self._report.timeline.turn(step.key, Turn("wait", f"for {definition}, which defines its kind"))
            await self.course.served.all_of([definition])
            self._report.timeline.turn(step.key, APPLY)
        todo: Step | None = step
        try:
            while todo is not None:
                seen = self.course.releases.changes
                try:
                    await self._until_let_go(todo)
                    given, slot = slot, None
                    todo = await self._apply(todo, given or await self.slots.take(self.owner), looked=todo is not step)
                except _MAY_COME as error:
                    if not await self._waiting(step, error.message, self.course.releases.changed_since(seen)):
                        raise
                    if isinstance(error, KindUnknown):  # discovery shows a kind that was just brought a little later
                        version = step.desired.manifest["apiVersion"].rpartition("/")[2]
                        await await_kind(self._cluster, step.key.group, step.key.kind, version, JUST_BROUGHT)
                        await self._place(step)
        except (ApiError, NotReadyInTime, OwnedByAnother, WebhookUnavailable) as error:
            self._report.failed(self.course.desired(step).key, error, str(step.desired.origin))
            self._report.timeline.turn(step.key, None)

    async def _place(self, step: Step) -> None:
        """Find the namespace of an object whose kind has come: the kind says whether it needs one."""
        with suppress(KindUnknown):
            found = await with_namespace(step.desired, self._cluster, self._spec.default_namespace)
            if found.key != step.key:
                self.course.placed[step.key] = found

    async def _until_let_go(self, step: Step) -> None:
        """Return when no release has the object any more. Raises: OwnedByAnother when a release goes on wanting it."""
        while step.holder is not None and (hold := await self.wanted.take(step.key)) is not None:
            if (error := self._holders.error(hold)) is not None:
                raise error
            await self._waiting(step, hold.told, self._holders.change(hold))

    async def _waiting(self, step: Step, why: str, change: Awaitable[T]) -> T:
        """Wait for the ``change`` that lets a step go on; the others go on meanwhile."""
        self.course.tried.add(step.key)
        self.on_sent()
        if not self.course.releases.all_settled and self._once.is_news(why):
            origin = str(step.desired.origin)
            self._report.repeated("info", "object has to wait", object=str(step.key), why=why, origin=origin)
        self.course.note_idle(step)
        self._report.timeline.turn(step.key, Turn("wait", why))
        self._waits[step.key] = why
        try:
            with reporting(passed_on(self.course.outside)):
                async with telling(self._why_waiting):
                    return await change
        finally:
            self._waits.pop(step.key, None)
            self.course.busy.add(step.key)
            self._report.timeline.turn(step.key, APPLY)

    def _why_waiting(self) -> str:
        """What the first of the objects that cannot be applied yet wait for."""
        return listed((f"{key}: {why}" for key, why in self._waits.items()), _TOLD)

    async def _apply(self, step: Step, slot: Slot, *, looked: bool) -> Step | None:
        """Apply one object. Returns the step to take in its place when the object is there already, and was not
        ``looked`` at."""
        desired, live = self.course.desired(step), step.live
        wanted, origin = desired.manifest, desired.origin
        commit = _commit_for(step, self._report.commit)
        with slot:
            values_origin = await asyncio.to_thread(lines_written, step.desired) if is_release(step.key) else ""
            if self._spec.ignore and (newest := await self._cluster.find(desired.key)) is not None:
                # The plan may be minutes old, and others write to the object meanwhile.
                live, wanted = newest, tolerating(wanted, newest, self._spec.ignore)
            marks = edge_origins(desired), self._spec.works_on(desired.key), values_origin
            manifest = drop_nulls(stamped(wanted, self.owner, commit, origin, *marks))
            self.wanted.about_to_write(desired.key, self._report.commit.id)
            with self.course.unanswered.sending(self._write(step, commit, live)):
                applied = await self._put(manifest, live, is_new=live is None and not looked)
        if applied is None:
            return await self._instead_of(step)
        while "deletionTimestamp" in applied.object["metadata"]:
            # What is applied to an object that is being deleted is lost with it.
            self.course.tried.add(step.key)
            await wait_deleted(self._cluster, [desired.key], GONE_TIMEOUT)
            async with self.slots.held(self.owner):
                with self.course.unanswered.sending(self._write(step, commit, None)):
                    applied = await self._applier.send(manifest, None)
        if applied.created and step.was_there and (desired.key.group, desired.key.kind) == ("", "Namespace"):
            self._emptied(desired.key.name)
        self._note(step, applied)
        if defined_kind(step.desired.manifest):
            self.course.tried.add(step.key)
            await self._until_served(step.key, applied.object)
        return None

    def _write(self, step: Step, stamp: CommitInfo, live: Manifest | None) -> Write:
        why = step.why if live is not None else ""
        key, origin = self.course.desired(step).key, str(step.desired.origin)
        return Write(key, self._report.commit, live, origin, why, stamp.id)

    def _emptied(self, namespace: str) -> None:
        """A Namespace was made again. Other syncs will apply again what has gone with the old one; Helm releases do
        not do so by themselves, which is warned of."""
        self.emptied = True
        for release in filter(None, (other.release for other in self.wanted.emptied(namespace))):
            if release.namespace != namespace:  # otherwise the HelmRelease itself was in it
                where = {"release": release.namespaced_name, "namespace": namespace}
                hint = f"gitsync reconcile helmrelease {release.name} -n {release.namespace} --force"
                self._report.repeated(
                    "warning", "objects of a release have gone with their namespace", hint=hint, **where
                )

    async def _put(self, manifest: Manifest, live: Manifest | None, *, is_new: bool) -> Applied | None:
        """Create or change an object. None when it was taken for new, and is there already. One that is being
        deleted, and therefore refuses the change (no finalizer can be put on it, say), is returned as it is."""
        try:
            return await (self._made(manifest) if is_new else self._sent(manifest, live))
        except ApiError as error:
            with suppress(ApiError):
                found = await self._cluster.find(ObjectKey.of(manifest))
                if found is not None and "deletionTimestamp" in found["metadata"]:
                    return Applied(found)
            raise error

    async def _made(self, manifest: Manifest) -> Applied | None:
        """Create an object; None when it is there already."""
        try:
            answer = await self._cluster.apply(storable(manifest), manager=FIELD_MANAGER, new=True, repeatable=True)
        except AlreadyExists:
            return None
        except Invalid:  # perhaps it is there, and only the two together are invalid
            if await self._cluster.find(ObjectKey.of(manifest)) is None:
                raise
            return None
        return Applied(answer, created=True)

    async def _instead_of(self, step: Step) -> Step | None:
        """The step to take about an object that is there already; None when nothing is to be done.

        Raises: OwnedByAnother.
        """
        found = await self.judge(self.course.desired(step))
        if found.refused:
            raise OwnedByAnother(found.why)
        if not found.applies:
            self._report.unchanged(1)
            self._report.timeline.turn(step.key, None)
            return None
        return replace(found, desired=step.desired)

    async def _sent(self, manifest: Manifest, live: Manifest | None) -> Applied:
        answer = Applied(manifest)

        async def put(item: Manifest) -> Manifest:
            nonlocal answer, live
            found, live = live, None  # at a second call it has been deleted
            answer = await self._applier.send(item, found)
            return answer.object

        force = Force(self._spec.force or is_forced(manifest), self._spec.force_setting, GONE_TIMEOUT)
        await Recreating(self._cluster, put, force).apply(manifest)
        return answer

    def _note(self, step: Step, applied: Applied) -> None:
        key, live, answer, origin = self.course.desired(step).key, step.live, applied.object, str(step.desired.origin)
        if applied.created:
            self._report.done("created", key, origin)
        elif live is None:
            self._report.done("changed", key, origin, "adopted: was in the cluster already")
        elif answer["metadata"]["resourceVersion"] != live["metadata"]["resourceVersion"]:
            self._report.done("changed", key, origin, step.why)
        else:
            self._report.unchanged(1)
        self.course.note(key, answer)
        self._report.timeline.turn(step.key, TAKEN_UP if step.key in self.course.followed else None)
        if self._spec.is_kustomization(step.key) and self._cluster.serves(step.key):
            self.course.index.brought(answer)
        if self._spec.is_release(step.key):
            self.repository.reached(step.key)
            self.course.index.update(step.key, without_managed_fields(answer))
            self.wanted.claims.reached(self.owner.claimant, step.key)

    async def _until_served(self, key: ObjectKey, crd: Manifest) -> None:
        try:
            await wait_ready(self._cluster, WaitFor({key: crd}, labels="", timeout=CRD_TIMEOUT), Interrupt())
        except (NotReadyInTime, ObjectFailed) as error:
            self._report.not_ready(error)
        finally:
            self.course.served.add(key)


def _commit_for(step: Step, commit: CommitInfo) -> CommitInfo:
    """The commit to stamp an object with: this one, or if the object has merely drifted, the one that brought its
    content."""
    drifted = commit_of(step.live) if step.verdict == "drifted" and step.live is not None else None
    return drifted or commit
