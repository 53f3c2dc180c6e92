"""HorizontalPodAutoscaler."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gitsync.health.fields import condition, says, text
from gitsync.health.model import READY, Health, progressing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gitsync.api.identity import Manifest

#: What Argo CD, too, takes as a fault, and which lies in the autoscaler or its target.
_FAULTS: Final = (("AbleToScale", "FailedGetScale"), ("ScalingActive", "InvalidSelector"))


def horizontal_pod_autoscaler(manifest: Manifest, pods: Sequence[Manifest]) -> Health:
    """Ready unless it cannot find or read what it shall scale. kstatus and Helm do not look at all.

    Metrics that are missing (ScalingActive=False, FailedGetResourceMetric) hold nothing up, although Argo CD calls them
    degraded: they depend on the metrics server and on pods that have run for a while, not on the release, and charts
    bring autoscalers to clusters that have no metrics. Nor does ScalingDisabled: the target is scaled to zero.
    """
    for kind, reason in _FAULTS:
        found = condition(manifest, kind)
        if text(found, "status") == "False" and text(found, "reason") == reason:
            return progressing(reason, says(found))
    return READY
