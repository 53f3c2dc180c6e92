"""Custom resources (HelmReleases, sources, Kustomizations) that somebody has deleted though Git has them."""

from __future__ import annotations

from collections.abc import Iterable

from gitsync.cluster import Informer, WatchEvent
from gitsync.release.wanted.claims import ObjectClaims


def have_made_again(watches: Iterable[Informer], claims: ObjectClaims) -> None:
    """When a watched object is deleted, wake the sync that wants it, which creates it again at once. Otherwise what
    depends on the object would wait for the sync's next full comparison."""

    def on_event(event: WatchEvent) -> None:
        if event.type == "DELETED" and claims.claimants(event.key):
            claims.tell([event.key], "")

    for watch in watches:
        watch.subscribe(on_event)
