"""HelmRepositories of a cluster: their indexes kept current, their status written."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.names import AUTHENTICATION_FAILED, FAILED, INDEXATION_FAILED
from gitsync.api.parts.chart import Verification
from gitsync.api.sources import HelmRepository
from gitsync.api.status import Artifact
from gitsync.errors import ChartRepositoryUnavailable, GitsyncError, TerminalError
from gitsync.sources.cosignkeys import verification_of
from gitsync.sources.helm import ChartRepositories, RepositorySpec, redacted
from gitsync.sources.kinds.reconciler import Outcome, SourceReconciler, Words
from gitsync.sources.oci import CosignVerification
from gitsync.sources.resolve.commitsources import missing
from gitsync.sources.resolve.repositories import plain_spec, repository_spec, url_in, with_url

if TYPE_CHECKING:
    from gitsync.cluster import Cluster, Informer
    from gitsync.runtime.recorder import EventRecorder


class HelmRepositories(SourceReconciler[HelmRepository]):
    """See SourceReconciler. Those of type oci have neither an index nor a status: they say how to reach a registry,
    which is asked for the charts that releases want."""

    words = Words("chart repository cannot be read", "chart repository is back", "chart repository read")

    def __init__(
        self,
        cluster: Cluster,
        repositories: ChartRepositories,
        watch: Informer,
        events: EventRecorder,
        on_change: Callable[[ObjectKey], None],
    ) -> None:
        super().__init__(cluster, watch, events, on_change)
        self._repositories = repositories
        self._specs: dict[ObjectKey, RepositorySpec] = {}
        #: Errors of HelmRepositories that could not be read, for the releases that name them.
        self._unread: dict[ObjectKey, GitsyncError] = {}
        #: Reasons of conditions for errors that are not about an index.
        self._reasons: dict[ObjectKey, str] = {}
        #: The spec with which each was read when what uses it was last told of it.
        self._announced: dict[ObjectKey, RepositorySpec] = {}
        #: Of each that was never read, the error that what uses it was last told of.
        self._told: dict[ObjectKey, str] = {}

    async def spec_of(self, key: ObjectKey) -> RepositorySpec:
        """How to reach a HelmRepository that was read.

        Raises: SourceNotReady when there is none, ChartRepositoryUnavailable when it has not been read yet.
        """
        spec = self._specs.get(key)
        if spec is None:
            manifest = self._watch.get(key)
            if manifest is None:
                raise missing(key, self._cluster.namespace)
            error = self._unread.get(key)
            why = f"cannot be read: {error.message}" if error else "has not been read yet"
            raise ChartRepositoryUnavailable(
                f"HelmRepository '{key.namespaced_name}' {why}",
                url=redacted(url_in(manifest)),
                hint=error.hint if error else "",
            )
        return spec

    async def verification_of(self, key: ObjectKey, wanted: Verification | None) -> CosignVerification | None:
        """See RepositoryLookup."""
        return await verification_of(self._cluster, wanted, key.namespace)

    def revision_of(self, key: ObjectKey) -> str:
        """The revision of the index that was read last, as the HelmRepository's status has it; "" for none."""
        status = (self._watch.get(key) or {}).get("status") or {}
        return str((status.get("artifact") or {}).get("revision", ""))

    def is_coming(self, key: ObjectKey) -> bool:
        """Whether a HelmRepository exists, and was not read yet."""
        manifest = self._watch.get(key)
        is_suspended = manifest is not None and bool((manifest.get("spec") or {}).get("suspend"))
        return manifest is not None and not is_suspended and key not in self._specs and key not in self._unread

    def with_url(self, url: str, namespaces: Collection[str]) -> ObjectKey | None:
        """See RepositoryLookup."""
        return with_url(url, namespaces, {key: url_in(manifest) for key, manifest in self._watch.items()})

    def url_of(self, key: ObjectKey) -> str:
        """The URL of a HelmRepository, "" when there is none."""
        manifest = self._watch.get(key)
        return url_in(manifest) if manifest is not None else ""

    def _parse(self, manifest: Manifest) -> HelmRepository:
        return HelmRepository.parse(manifest)

    async def _fetch(self, key: ObjectKey, source: HelmRepository) -> Outcome | None:
        if source.spec.suspend:
            return None
        try:
            self._reasons.pop(key, None)
            plain = plain_spec(source)
            self._reasons[key] = AUTHENTICATION_FAILED
            spec = self._specs[key] = await repository_spec(self._cluster, source, plain, self._repositories.logins)
        except GitsyncError as error:
            self._unread[key] = error
            raise
        self._unread.pop(key, None)
        del self._reasons[key]
        info = await self._repositories.refresh(spec)
        changed = info.changed or self._announced.get(key) != spec
        self._announced[key] = spec
        self._told.pop(key, None)
        if spec.is_registry:
            return Outcome(changed=changed)
        artifact = Artifact(
            revision=info.revision,
            digest=info.revision,
            path=f"helmrepository/{key.namespaced_name}/index.yaml",
            url=info.url,
        )
        line = {"revision": info.revision[:19], "charts": info.charts}
        return Outcome(f"stored artifact for revision '{info.revision}'", artifact, line, changed)

    def _reason(self, key: ObjectKey, error: GitsyncError) -> str:
        return self._reasons.get(key) or (INDEXATION_FAILED if isinstance(error, TerminalError) else FAILED)

    async def _failed(self, key: ObjectKey, manifest: Manifest, reason: str, error: GitsyncError) -> None:
        if key not in self._announced and self._told.get(key) != error.message:
            self._told[key] = error.message
            self._on_change(key)  # what waits for it reports the error: it may still say that it does not exist
        if url_in(manifest).startswith("oci://"):  # the release that wants a chart of it reports the error
            self._complain(key, manifest, reason, error)
        else:
            await super()._failed(key, manifest, reason, error)

    def _gone(self, key: ObjectKey) -> None:
        self._announced.pop(key, None)
        self._told.pop(key, None)
        self._unread.pop(key, None)
        self._reasons.pop(key, None)
        if (spec := self._specs.pop(key, None)) is not None:
            self._repositories.forget(spec)
