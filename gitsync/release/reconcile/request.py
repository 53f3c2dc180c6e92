"""One pass' view of one HelmRelease: its state, its status to be, its log lines' context."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import structlog

from gitsync.api.identity import CommitInfo, Manifest, ObjectKey
from gitsync.logs import commit_context
from gitsync.release.status.events import Happening, cause_of, news
from gitsync.release.dependencies.index import ReleaseIndex
from gitsync.release.status.status import StatusData, StatusWriter

if TYPE_CHECKING:
    from gitsync.cluster import Cluster
    from gitsync.runtime.recorder import EventRecorder
    from gitsync.release.clusters import Site

MANAGER = "gitsync"
log = structlog.get_logger(__name__)


class Turn:
    """``key`` and ``manifest`` are the HelmRelease's, ``commit`` the one that last changed it (None: no commit did);
    ``site`` is where the release is worked on in this pass.
    """

    def __init__(
        self,
        cluster: Cluster,
        index: ReleaseIndex,
        events: EventRecorder,
        site: Site,
        key: ObjectKey,
        commit: CommitInfo | None,
    ) -> None:
        manifest = index.raw(key)
        assert manifest is not None
        self._cluster = cluster
        self._index = index
        self._events = events
        self.site = site
        #: Whether it was worked on elsewhere, or by nobody, before.
        self.arrived = False
        self.key = key
        self.manifest: Manifest = manifest
        self.commit = commit
        self.log = log.bind(release=key, **(commit_context(commit) if commit else {}))

    @property
    def status(self) -> StatusWriter:
        """Builds on the status as last written."""
        return StatusWriter(self.manifest)

    async def write(self, status: StatusData) -> bool:
        """Write the status unless it says what it said before, and Events for what is news. True when it was written.

        Raises: NotFound.
        """
        old: dict[str, Any] = self.manifest.get("status") or {}
        changed = {name: value for name, value in status.items() if old.get(name) != value}
        changed |= {name: None for name in old if name not in status}
        if not changed:
            return False
        self.manifest = await self._cluster.patch(self.key, {"status": changed}, manager=MANAGER, subresource="status")
        self._index.see(self.key, self.manifest)
        for happening in news(old, status):
            self.tell(happening)
        return True

    def tell(self, happening: Happening) -> None:
        """Have an Event written about the HelmRelease, the commit added to its words."""
        cause = cause_of(self.commit)
        message = f"{happening.message} ({cause})" if cause else happening.message
        self._events.record(self.manifest, replace(happening, message=message))
