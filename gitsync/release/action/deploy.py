"""The actions that bring a release's content into the cluster: install, upgrade, rollback, and resuming one of these.

The order is Helm's (pkg/action/install.go, upgrade.go): a pending record first, then CRDs, the objects in install
order, what the new manifest no longer holds, the wait, and the record's last word. Whatever moment the process is
killed at, the pending record says what was under way, and ``resume`` goes on from there in the same revision.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.names import HELM_FIELD_MANAGER
from gitsync.apply.applier import Applier
from gitsync.apply.crds import apply_crds, create_crds
from gitsync.apply.delete import Deletion, give_up
from gitsync.apply.deleted import find_all
from gitsync.apply.fieldmanagers import OWNERS
from gitsync.apply.namespaces import fill_namespaces, served, served_keys
from gitsync.apply.ownership import HELM_OBJECTS, belongs_to, is_marked
from gitsync.apply.wait import WaitFor, wait_ready
from gitsync.diff import subset_differs
from gitsync.errors import (
    PASSING,
    GitsyncError,
    KindUnknown,
    MissingRight,
    NamespaceTerminating,
    NotFound,
    QuotaExceeded,
    ReleaseNotAllowed,
    RetryableError,
    Superseded,
    TerminalError,
)
from gitsync.release.action.apply_revision import RevisionApplier, manner_of
from gitsync.release.action.hooks import HookFailed, HookRun, Hooks, events_of, hook_objects
from gitsync.release.action.inventory import crds_of, inventory
from gitsync.release.action.resource_conflicts import refuse_conflicts
from gitsync.release.action.takeover import History
from gitsync.release.delta import Delta, delta
from gitsync.release.revision import (
    ActionOptions,
    DeployAction,
    Deployed,
    ReleaseRef,
    RevisionContent,
    apply_method,
    objects_of,
)
from gitsync.release.storage.record import (
    CHART_DIGEST,
    FAILURE,
    VALUES_DIGEST,
    Record,
    Status,
    timestamp,
)
from gitsync.release.storage.recordstore import RecordStore
from gitsync.runtime.fairslots import FairSlots

if TYPE_CHECKING:
    from gitsync.cluster import Cluster
    from gitsync.runtime.interrupt import Interrupt

_PENDING: dict[DeployAction, Status] = {
    "install": "pending-install",
    "upgrade": "pending-upgrade",
    "rollback": "pending-rollback",
}
_BEGUN: dict[DeployAction, str] = {"install": "Initial install underway", "upgrade": "Preparing upgrade"}


class Deployer:
    """Carries out these actions. ``slots`` bounds how many releases are applied at once; none is held while waiting."""

    def __init__(self, cluster: Cluster, records: RecordStore, slots: FairSlots) -> None:
        self._cluster = cluster
        self._records = records
        self._slots = slots
        self._applier = Applier(cluster, HELM_FIELD_MANAGER, OWNERS)
        self._hooks = Hooks(cluster, self._applier)

    async def deploy(
        self,
        ref: ReleaseRef,
        verb: DeployAction,
        render: Callable[[int], Awaitable[RevisionContent]],
        options: ActionOptions,
        interrupt: Interrupt,
    ) -> Deployed:
        """Make a new revision. ``render(revision)`` makes its content.

        Raises: Superseded before anything was changed; a RetryableError with the record left pending, to be resumed;
        any other error with the record failed.
        """
        # Before a slot is taken: templates are foreign code, and may take long.
        revision = self._next_revision(ref)
        content = await interrupt.guard(render(revision))
        async with self._slots.held(options.owner(ref)):
            if self._next_revision(ref) != revision:
                raise RetryableError(f"release {ref} got another revision while it was rendered")
            before = await self._records.in_cluster(ref.storage, ref.name)
            await self._claim(ref, verb, content, options)
            if not options.take_ownership:
                past = [item for record in before for item in await asyncio.to_thread(objects_of, record)]
                await refuse_conflicts(self._cluster, ref, content.objects, past, verb)
            method = apply_method(options.server_side, content, before)
            pending = replace(_pending_record(ref, verb, revision, content, before), apply_method=method)
            if options.create_namespace:
                await self._create_namespace(ref.namespace)
            pending = await self._records.create(pending, ref.storage)
            await self._trim(ref, options.max_history)
        return await self._carry_out(ref, pending, content, before, options, interrupt, resumed=False)

    def _next_revision(self, ref: ReleaseRef) -> int:
        latest = self._records.latest(ref.storage, ref.name)
        return latest.version + 1 if latest else 1

    async def resume(
        self,
        ref: ReleaseRef,
        render: Callable[[int], Awaitable[RevisionContent]],
        options: ActionOptions,
        interrupt: Interrupt,
    ) -> Deployed:
        """Go on with the pending revision that this agent left behind."""
        latest = self._records.latest(ref.storage, ref.name)
        if latest is None:
            raise RetryableError(f"the pending record of {ref} has gone meanwhile")
        *before, pending = await self._records.in_cluster(ref.storage, ref.name)
        content = await interrupt.guard(render(latest.version))
        await self._claim(ref, pending.status.removeprefix("pending-"), content, options)
        return await self._carry_out(ref, pending, content, before, options, interrupt, resumed=True)

    async def confirm(self, ref: ReleaseRef, verb: DeployAction, options: ActionOptions) -> Record | None:
        """If all objects of a revision that was not ready in time have become ready since, record it as deployed; else
        None."""
        *before, failed = await self._records.in_cluster(ref.storage, ref.name)
        objects = await asyncio.to_thread(objects_of, failed)
        objects = await fill_namespaces(self._cluster, objects, ref.namespace)
        found = await find_all(self._cluster, map(ObjectKey.of, objects))
        for manifest in objects:
            live = found.get(ObjectKey.of(manifest))
            if live is None or subset_differs(manifest, live):
                return None
            if (await options.readiness.health(live)).status != "ready":
                return None
        annotations = {name: value for name, value in failed.annotations.items() if name != FAILURE}
        late = failed.now(_PENDING[verb], f"{verb.capitalize()} complete", annotations=annotations)
        return await self._finish(ref, late, before, options)

    async def found(self, ref: ReleaseRef, record: Record) -> Deployed:
        """A revision that is deployed already, in the form of a result of ``deploy``. Changes nothing."""
        objects = await asyncio.to_thread(objects_of, record)
        crds = await asyncio.to_thread(crds_of, record)
        present = await served(self._cluster, objects, ref.namespace)
        return Deployed(record, delta(present, present), inventory([*crds, *present]))

    async def unlock(self, ref: ReleaseRef, why: str) -> None:
        """Mark a pending revision that nobody works on as failed."""
        latest = self._records.latest(ref.storage, ref.name)
        if latest is not None and latest.pending:
            record = await self._records.read(ref.storage, ref.name, latest.version)
            await self._records.update(record.now("failed", why), ref.storage)

    async def _claim(self, ref: ReleaseRef, verb: str, content: RevisionContent, options: ActionOptions) -> None:
        """Raises: ObjectTaken."""
        hooks = await hook_objects(content.hooks, events_of(verb)) if options.hooks else ()
        objects = await served_keys(self._cluster, content.objects, ref.namespace)
        await options.claim(objects, await served_keys(self._cluster, hooks, ref.namespace))

    async def _carry_out(
        self,
        ref: ReleaseRef,
        pending: Record,
        content: RevisionContent,
        before: Sequence[Record],
        options: ActionOptions,
        interrupt: Interrupt,
        *,
        resumed: bool,
    ) -> Deployed:
        good = self._records.last_good(ref.storage, ref.name)
        manner = manner_of(pending, before, options, good=good, resumed=resumed)
        revision_applier = RevisionApplier(self._cluster, ref, pending.version, manner)
        try:
            crds = await self._apply_crds(ref, content, options, interrupt)
            pending = await self._run_hooks("pre", ref, pending, options, interrupt)
            objects, change = await self._apply(revision_applier, ref, pending, content, before, options)
            if not resumed:  # else objects that were created before the interruption would be missing
                change = change.having_created(revision_applier.created)
            if options.wait:
                want = WaitFor(objects, HELM_OBJECTS, options.timeout, readiness=options.readiness)
                await wait_ready(self._cluster, want, interrupt)
            pending = await self._run_hooks("post", ref, pending, options, interrupt)
        except (MissingRight, QuotaExceeded, NamespaceTerminating) as error:
            # For want of a right, the record stays pending, and the revision is resumed once we may.
            action = pending.status.removeprefix("pending-")
            raise ReleaseNotAllowed(error.message, action=action, hint=error.hint) from error
        except (KindUnknown, NotFound, *PASSING) as error:
            raise RetryableError(error.message, hint=error.hint) from error
        except (Superseded, TerminalError) as error:
            if isinstance(error, HookFailed):
                pending = replace(pending, hooks=error.hooks)
            annotations = {**pending.annotations, FAILURE: type(error).__name__}
            failed = pending.now("failed", _failure(pending, error), annotations=annotations)
            await self._records.update(failed, ref.storage)
            if not isinstance(error, Superseded):
                await revision_applier.clean_up()
            raise
        await options.leftovers.forget(objects)
        held = inventory([*crds, *objects.values()])
        return Deployed(await self._finish(ref, pending, before, options), change, held)

    async def _run_hooks(
        self,
        when: Literal["pre", "post"],
        ref: ReleaseRef,
        pending: Record,
        options: ActionOptions,
        interrupt: Interrupt,
    ) -> Record:
        event = f"{when}-{pending.status.removeprefix('pending-')}"
        if not options.hooks or not any(event in hook.get("events", ()) for hook in pending.hooks):
            return pending
        run = HookRun(event, ref, options.timeout, pending.client_side, options.wanted_by, options.release)
        return replace(pending, hooks=await self._hooks.run(pending.hooks, run, interrupt))

    async def _apply(
        self,
        revision_applier: RevisionApplier,
        ref: ReleaseRef,
        pending: Record,
        content: RevisionContent,
        before: Sequence[Record],
        options: ActionOptions,
    ) -> tuple[dict[ObjectKey, Manifest], Delta]:
        async with self._slots.held(options.owner(ref)):
            objects = await fill_namespaces(self._cluster, content.objects, ref.namespace)
            earlier = await self._history(before, ref.namespace)
            hooks = await served_keys(self._cluster, await hook_objects(content.hooks), ref.namespace)
            change = delta([versions[-1] for versions in earlier.versions.values()], objects, content.crds, hooks)
            applied = await revision_applier.apply(objects, earlier)
            if pending.status != "pending-rollback":  # a rollback only restores, and does not decide about leftovers
                left = await options.leftovers.delete(self._cluster, held={*applied, *hooks})
                revision_applier.tell(left)
                change = change.without(left.handed_over)
            deletion = await revision_applier.remove(change.removed, applied)
            become_hooks = await options.leftovers.add(self._cluster, str(ref), deletion, change.hooks)
            revision_applier.tell(
                Deletion(kept=dict.fromkeys(become_hooks, f"is a hook of revision {pending.version}"))
            )
        removed = tuple(item for item in change.removed if ObjectKey.of(item) in deletion.deleted)
        return applied, replace(change, removed=removed, kept=(*change.kept, *deletion.kept, *become_hooks))

    async def _history(self, records: Sequence[Record], namespace: str) -> History:
        found = History()
        for record in records:
            objects = await asyncio.to_thread(objects_of, record)
            # Objects of a kind that is not served any more are gone with their kind.
            for item in await served(self._cluster, objects, namespace):
                found.add(record.version, item)
        return found

    async def _apply_crds(
        self, ref: ReleaseRef, content: RevisionContent, options: ActionOptions, interrupt: Interrupt
    ) -> Sequence[Manifest]:
        """Apply the CRDs of the chart's ``crds/`` by the CRD policy. Returns those that are in the cluster
        afterwards."""
        if not content.crds:
            return ()
        rendered = set(map(ObjectKey.of, content.objects))
        crds = [crd for crd in content.crds if ObjectKey.of(crd) not in rendered]  # those are the release's own

        def is_ours(live: Manifest) -> bool:
            return belongs_to(live, ref.name, ref.namespace)

        # Definitions that were in the templates before have no owner from now on: take our marks off. (The marks of
        # others are theirs to take off.)
        present = await find_all(self._cluster, map(ObjectKey.of, crds))
        await give_up(self._cluster, [key for key, live in present.items() if is_ours(live)], is_ours)
        if options.crds == "Skip":
            return [crd for crd in content.crds if ObjectKey.of(crd) in present or ObjectKey.of(crd) in rendered]
        absent = [crd for crd in crds if ObjectKey.of(crd) not in present]
        await create_crds(self._cluster, HELM_FIELD_MANAGER, absent, interrupt)
        if options.crds == "CreateReplace":
            # Many charts have the same definition: do not take it from an owner that goes on wanting it.
            marked = [key for key, live in present.items() if is_marked(live) and not is_ours(live)]
            others = await options.wanted_by(marked) if marked else {}
            owned = {key for key, other in others.items() if not other.why_kept}
            replaced = [crd for crd in crds if (key := ObjectKey.of(crd)) in present and key not in owned]
            await apply_crds(self._cluster, self._applier, replaced, interrupt)
        return content.crds

    async def _create_namespace(self, namespace: str) -> None:
        """As ``helm install --create-namespace`` does, label included (action/install.go)."""
        metadata = {"name": namespace, "labels": {"name": namespace}}
        manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
        if await self._cluster.find(ObjectKey.of(manifest)) is None:
            await self._applier.apply(manifest)

    async def _finish(
        self, ref: ReleaseRef, pending: Record, before: Sequence[Record], options: ActionOptions
    ) -> Record:
        for record in before:
            if record.status == "deployed":
                await self._records.update(record.now("superseded", record.description), ref.storage)
        deployed = pending.now("deployed", _success(pending, options.cause))
        await self._records.update(deployed, ref.storage)
        return deployed

    async def _trim(self, ref: ReleaseRef, most: int) -> None:
        """Delete the oldest revisions beyond ``most``, but never the one that is deployed, nor the one under way."""
        known = self._records.revisions(ref.storage, ref.name)
        surplus = max(0, len(known) - most) if most > 0 else 0
        past = [item.version for item in known if item.status != "deployed" and not item.pending]
        await self._records.delete_all(ref.storage, ref.name, past[:surplus])


def _pending_record(
    ref: ReleaseRef, verb: DeployAction, revision: int, content: RevisionContent, before: Sequence[Record]
) -> Record:
    now = timestamp()
    return Record(
        name=ref.name,
        namespace=ref.namespace,
        version=revision,
        status=_PENDING[verb],
        description=_BEGUN.get(verb) or f"Rollback to {content.of_revision}",
        chart=content.chart,
        config=content.config,
        manifest=content.manifest,
        hooks=content.hooks,
        notes=content.notes,
        first_deployed=before[-1].first_deployed if before else now,
        last_deployed=now,
        annotations={CHART_DIGEST: content.digests.chart, VALUES_DIGEST: content.digests.values},
    )


def _success(record: Record, cause: str) -> str:
    # A rollback keeps the words that it began with, for they name the revision (action/rollback.go).
    text = {"pending-install": "Install complete", "pending-upgrade": "Upgrade complete"}.get(
        record.status, record.description
    )
    return f"{text} ({cause})" if cause else text


def _failure(record: Record, error: GitsyncError) -> str:
    verb = "Upgrade" if record.status == "pending-upgrade" else "Release"
    if isinstance(error, Superseded):
        return f'{verb} "{record.name}" interrupted: {error.message}'
    return f'{verb} "{record.name}" failed: {error.message}'
