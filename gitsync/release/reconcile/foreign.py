"""Saying that somebody else has done something to a release, before it is put right."""

from __future__ import annotations

import asyncio
from typing import Any

from gitsync.api.names import RELEASE_CHANGED
from gitsync.release.reconcile.facts import Facts
from gitsync.release.reconcile.request import ReconcileRequest
from gitsync.release.reconcile.state import State, state_of
from gitsync.release.reconcile.writer import StatusWriter
from gitsync.release.storage.record import HOLDER, Record, checksum
from gitsync.runtime.events import Event
from gitsync.runtime.once import Once


class ForeignChanges:
    """Says it once for each change."""

    def __init__(self, writer: StatusWriter, once: Once) -> None:
        self._writer = writer
        self._once = once

    async def look(self, request: ReconcileRequest, facts: Facts, compared: Record | None) -> None:
        """Say what somebody else did, by the facts; ``compared`` is the newest revision when its payload was asked
        for."""
        if facts.wanted is not None and state_of(facts) is State.ABSENT:
            self._look_for_uninstall(request, facts)
        if compared is not None:
            await self._look_for_change(request, compared)

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
            said = {"revision": record.version, "status": record.status, "description": record.description}
            self._say(request, f"revision {record.version} is {record.status} ({record.description})", **said)

    def _say(self, request: ReconcileRequest, what: str, **fields: Any) -> None:
        event = "release was changed by somebody else"
        if self._once(request.key, request.log, event, topic="foreign", level="warning", **fields):
            self._writer.tell(request, Event("Warning", RELEASE_CHANGED, f"the {event}: {what}"))
