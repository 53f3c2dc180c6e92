"""Service."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gitsync.health.fields import text
from gitsync.health.verdict import READY, Health, progressing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gitsync.api.identity import Manifest


def service(manifest: Manifest, pods: Sequence[Manifest]) -> Health:
    """Ready once it exists; a LoadBalancer once it has a cluster IP (kstatus, so Helm 4 and Flux). Nobody waits for the
    load balancer's address, as Helm 3 and Argo CD do: many a cluster has no load balancers, and there the same charts
    have to install.
    """
    if text(manifest, "spec", "type") != "LoadBalancer" or text(manifest, "spec", "clusterIP"):
        return READY
    return progressing("ClusterIPPending", "no cluster IP yet")
