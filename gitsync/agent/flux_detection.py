"""A warning when Flux's controllers run in the cluster, too: both would serve the same objects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from gitsync.errors import Forbidden
from gitsync.release import flux
from gitsync.text import listed

if TYPE_CHECKING:
    from gitsync.cluster import Cluster

log = structlog.get_logger(__name__)


async def warn_about_flux(cluster: Cluster) -> None:
    """Log a warning when Flux's controllers run; one request. An agent for a single namespace does not look, since Flux
    runs in another. Raises: ClusterUnavailable.
    """
    if cluster.namespace:
        return
    try:
        found = flux.competing(await cluster.list("apps", "Deployment", labels=flux.DEPLOYMENTS))
    except Forbidden as error:
        log.debug("could not check whether Flux runs", error=error.message)
        return
    if found:
        log.warning(
            "Flux is running beside gitsync, and two agents undo each other's work",
            controllers=listed(found),
            hint="stop one of them; gitsync install --take-over scales Flux's to 0",
        )
