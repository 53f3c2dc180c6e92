"""Bringing an old revision of a release back, out of Helm's records."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from gitsync.cel.expressions import Expressions
from gitsync.errors import NotReadyInTime, ReleaseError
from gitsync.live.wishes import present_wishes
from gitsync.release.action.deploy import Deployer
from gitsync.release.action.options import deploy_options
from gitsync.release.desired import ref_of
from gitsync.release.reconcile.remediation import mismatch
from gitsync.release.revision import Deployed, ReleaseRef, RevisionContent, content_of
from gitsync.release.status.history import DIGEST_VERSION
from gitsync.release.storage.record import TESTS, Record, Summary
from gitsync.release.wanted.releaseclaims import ReleaseClaims
from gitsync.runtime.fairslots import FairSlots
from gitsync.runtime.progress import Report, reporting

if TYPE_CHECKING:
    from gitsync.api.helmrelease import HelmRelease
    from gitsync.cluster import Cluster
    from gitsync.release.storage.recordstore import RecordStore
    from gitsync.runtime.interrupt import Interrupt

#: Statuses of a revision that was once good.
_GOOD = ("deployed", "superseded")
_NO_WAY_BACK = ("uninstalled", "uninstalling", "unknown")


def choose(ref: ReleaseRef, revisions: Sequence[Summary], wanted: int) -> Summary:
    """The revision to go back to: ``wanted``, or for 0 the last good one before the present (Helm takes the one before,
    good or not). ``revisions`` are all there are, oldest first.

    Raises: ReleaseError when there is no such revision, or it cannot be gone back to now.
    """
    if not revisions:
        raise ReleaseError(f"{ref} has no revision to roll back to: nothing was installed", action="rollback")
    *before, latest = revisions
    if latest.pending:
        message = f"another operation is in progress on {ref}: revision {latest.version} is {latest.status}"
        raise ReleaseError(message, action="rollback", hint="wait for its end: gitsync get helmreleases -w")
    if not wanted:
        good = [item for item in before if item.status in _GOOD and item.annotations.get(TESTS) != "Failed"]
        if not good:
            raise ReleaseError(f"{ref} has no good revision before {latest.version}", action="rollback")
        return good[-1]
    found = next((item for item in revisions if item.version == wanted), None)
    if found is None:
        kept = ", ".join(str(item.version) for item in revisions)
        raise ReleaseError(f"{ref} has no revision {wanted}", action="rollback", hint=f"it has {kept}")
    if found.status in _NO_WAY_BACK or (found is latest and found.status == "deployed"):
        raise ReleaseError(f"revision {wanted} of {ref} is {found.status}: nothing to roll back to", action="rollback")
    return found


async def read_unchanged(store: RecordStore, release: HelmRelease, revision: int) -> Record:
    """An old revision. Raises: ReleaseError when its record is not what the agent has written; RecordError."""
    ref = ref_of(release)
    past = await store.read(ref.storage, ref.name, revision)
    known = [item for item in release.status.history if (item.version, item.api_version) == (revision, DIGEST_VERSION)]
    if known and (why := mismatch(past, known[0].digest)):
        hint = f"choose another one, or look at it: helm get all {ref.name} -n {ref.storage} --revision {revision}"
        raise ReleaseError(f"revision {revision} of {ref} is not rolled back to: {why}", action="rollback", hint=hint)
    return past


async def bring_back(
    cluster: Cluster,
    store: RecordStore,
    release: HelmRelease,
    past: Record,
    interrupt: Interrupt,
    limit: float | None,
    tell: Report,
) -> Deployed:
    """Make a new revision with the content of an old one, as ``helm rollback`` and the agent itself do.

    ``limit`` is in seconds, None for what spec.rollback says; ``tell`` is told what is waited for.

    Raises: ObjectTaken when the old revision had an object that somebody else has by now; ReleaseError, Superseded when
    interrupted, with the new revision failed; RetryableError, Forbidden.
    """
    ref = ref_of(release)
    content = await asyncio.to_thread(content_of, past)

    async def render(number: int) -> RevisionContent:
        return content

    claims = ReleaseClaims(await present_wishes(cluster), release)
    deployer = Deployer(cluster, store, FairSlots(1, "releases"))
    try:
        async with Expressions() as expressions:
            options = deploy_options(release, "rollback", "by hand", expressions, claims.others, claims.claim)
            options = replace(options, timeout=limit) if limit else options
            with reporting(tell):
                return await deployer.deploy(ref, "rollback", render, options, interrupt)
    except NotReadyInTime as error:
        error.hint = error.hint or "the old content is applied, and may become ready later; gitsync tree shows it"
        raise
