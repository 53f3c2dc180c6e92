"""What one pass over one HelmRelease is about. Data; nothing here changes the cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog
from structlog.typing import FilteringBoundLogger as Logger

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import CommitInfo, Manifest, ObjectKey
from gitsync.logs import commit_context
from gitsync.release.clusters import TargetCluster
from gitsync.release.status.builder import StatusBuilder

if TYPE_CHECKING:
    from gitsync.runtime.interrupt import Interrupt

_log = structlog.get_logger(__name__)


@dataclass
class Subject:
    """The HelmRelease that a status is written for. ``manifest`` is its newest state that is known, ``commit`` the one
    that last changed it (None: no commit did), ``log`` has both in its lines."""

    manifest: Manifest
    commit: CommitInfo | None
    log: Logger

    @classmethod
    def of(cls, manifest: Manifest, commit: CommitInfo | None) -> Subject:
        """``commit`` is the one that last changed it, None for none. Its log names both in each line."""
        context = commit_context(commit) if commit else {}
        return cls(manifest, commit, _log.bind(release=ObjectKey.of(manifest), **context))

    @property
    def key(self) -> ObjectKey:
        """The HelmRelease's key."""
        return ObjectKey.of(self.manifest)

    @property
    def status(self) -> StatusBuilder:
        """Builds on the status as last written."""
        return StatusBuilder(self.manifest)


@dataclass
class ReconcileRequest(Subject):
    """One pass: ``release`` is the HelmRelease as it was at its beginning, ``target`` where it is worked on, and
    ``interrupt`` is set when a newer state of it makes this pass pointless. ``changed_cluster``: it was worked on
    elsewhere, or by nobody, before.
    """

    release: HelmRelease
    target: TargetCluster
    interrupt: Interrupt
    changed_cluster: bool = False
