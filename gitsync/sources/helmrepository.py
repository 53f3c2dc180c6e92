"""HelmRepositories of a cluster: their indexes kept current, their status written."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import structlog

from gitsync.api.conditions import remove_condition, set_condition
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.names import (
    ARTIFACT_IN_STORAGE,
    FAILED,
    FALSE,
    FETCH_FAILED,
    FIELD_MANAGER,
    INDEXATION_FAILED,
    READY,
    RECONCILING,
    REQUESTED_AT_ANNOTATION,
    STALLED,
    SUCCEEDED,
    TRUE,
)
from gitsync.api.sources import HelmRepository
from gitsync.errors import (
    ChartRepositoryUnavailable,
    FieldErrors,
    GitsyncError,
    NotFound,
    TerminalError,
)
from gitsync.runtime.backoff import Backoff
from gitsync.runtime.events import Event
from gitsync.sources.helm import ChartRepositories, IndexInfo, RepositorySpec, redacted
from gitsync.sources.repositories import missing, name_of, repository_spec, url_in, with_url

if TYPE_CHECKING:
    from gitsync.cluster import Cluster, Informer
    from gitsync.runtime.interrupt import Interrupt
    from gitsync.runtime.recorder import EventRecorder

log = structlog.get_logger(__name__)


class HelmRepositories:
    """Every HelmRepository of the cluster. ``on_change(key)`` is told when an index is another than before."""

    def __init__(
        self,
        cluster: Cluster,
        repositories: ChartRepositories,
        watch: Informer,
        events: EventRecorder,
        on_change: Callable[[ObjectKey], None],
    ) -> None:
        self._cluster = cluster
        self._repositories = repositories
        self._watch = watch
        self._events = events
        self._on_change = on_change
        self._backoff: Backoff[ObjectKey] = Backoff()
        self._specs: dict[ObjectKey, RepositorySpec] = {}
        self._said: dict[ObjectKey, str] = {}

    async def reconcile(self, key: ObjectKey, interrupt: Interrupt) -> float | None:
        """Look for a new index, and say how that went. Returns seconds until the next look."""
        manifest = self._watch.get(key)
        if manifest is None or "deletionTimestamp" in manifest["metadata"]:
            if (spec := self._specs.pop(key, None)) is not None:
                self._repositories.forget(spec)
            return None
        try:
            repository = HelmRepository.parse(manifest)
        except FieldErrors as error:
            await self._failed(key, manifest, "InvalidSpec", error)
            return None
        if repository.spec.suspend:
            return None
        first = key not in self._specs
        try:
            spec = self._specs[key] = await repository_spec(self._cluster, repository)
            info = await self._repositories.refresh(spec)
        except TerminalError as error:
            await self._failed(key, manifest, INDEXATION_FAILED, error)
            return repository.spec.interval
        except GitsyncError as error:
            await self._failed(key, manifest, FAILED, error)
            return min(self._backoff.next(key), repository.spec.interval)
        self._backoff.reset(key)
        if self._said.pop(key, None):
            log.info("chart repository is back", repository=key)
        await self._ready(key, manifest, info)
        if info.changed or first:
            self._on_change(key)
        return repository.spec.interval

    async def spec_of(self, key: ObjectKey) -> RepositorySpec:
        """How to reach a HelmRepository that was read.

        Raises: SourceNotReady when there is none, ChartRepositoryUnavailable when it has not been read yet.
        """
        spec = self._specs.get(key)
        if spec is None:
            manifest = self._watch.get(key)
            if manifest is None:
                raise missing(key, self._cluster.namespace)
            raise ChartRepositoryUnavailable(
                f"HelmRepository '{name_of(key)}' has not been read yet", url=redacted(url_in(manifest))
            )
        return spec

    def with_url(self, url: str, namespaces: Collection[str]) -> ObjectKey | None:
        """See RepositoryLookup."""
        return with_url(url, namespaces, {key: url_in(manifest) for key, manifest in self._watch.items()})

    def url_of(self, key: ObjectKey) -> str:
        """The URL of a HelmRepository, "" when there is none."""
        manifest = self._watch.get(key)
        return url_in(manifest) if manifest is not None else ""

    async def _ready(self, key: ObjectKey, manifest: Manifest, info: IndexInfo) -> None:
        message = f"stored artifact for revision '{info.revision}'"
        old = manifest.get("status") or {}
        artifact = old.get("artifact") or {}
        if artifact.get("revision") != info.revision:
            artifact = {
                "revision": info.revision,
                "digest": info.revision,
                "path": f"helmrepository/{key.namespace}/{key.name}/index.yaml",
                "url": info.url,
                "lastUpdateTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            }
            log.info("chart repository read", repository=key, revision=info.revision[:19], charts=info.charts)
        said = [(READY, TRUE, SUCCEEDED, message), (ARTIFACT_IN_STORAGE, TRUE, SUCCEEDED, message)]
        await self._write(key, manifest, {"url": info.url, "artifact": artifact}, said)

    async def _failed(self, key: ObjectKey, manifest: Manifest, reason: str, error: GitsyncError) -> None:
        if self._said.get(key) != error.message:
            self._said[key] = error.message
            log.warning(
                "chart repository cannot be read",
                repository=key,
                error=error,
                effect="installed releases stay as they are",
            )
            self._events.record(manifest, Event("Warning", reason, error.message))
        said = [(READY, FALSE, reason, error.message), (FETCH_FAILED, TRUE, reason, error.message)]
        await self._write(key, manifest, {}, said)

    async def _write(
        self, key: ObjectKey, manifest: Manifest, fields: dict[str, Any], said: list[tuple[str, str, str, str]]
    ) -> None:
        old = manifest.get("status") or {}
        generation = manifest["metadata"].get("generation", 0)
        kept = {kind for kind, *_ in said} | {ARTIFACT_IN_STORAGE}
        conditions = [item for item in old.get("conditions") or () if item["type"] in kept]
        conditions = remove_condition(conditions, RECONCILING, STALLED)
        for kind, status, reason, message in said:
            conditions = set_condition(conditions, kind, status, reason, message, generation, datetime.now(UTC))
        if requested := (manifest["metadata"].get("annotations") or {}).get(REQUESTED_AT_ANNOTATION):
            fields = {**fields, "lastHandledReconcileAt": requested}
        new = {**old, **fields, "observedGeneration": generation, "conditions": conditions}
        if new == old:
            return
        try:
            await self._cluster.patch(key, {"status": new}, manager=FIELD_MANAGER, subresource="status")
        except NotFound:
            return  # deleted meanwhile; the watch will say so
        except GitsyncError as error:
            log.debug("status of a chart repository could not be written", repository=key, error=error.message)
