"""A cluster whose watches are late: events reach gitsync long after they happened, and all at once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from gitsync.cluster import Cluster, Informer, WatchEvent


class LateWatch:
    """A cluster whose watches hold all events back until ``deliver``; ``held`` are these."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._callbacks: list[Callable[[WatchEvent], None]] = []
        self.held: list[WatchEvent] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cluster, name)

    @asynccontextmanager
    async def watch(self, *what: str, **more: Any) -> AsyncIterator[Informer]:
        async with self._cluster.watch(*what, **more) as informer:
            informer.subscribe(self.held.append)
            informer.subscribe = self._hear  # type: ignore[method-assign]
            yield informer

    def _hear(self, callback: Callable[[WatchEvent], None]) -> Callable[[], None]:
        self._callbacks.append(callback)
        return lambda: self._callbacks.remove(callback)

    @property
    def heard(self) -> bool:
        """Whether the watch has a subscriber by now."""
        return bool(self._callbacks)

    def deliver(self, *events: WatchEvent) -> None:
        for event in events:
            for callback in self._callbacks:
                callback(event)
