"""The Secrets that sources name, watched as long as they do: when one changes, its sources are reconciled at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import structlog

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.defects import outlive
from gitsync.errors import ClusterUnavailable, Forbidden
from gitsync.sources.watch.datawatch import FIELDS, content_of, data_only

if TYPE_CHECKING:
    from gitsync.cluster import Cluster, WatchEvent

log = structlog.get_logger(__name__)

_REFERENCES = ("secretRef", "certSecretRef", "proxySecretRef")
_OF_VERIFY = ("secretRef", "trustedRootSecretRef")
#: Seconds until a watch that could not be started is tried again.
_AGAIN = 60.0


class SecretWatches:
    """``changed(source, why)`` is told when a Secret that a source names holds something else. One watch serves all
    sources of a namespace, and its releases, which take values from Secrets: it is the same one. Without the right to
    watch them, sources find changes at their intervals."""

    def __init__(self, cluster: Cluster, changed: Callable[[ObjectKey, str], None]) -> None:
        self._cluster = cluster
        self._changed = changed
        self._named: dict[ObjectKey, frozenset[str]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._seen: dict[ObjectKey, object] = {}

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Watch the Secrets that are named, while this lasts."""
        try:
            yield
        finally:
            tasks = list(self._tasks.values())
            self._tasks.clear()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def follow(self, source: ObjectKey, manifest: Manifest | None) -> None:
        """Take note of the Secrets that a source names now; None when the source is gone."""
        names = named_secrets(manifest) if manifest is not None else frozenset()
        if names:
            self._named[source] = names
        else:
            self._named.pop(source, None)
        namespace = source.namespace
        if any(other.namespace == namespace for other in self._named):
            if namespace not in self._tasks:
                name = f"secrets {namespace}"
                watching = outlive(name, partial(self._watch, namespace))
                self._tasks[namespace] = asyncio.get_running_loop().create_task(watching, name=name)
        elif (task := self._tasks.pop(namespace, None)) is not None:
            task.cancel()

    async def _watch(self, namespace: str) -> None:
        while True:
            watch = self._cluster.watch("", "Secret", namespace=namespace, fields=FIELDS["Secret"], keep=data_only)
            try:
                async with watch:
                    self._seen |= {key: content_of(manifest) for key, manifest in watch.items()}
                    watch.subscribe(partial(self._on_event))
                    await asyncio.Event().wait()
            except Forbidden as error:
                log.debug("changes of Secrets are noticed at intervals only", namespace=namespace, why=error.message)
                return
            except ClusterUnavailable:
                await asyncio.sleep(_AGAIN)
            finally:
                for key in [key for key in self._seen if key.namespace == namespace]:
                    del self._seen[key]

    def _on_event(self, event: WatchEvent) -> None:
        data = content_of(event.manifest) if event.type != "DELETED" else None
        if self._seen.get(event.key) == data:
            return
        self._seen[event.key] = data
        for source, names in list(self._named.items()):
            if source.namespace == event.key.namespace and event.key.name in names:
                self._changed(source, f"{event.key} was changed")


def named_secrets(manifest: Manifest) -> frozenset[str]:
    """The names of the Secrets that a source is reached or verified with, read leniently: other fields may be wrong."""
    spec = manifest.get("spec") or {}
    verify = spec.get("verify")
    found = [spec.get(field) for field in _REFERENCES]
    found += [verify.get(field) for field in _OF_VERIFY] if isinstance(verify, dict) else []
    return frozenset(str(it["name"]) for it in found if isinstance(it, dict) and it.get("name"))
