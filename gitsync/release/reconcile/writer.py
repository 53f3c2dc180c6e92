"""The one place that writes the status of a HelmRelease, and the Events about it."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gitsync.api.helmrelease import ActionName
from gitsync.api.identity import Manifest
from gitsync.api.names import FIELD_MANAGER, LEFTOVERS_ANNOTATION, NOTES_FIELD_MANAGER
from gitsync.api.status import HelmReleaseStatus
from gitsync.apply.wait import version
from gitsync.logs import redact
from gitsync.release.dependencies.index import ReleaseIndex
from gitsync.release.leftovers import Leftover, noted
from gitsync.release.reconcile.request import ReconcileRequest, Subject
from gitsync.release.status.builder import StatusBuilder
from gitsync.release.status.events import cause_of, news
from gitsync.release.status.history import running
from gitsync.runtime.event import Event
from gitsync.runtime.progress import reporting

if TYPE_CHECKING:
    from gitsync.cluster import Cluster
    from gitsync.runtime.recorder import EventRecorder

#: Seconds between two status writes about the same wait.
REASON_INTERVAL = 5.0


@dataclass(frozen=True)
class StatusWriter:
    """Writes statuses made by a StatusBuilder. ``cluster`` is that of the HelmReleases; ``index`` gets each write at
    once."""

    cluster: Cluster
    index: ReleaseIndex
    events: EventRecorder

    async def write(self, subject: Subject, status: HelmReleaseStatus) -> bool:
        """Write the status if it has changed, and Events for what is news. Returns whether it was written.

        Raises: NotFound.
        """
        old = subject.status.old
        status = _redacted(status)
        changed = status.patch_from(old)
        if not changed:
            return False
        self._take_in(
            subject,
            await self.cluster.patch(subject.key, {"status": changed}, manager=FIELD_MANAGER, subresource="status"),
        )
        for event in news(old, status):
            self.tell(subject, event)
        return True

    async def note_leftovers(self, subject: Subject, leftovers: Collection[Leftover]) -> None:
        """Write the note of a HelmRelease's leftovers. Raises: NotFound."""
        body = {"metadata": {"annotations": {LEFTOVERS_ANNOTATION: noted(leftovers)}}}
        self._take_in(subject, await self.cluster.patch(subject.key, body, manager=NOTES_FIELD_MANAGER))

    def _take_in(self, subject: Subject, answer: Manifest) -> None:
        if version(answer) > version(subject.manifest):  # writes may overlap: a status, and an action's first steps
            subject.manifest = answer
        self.index.update(subject.key, answer)

    def tell(self, subject: Subject, event: Event) -> None:
        """Have an Event written about the HelmRelease, with the commit added to its message."""
        commit = subject.commit
        self.events.record(subject.manifest, replace(event, cause=cause_of(commit), commit=commit))

    def progress(
        self,
        request: ReconcileRequest,
        action: ActionName,
        say: Callable[[StatusBuilder, str], HelmReleaseStatus] = StatusBuilder.progressing,
    ) -> AbstractContextManager[None]:
        """During the body, log each new reason to wait, and write the newest to the status at intervals, by ``say``."""
        message = running(action, request.release.spec.timeout_of(action))
        logged, written = "", 0.0

        async def report(reason: str) -> bool:
            nonlocal logged, written
            if reason != logged:
                logged = reason
                request.log.info("waiting", **{"for": reason})
            if time.monotonic() - written < REASON_INTERVAL:
                return True
            written = time.monotonic()
            await self.write(request, say(request.status, f"{message}; waiting for {reason}"))
            return False

        return reporting(report)


def _redacted(status: HelmReleaseStatus) -> HelmReleaseStatus:
    """The status, with secrets masked in the messages of its conditions."""
    said = tuple(item.model_copy(update={"message": redact(item.message)}) for item in status.conditions)
    return status.model_copy(update={"conditions": said})
