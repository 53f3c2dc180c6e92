"""One pass' view of one HelmRelease: its state, its status to be, its log lines' context."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import structlog

from gitsync.api.identity import CommitInfo, Manifest, ObjectKey
from gitsync.api.names import FIELD_MANAGER
from gitsync.logs import commit_context
from gitsync.release.dependencies.index import ReleaseIndex
from gitsync.release.status.events import cause_of, news
from gitsync.release.status.status import StatusBuilder, StatusData
from gitsync.runtime.events import Event

if TYPE_CHECKING:
    from gitsync.cluster import Cluster
    from gitsync.release.clusters import TargetCluster
    from gitsync.runtime.recorder import EventRecorder

log = structlog.get_logger(__name__)


class ReconcileRequest:
    """``key`` and ``manifest`` are the HelmRelease's, ``commit`` the one that last changed it (None: no commit did);
    ``target`` is where the release is worked on in this pass.
    """

    def __init__(
        self,
        cluster: Cluster,
        index: ReleaseIndex,
        events: EventRecorder,
        target: TargetCluster,
        key: ObjectKey,
        commit: CommitInfo | None,
    ) -> None:
        manifest = index.manifest(key)
        assert manifest is not None
        self._cluster = cluster
        self._index = index
        self._events = events
        self.target = target
        #: Whether it was worked on elsewhere, or by nobody, before.
        self.changed_cluster = False
        self.key = key
        self.manifest: Manifest = manifest
        self.commit = commit
        self.log = log.bind(release=key, **(commit_context(commit) if commit else {}))

    @property
    def status(self) -> StatusBuilder:
        """Builds on the status as last written."""
        return StatusBuilder(self.manifest)

    async def write(self, status: StatusData) -> bool:
        """Write the status unless it says what it said before, and Events for what is news. True when it was written.

        Raises: NotFound.
        """
        old: dict[str, Any] = self.manifest.get("status") or {}
        changed = {name: value for name, value in status.items() if old.get(name) != value}
        changed |= {name: None for name in old if name not in status}
        if not changed:
            return False
        self.manifest = await self._cluster.patch(
            self.key, {"status": changed}, manager=FIELD_MANAGER, subresource="status"
        )
        self._index.update(self.key, self.manifest)
        for event in news(old, status):
            self.tell(event)
        return True

    def tell(self, event: Event) -> None:
        """Have an Event written about the HelmRelease, the commit added to its words."""
        cause = cause_of(self.commit)
        message = f"{event.message} ({cause})" if cause else event.message
        self._events.record(self.manifest, replace(event, message=message))
