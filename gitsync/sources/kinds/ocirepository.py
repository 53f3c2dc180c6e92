"""OCIRepositories of a cluster: their artifacts kept current, their status written."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.names import AUTHENTICATION_FAILED, OCI_LAYER_FAILED, OCI_PULL_FAILED
from gitsync.api.sources import OCIRepository
from gitsync.api.status import Artifact, OCIRepositoryStatus
from gitsync.errors import ArtifactError, GitsyncError, LoginRefused, NotVerified
from gitsync.logins import Logins
from gitsync.sources.kinds.artifactsource import ArtifactSources
from gitsync.sources.kinds.reconciler import Outcome, Words
from gitsync.sources.oci import ArtifactSpec, OciArtifact, OciArtifacts
from gitsync.sources.resolve.ociartifact import (
    Found,
    artifact_spec,
    plain_artifact_spec,
    tree_artifact,
    without_secrets,
)
from gitsync.sources.resolve.treeartifact import TreeArtifact, shortened

if TYPE_CHECKING:
    from gitsync.cluster import Cluster, Informer
    from gitsync.runtime.recorder import EventRecorder


class OCIRepositories(ArtifactSources[OCIRepository, ArtifactSpec, OciArtifact]):
    """See ArtifactSources."""

    status = OCIRepositoryStatus
    words = Words("artifact cannot be read", "artifact can be read again", "artifact read")
    unreachable = OCI_PULL_FAILED

    def __init__(
        self,
        cluster: Cluster,
        artifacts: OciArtifacts,
        logins: Logins,
        watch: Informer,
        events: EventRecorder,
        on_change: Callable[[ObjectKey], None],
    ) -> None:
        super().__init__(cluster, watch, events, on_change)
        self._artifacts = artifacts
        self._logins = logins

    async def artifact_of(self, key: ObjectKey) -> Found:
        """See ArtifactLookup. No server is asked. Raises: SourceNotReady, ArtifactPending."""
        return self.found(key)

    async def tree_of(self, key: ObjectKey) -> TreeArtifact:
        """See TreesOfKind. Raises: also ArtifactError, SourceError, SourceUnavailable."""
        spec, artifact = self.found(key)
        return await tree_artifact(self._artifacts, spec, artifact)

    def revision_of(self, key: ObjectKey) -> str:
        """See TreesOfKind."""
        return self.found(key)[1].revision

    def _parse(self, manifest: Manifest) -> OCIRepository:
        return OCIRepository.parse(manifest)

    def _plain(self, source: OCIRepository) -> ArtifactSpec:
        return plain_artifact_spec(source)

    async def _opened(self, source: OCIRepository, plain: ArtifactSpec) -> ArtifactSpec:
        return await artifact_spec(self._cluster, source, plain, self._logins)

    def _without_secrets(self, spec: ArtifactSpec) -> ArtifactSpec:
        return without_secrets(spec)

    async def _known(self, key: ObjectKey, source: OCIRepository, spec: ArtifactSpec) -> OciArtifact | None:
        return await self._artifacts.known(spec)

    async def _asked(self, key: ObjectKey, source: OCIRepository, spec: ArtifactSpec) -> OciArtifact:
        artifact, _ = await self._artifacts.refresh(spec)
        return artifact

    def _outcome(self, key: ObjectKey, source: OCIRepository, found: Found, changed: bool) -> Outcome:
        spec, artifact = found
        message = f"stored artifact for digest '{artifact.revision}'"
        line = {"revision": shortened(artifact.revision), "bytes": artifact.size}
        signed = f"verified signature of revision {artifact.revision}" if spec.verification is not None else ""
        return Outcome(message, _status(key, spec, artifact), line, changed, True, _observed(source), signed)

    def _dropped(self, key: ObjectKey, found: Found | None) -> None:
        if found is not None:
            self._artifacts.forget(found[0])

    def _reason(self, key: ObjectKey, error: GitsyncError) -> str:
        if isinstance(error, NotVerified):
            return error.reason
        if isinstance(error, LoginRefused):
            return AUTHENTICATION_FAILED
        return OCI_LAYER_FAILED if isinstance(error, ArtifactError) else super()._reason(key, error)


def _status(key: ObjectKey, spec: ArtifactSpec, artifact: OciArtifact) -> Artifact:
    name = artifact.manifest.rpartition(":")[2]
    return Artifact(
        path=f"ocirepository/{key.namespaced_name}/{name}.tar.gz",
        url=f"{spec.repository}@{artifact.manifest}",
        revision=artifact.revision,
        digest=artifact.digest,
        size=artifact.size,
        metadata=dict(artifact.metadata),
    )


def _observed(source: OCIRepository) -> dict[str, Any]:
    selector = source.spec.layer_selector
    chosen = {"mediaType": selector.media_type, "operation": selector.operation or ""} if selector else {}
    return {
        "observed_ignore": source.spec.ignore,
        "observed_layer_selector": {name: value for name, value in chosen.items() if value} or None,
    }
