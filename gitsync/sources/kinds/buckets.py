"""Buckets of a cluster: their artifacts kept current, their status written."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.names import BUCKET_OPERATION_FAILED
from gitsync.api.sources import Bucket
from gitsync.api.status import Artifact as StatusArtifact
from gitsync.api.status import BucketStatus
from gitsync.sources.bucket import BucketArtifact, BucketArtifacts, BucketSpec
from gitsync.sources.kinds.artifactsource import ArtifactSources
from gitsync.sources.kinds.reconciler import Outcome, Words
from gitsync.sources.resolve.artifacts import Artifact
from gitsync.sources.resolve.bucketartifact import (
    Found,
    bucket_spec,
    chart_artifact,
    plain_bucket_spec,
    tree_artifact,
    without_keys,
)
from gitsync.sources.resolve.treeartifact import TreeArtifact

if TYPE_CHECKING:
    from gitsync.cluster import Cluster, Informer
    from gitsync.runtime.recorder import EventRecorder

#: How many characters of a revision log lines show, ``sha256:`` included.
_SHOWN = 19


class Buckets(ArtifactSources[Bucket, BucketSpec, BucketArtifact]):
    """See ArtifactSources."""

    status = BucketStatus
    words = Words("bucket cannot be read", "bucket can be read again", "bucket read")
    unreachable = BUCKET_OPERATION_FAILED

    def __init__(
        self,
        cluster: Cluster,
        artifacts: BucketArtifacts,
        watch: Informer,
        events: EventRecorder,
        on_change: Callable[[ObjectKey], None],
    ) -> None:
        super().__init__(cluster, watch, events, on_change)
        self._artifacts = artifacts

    async def artifact_of(self, key: ObjectKey) -> Artifact:
        """See BucketLookup. No server is asked. Raises: SourceNotReady, ArtifactPending."""
        return await chart_artifact(self._artifacts, *self.found(key))

    async def tree_of(self, key: ObjectKey) -> TreeArtifact:
        """See TreesOfKind."""
        return await tree_artifact(self._artifacts, *self.found(key))

    def revision_of(self, key: ObjectKey) -> str:
        """See TreesOfKind."""
        return self.found(key)[1].revision

    def _parse(self, manifest: Manifest) -> Bucket:
        return Bucket.parse(manifest)

    def _plain(self, source: Bucket) -> BucketSpec:
        return plain_bucket_spec(source)

    async def _opened(self, source: Bucket, plain: BucketSpec) -> BucketSpec:
        return await bucket_spec(self._cluster, source, plain)

    def _without_secrets(self, spec: BucketSpec) -> BucketSpec:
        return without_keys(spec)

    async def _known(self, key: ObjectKey, source: Bucket, spec: BucketSpec) -> BucketArtifact | None:
        return await self._artifacts.known(spec)

    async def _asked(self, key: ObjectKey, source: Bucket, spec: BucketSpec) -> BucketArtifact:
        artifact, _ = await self._artifacts.refresh(spec)
        return artifact

    def _outcome(self, key: ObjectKey, source: Bucket, found: Found, changed: bool) -> Outcome:
        spec, artifact = found
        name = artifact.revision.rpartition(":")[2]
        said = StatusArtifact(
            path=f"bucket/{key.namespaced_name}/{name}.tar.gz",
            url=str(spec.place),
            revision=artifact.revision,
            digest=artifact.digest,
            size=artifact.size,
        )
        line = {"revision": artifact.revision[:_SHOWN], "files": len(artifact.files), "bytes": artifact.size}
        message = f"stored artifact: revision '{artifact.revision}'"
        return Outcome(message, said, line, changed, True, {"observed_ignore": source.spec.ignore})

    def _dropped(self, key: ObjectKey, found: Found | None) -> None:
        if found is not None:
            self._artifacts.forget(found[0])
