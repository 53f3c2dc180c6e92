"""HelmRepositories: their indexes kept current, their status, and the charts found in them."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import structlog

from gitsync.api.chart import ChartSpec
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
    SourceNotReady,
    TerminalError,
)
from gitsync.runtime.backoff import Backoff
from gitsync.runtime.events import Event
from gitsync.sources.chart import ChartArtifact
from gitsync.sources.helm import ChartRepositories, IndexInfo, RepositorySpec, redacted
from gitsync.sources.valuesfiles import with_values_files

if TYPE_CHECKING:
    from gitsync.cluster import Cluster, Informer
    from gitsync.runtime.interrupt import Interrupt
    from gitsync.runtime.recorder import EventRecorder

log = structlog.get_logger(__name__)


class RepositoryLookup(Protocol):
    """Knows the HelmRepositories: those of a cluster as they were last read, or as a commit would have them."""

    async def spec_of(self, key: ObjectKey) -> RepositorySpec:
        """How to reach a HelmRepository.

        Raises: SourceNotReady when there is none; ChartRepositoryUnavailable, ChartError, FieldErrors.
        """

    def with_url(self, url: str, namespaces: Collection[str]) -> ObjectKey | None:
        """The HelmRepository of one of these namespaces that has this URL (see ``comparable``); None without one."""


def comparable(url: str) -> str:
    """URLs of chart repositories that mean the same are equal so: host in lower case, no slash at the end."""
    scheme, separator, rest = url.strip().partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme.lower()}{separator}{host.lower()}{slash}{path}".rstrip("/")


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
                f"HelmRepository '{_name(key)}' has not been read yet", url=redacted(_url(manifest))
            )
        return spec

    def with_url(self, url: str, namespaces: Collection[str]) -> ObjectKey | None:
        """See RepositoryLookup."""
        return _with_url(url, namespaces, {key: _url(manifest) for key, manifest in self._watch.items()})

    def url_of(self, key: ObjectKey) -> str:
        """The URL of a HelmRepository, "" when there is none."""
        manifest = self._watch.get(key)
        return _url(manifest) if manifest is not None else ""

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


def missing(key: ObjectKey, served: str) -> SourceNotReady:
    """What to raise for a HelmRepository that is not there, seen from ``served``: a namespace, or "" for all."""
    if served in ("", key.namespace):
        return SourceNotReady(
            f"HelmRepository '{_name(key)}' does not exist", hint="add it to the repository, or mend sourceRef"
        )
    return SourceNotReady(
        f"HelmRepository '{_name(key)}' cannot be seen: only those of namespace '{served}' are (watch_namespace)",
        hint="put a HelmRepository into the namespace of its releases",
    )


async def locate_in(repositories: ChartRepositories, spec: RepositorySpec, wanted: ChartSpec) -> ChartArtifact:
    """A chart of a repository, in its index as it was last read.

    Raises: ChartNotFound, ChartError, ChartRepositoryUnavailable.
    """
    chart = wanted.chart
    entry = await repositories.resolve(spec, chart, wanted.version)
    digest = f"sha256:{entry.digest}" if entry.digest else f"{spec.url}#{chart}@{entry.version}"
    artifact = ChartArtifact(chart, entry.version, digest, partial(repositories.fetch, spec, chart, entry.version))
    return with_values_files(repositories.charts, artifact, wanted)


class CommitHelmRepositories:
    """The HelmRepositories as a commit would have them: its own first, then the cluster's, if there is a cluster.

    Of a cluster that is served in one namespace only, that namespace's count. An index is read when it is needed.
    """

    def __init__(
        self,
        repositories: ChartRepositories,
        desired: Mapping[ObjectKey, HelmRepository],
        cluster: Cluster | None = None,
        watch: Informer | None = None,
    ) -> None:
        self._repositories = repositories
        self._desired = desired
        self._cluster = cluster
        self._watch = watch
        self._served = cluster.namespace if cluster is not None else ""
        self._read: dict[ObjectKey, RepositorySpec] = {}

    async def spec_of(self, key: ObjectKey) -> RepositorySpec:
        """How to reach a HelmRepository, its index read anew the first time.

        Raises: SourceNotReady, FieldErrors, ChartError, ChartRepositoryUnavailable.
        """
        if (known := self._read.get(key)) is not None:
            return known
        repository = self._get(key)
        if repository is None:
            raise missing(key, self._served)
        spec = await self._spec(repository)
        await self._repositories.refresh(spec)
        self._read[key] = spec
        return spec

    def with_url(self, url: str, namespaces: Collection[str]) -> ObjectKey | None:
        """See RepositoryLookup."""
        live = {key: _url(manifest) for key, manifest in self._watch.items()} if self._watch is not None else {}
        found = {key: item.spec.url for key, item in self._desired.items() if self._served in ("", key.namespace)}
        return _with_url(url, namespaces, live | found)

    def _get(self, key: ObjectKey) -> HelmRepository | None:
        if self._served in ("", key.namespace) and key in self._desired:
            return self._desired[key]
        live = self._watch.get(key) if self._watch is not None else None
        return HelmRepository.parse(live) if live is not None else None

    async def _spec(self, repository: HelmRepository) -> RepositorySpec:
        if self._cluster is not None:
            return await repository_spec(self._cluster, repository)
        if repository.spec.secret_ref or repository.spec.cert_secret_ref:
            raise SourceNotReady(f"HelmRepository '{_name(repository.key)}' needs a Secret of the cluster")
        return RepositorySpec(url=repository.spec.url, timeout=repository.spec.timeout)


async def repository_spec(cluster: Cluster, repository: HelmRepository) -> RepositorySpec:
    """How to reach a repository, with what its Secrets hold.

    Raises: ChartRepositoryUnavailable when a Secret is missing or holds no text.
    """
    spec = repository.spec
    login = await _secret(cluster, repository, spec.secret_ref.name) if spec.secret_ref else {}
    tls = await _secret(cluster, repository, spec.cert_secret_ref.name) if spec.cert_secret_ref else {}
    return RepositorySpec(
        url=spec.url,
        username=login.get("username", ""),
        password=login.get("password", ""),
        ca=tls.get("ca.crt", ""),
        cert=tls.get("tls.crt", ""),
        key=tls.get("tls.key", ""),
        pass_credentials=spec.pass_credentials,
        timeout=spec.timeout,
    )


async def _secret(cluster: Cluster, repository: HelmRepository, name: str) -> dict[str, str]:
    key = ObjectKey("", "Secret", repository.metadata.namespace, name)
    try:
        secret = await cluster.get(key)
        data = secret.get("data") or {}
        return {field: base64.b64decode(value).decode() for field, value in data.items()}
    except NotFound as error:
        message, hint = f"Secret '{key.namespace}/{name}' does not exist", "create it"
        raise ChartRepositoryUnavailable(message, url=repository.spec.url, hint=hint) from error
    except (binascii.Error, UnicodeDecodeError) as error:
        message = f"Secret '{key.namespace}/{name}' holds what is no text"
        raise ChartRepositoryUnavailable(message, url=repository.spec.url) from error


def _with_url(url: str, namespaces: Collection[str], urls: Mapping[ObjectKey, str]) -> ObjectKey | None:
    wanted = comparable(url)
    same = [key for key, its in urls.items() if key.namespace in namespaces and comparable(its) == wanted]
    return min(same, default=None)


def _url(manifest: Manifest) -> str:
    return str((manifest.get("spec") or {}).get("url", ""))


def _name(key: ObjectKey) -> str:
    return f"{key.namespace}/{key.name}"
