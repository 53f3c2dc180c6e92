"""Pod."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gitsync.health.containers import examine
from gitsync.health.fields import text
from gitsync.health.pods import describe_own
from gitsync.health.verdict import READY, Health, failed, progressing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gitsync.api.identity import Manifest


def pod(manifest: Manifest, pods: Sequence[Manifest] = ()) -> Health:
    """Ready when its Ready condition is True or it has succeeded; failed in phase Failed (Argo CD; to kstatus a pod
    that has ended is current, whichever way it ended).

    Containers that crash or cannot pull their image are progressing: kstatus and Argo CD call a crashing pod failed,
    but it heals when what it lacks appears, and a release that waits for its dependencies must not fail over it.
    """
    finding = examine(manifest)
    if finding is None:
        return READY
    if text(manifest, "status", "phase") == "Failed":
        return failed(finding.reason, describe_own(manifest, finding))
    return progressing(finding.reason, describe_own(manifest, finding))


def finished_pod(manifest: Manifest, pods: Sequence[Manifest] = ()) -> Health:
    """Whether it has run to its end, as Helm's hooks must: Succeeded is ready, Failed is failed, all else goes on."""
    phase = text(manifest, "status", "phase")
    if phase == "Succeeded":
        return READY
    health = pod(manifest)
    return progressing("PodRunning", "still running") if health.status == "ready" else health
