"""Reports that somebody else has changed a release (by the helm CLI, say), before that is undone."""

from __future__ import annotations

import asyncio
from typing import Any

from gitsync.api.names import RELEASE_CHANGED
from gitsync.logs import Once
from gitsync.release.reconcile.facts import Facts, holders_of
from gitsync.release.reconcile.request import ReconcileRequest
from gitsync.release.reconcile.state import State, state_of
from gitsync.release.reconcile.writer import StatusWriter
from gitsync.release.storage.record import HOLDER, Record, checksum
from gitsync.runtime.event import Event


class ForeignChanges:
    """Reports each change once."""

    def __init__(self, writer: StatusWriter, once: Once) -> None:
        self._writer = writer
        self._once = once

    async def look(self, request: ReconcileRequest, facts: Facts, compared: Record | None) -> None:
        """Report changes by somebody else, by the facts; ``compared`` is the newest revision if its payload was
        read."""
        if facts.wanted is not None and state_of(facts) is State.ABSENT:
            self._look_for_uninstall(request, facts)
        if compared is not None:
            await self._look_for_change(request, compared)

    async def look_at_suspended(self, request: ReconcileRequest) -> None:
        """Report of a suspended release that somebody has made a revision by hand; that is left as it is. Releases in
        other clusters are not looked at: no connection is made for a release that is to be left alone."""
        last, records = request.status.last_ref, request.target.records
        if last is None or request.release.spec.kube_config is not None:
            return
        newest = records.latest(last.storage, last.name)
        if newest is None or newest.pending or newest.version <= request.status.last_revision:
            return
        ours = holders_of(request.release, records.holder)
        if newest.annotations.get(HOLDER) not in ours:  # else it is our own, and was suspended while it was under way
            self._say_revision(request, await records.read(last.storage, last.name, newest.version))

    def _look_for_uninstall(self, request: ReconcileRequest, facts: Facts) -> None:
        status = request.status
        if not request.changed_cluster and status.is_deployed and status.last_ref == facts.ref:
            revision = status.last_revision
            self._say(request, f"revision {revision} was uninstalled", revision=revision, status="uninstalled")

    async def _look_for_change(self, request: ReconcileRequest, record: Record) -> None:
        status = request.status
        known, ours = status.digest_of(record.version), HOLDER in record.annotations
        is_new = bool(status.last_revision) and not status.knows(record.version) and not ours
        if is_new or (known and known != await asyncio.to_thread(checksum, record)):
            self._say_revision(request, record)

    def _say_revision(self, request: ReconcileRequest, record: Record) -> None:
        said = {"revision": record.version, "status": record.status, "description": record.description}
        self._say(request, f"revision {record.version} is {record.status} ({record.description})", **said)

    def _say(self, request: ReconcileRequest, what: str, **fields: Any) -> None:
        event = "release was changed by somebody else"
        if self._once(request.key, request.log, event, topic="foreign", level="warning", **fields):
            self._writer.tell(request, Event("Warning", RELEASE_CHANGED, f"the {event}: {what}"))
