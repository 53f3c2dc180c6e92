"""Objects of the kinds that are served, deleted though Git has them."""

from __future__ import annotations

from collections.abc import Iterable

from gitsync.cluster import Informer, WatchEvent
from gitsync.release.wanted.claims import ObjectClaims


def have_made_again(watches: Iterable[Informer], claims: ObjectClaims) -> None:
    """The sync that wants an object hears that it has been deleted, by hand mostly, and makes it again: others may
    depend on it, and would wait until everything is compared with the cluster anyway."""

    def on_event(event: WatchEvent) -> None:
        if event.type == "DELETED" and claims.claimants(event.key):
            claims.tell([event.key], "")

    for watch in watches:
        watch.subscribe(on_event)
