"""PodDisruptionBudget."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gitsync.health.fields import unobserved
from gitsync.health.model import READY, Health

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gitsync.api.identity import Manifest


def pod_disruption_budget(manifest: Manifest, pods: Sequence[Manifest]) -> Health:
    """Ready once its controller has seen the present generation (kstatus). How many disruptions it allows says nothing
    about the budget: none is what it is for while a pod is down.
    """
    return unobserved(manifest, strict=False) or READY
