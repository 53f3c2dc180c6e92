"""What an agent before this one has done for a commit and did not live to write down: it was killed in the middle. Its
log may have most of it; the journal has nothing, since that is written when a sync ends."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.names import FIELD_MANAGER
from gitsync.apply.deleted import find_all
from gitsync.diff import subset_differs
from gitsync.errors import GitsyncError
from gitsync.release.dependencies.states import commit_of
from gitsync.runtime.slices import in_slices
from gitsync.sync.plan import Step, SyncPlan
from gitsync.sync.reporting.report import Report
from gitsync.sync.spec import SyncSpec
from gitsync.sync.storage.history import DONE, JournalEntry
from gitsync.sync.storage.inventory import Inventory

if TYPE_CHECKING:
    from gitsync.cluster import Cluster


async def report_inherited(
    cluster: Cluster, spec: SyncSpec, plan: SyncPlan, before: Inventory, journal: Sequence[JournalEntry], report: Report
) -> None:
    """Report what of a plan has been carried out already, at the first sync of an agent. ``before`` is the inventory
    that it has found."""
    commit = plan.desired.commit.id
    if before.commit == commit:
        return  # that agent has come to the end of it
    told = [entry for entry in journal[:1] if entry.commit == commit]
    if any(entry.more for entry in told):
        return  # the journal had no room for all that it was told
    known = {change.object for entry in told for change in entry.changes if change.verb in DONE}
    applied = await in_slices(_applied(step, commit) for step in plan.steps if str(step.key) not in known)
    found = [it for it in applied if it is not None]
    report.unchanged(-len(found))
    # The status of a Kustomization does not say which of its objects Git has dropped.
    dropped = [
        entry
        for entry in plan.prune
        if (old := before.get(entry.key)) is not None and (not spec.is_root or commit in old.dropped)
    ]
    with suppress(GitsyncError):  # the deletions will say so
        left = await find_all(cluster, [entry.key for entry in dropped])
        found += [("deleted", it.key, it.origin) for it in dropped if it.key not in left and str(it.key) not in known]
    report.inherited(found)


def _applied(step: Step, commit: str) -> tuple[str, ObjectKey, str] | None:
    """What was done about an object, if that is all: it is as the commit wants it, and is marked with that."""
    live = step.live
    marked = commit_of(live) if live is not None and not step.refused else None
    if live is None or marked is None or marked.id != commit:
        return None
    if subset_differs({**step.desired.manifest, "apiVersion": live["apiVersion"]}, live):
        return None
    return "created" if _is_as_created(live) else "changed", step.key, str(step.desired.origin)


def _is_as_created(live: Manifest) -> bool:
    """Whether the agent has written to an object only once."""
    metadata = live["metadata"]
    ours = [it for it in metadata.get("managedFields") or () if it.get("manager") == FIELD_MANAGER]
    return bool(ours) and all(it.get("time") == metadata.get("creationTimestamp") for it in ours)
