"""Releases whose namespace is being deleted: it must never wait for us.

Everything in such a namespace is being deleted at once, Helm's records included, and nothing can be created in it: no
Job of a hook, no Event. What can still be uninstalled is, where the release's objects are elsewhere.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from gitsync.api.identity import ObjectKey
from gitsync.errors import MissingRight, TerminalError
from gitsync.release.target import ref_of

if TYPE_CHECKING:
    from gitsync.api.helmrelease import HelmRelease
    from gitsync.cluster import Cluster
    from gitsync.release.interrupt import Interrupt
    from gitsync.release.turn import Turn


async def uninstall_at_its_site(cluster: Cluster, turn: Turn, release: HelmRelease, interrupt: Interrupt) -> None:
    """Uninstall. ``cluster`` is the HelmRelease's; where its namespace goes, what hinders that no longer counts.

    Raises: as ``Performer.uninstall``.
    """
    performer = turn.site.performer
    try:
        await performer.uninstall(turn, release, ref_of(release), interrupt)
    except TerminalError as error:
        if isinstance(error, MissingRight) or not await _is_leaving(cluster, turn.key.namespace):
            raise
        turn.log.warning("namespace is being deleted, its release goes with it", why=error.message)
        with suppress(TerminalError):
            await performer.uninstall(turn, release, ref_of(release), interrupt, in_a_hurry=True)


async def _is_leaving(cluster: Cluster, namespace: str) -> bool:
    live = await cluster.find(ObjectKey("", "Namespace", "", namespace))
    return live is None or "deletionTimestamp" in live["metadata"]
