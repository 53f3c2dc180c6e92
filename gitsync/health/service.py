"""Service."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gitsync.health.fields import maps, section, text
from gitsync.health.model import READY, Health, progressing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gitsync.api.identity import Manifest


def service(manifest: Manifest, pods: Sequence[Manifest]) -> Health:
    """Only a LoadBalancer has something to wait for: its address. Without one it is progressing (Helm 3, Argo CD; to
    kstatus a cluster IP is enough), unless externalIPs are given (Helm). All other types are ready once they exist.
    """
    if text(manifest, "spec", "type") != "LoadBalancer" or section(manifest, "spec").get("externalIPs"):
        return READY
    if maps(manifest, "status", "loadBalancer", "ingress"):
        return READY
    return progressing("LoadBalancerPending", "no load balancer address yet")
