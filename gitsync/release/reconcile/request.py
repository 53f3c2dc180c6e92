"""The request of one pass over one HelmRelease. Data; nothing here changes the cluster."""

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
    """The HelmRelease that a status is written for. ``manifest`` is its newest known state, ``commit`` the one that
    last changed it (None: no commit did); ``log`` has both on its lines."""

    manifest: Manifest
    commit: CommitInfo | None
    log: Logger

    @classmethod
    def of(cls, manifest: Manifest, commit: CommitInfo | None) -> Subject:
        """The subject of a manifest; ``commit`` is the one that last changed it, None for none."""
        context = commit_context(commit) if commit else {}
        return cls(manifest, commit, _log.bind(release=ObjectKey.of(manifest), **context))

    @property
    def key(self) -> ObjectKey:
        """The HelmRelease's key."""
        return ObjectKey.of(self.manifest)

    @property
    def status(self) -> StatusBuilder:
        """A builder that starts from the status as last written."""
        return StatusBuilder(self.manifest)


@dataclass
class ReconcileRequest(Subject):
    """One pass: ``release`` is the HelmRelease as it was when the pass began, ``target`` its target cluster;
    ``interrupt`` is set when a newer state of it makes this pass pointless. ``changed_cluster``: its last pass was in
    another target cluster, or there was none.
    """

    release: HelmRelease
    target: TargetCluster
    interrupt: Interrupt
    changed_cluster: bool = False
