"""The artifacts of Buckets: of those in the cluster, and of those that a commit brings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from gitsync.api.identity import CommitInfo, ObjectKey
from gitsync.api.sources import Bucket
from gitsync.http import Connection
from gitsync.s3 import Keys, Place
from gitsync.sources.bucket import BucketArtifact, BucketArtifacts, BucketSpec
from gitsync.sources.resolve.artifacts import Artifact
from gitsync.sources.resolve.commitsources import ALL_READ, CommitSources, Unread, use_of
from gitsync.sources.resolve.treeartifact import TreeArtifact
from gitsync.sources.secrets import bucket_keys, connection
from gitsync.sources.unsupported import check_supported

if TYPE_CHECKING:
    from gitsync.cluster import Cluster, Informer

#: An artifact, and where it was had from, should it have to be fetched again.
Found = tuple[BucketSpec, BucketArtifact]


class BucketLookup(Protocol):
    """Knows the Buckets: those of a cluster as they were last read, or as a commit would have them."""

    async def artifact_of(self, key: ObjectKey) -> Artifact:
        """The artifact of a Bucket.

        Raises: SourceNotReady when there is no such Bucket, or it has no artifact for its present spec.
        """


def plain_bucket_spec(bucket: Bucket) -> BucketSpec:
    """What a Bucket asks for, without what its Secrets hold. Raises: SourceError."""
    spec, owner = bucket.spec, bucket.metadata.namespace
    place = Place(
        spec.endpoint, spec.bucket_name, spec.region, insecure=spec.insecure, timeout=spec.timeout, owner=owner
    )
    return BucketSpec(place, spec.prefix, spec.ignore)


async def bucket_spec(cluster: Cluster, bucket: Bucket, plain: BucketSpec) -> BucketSpec:
    """What a Bucket asks for, with its keys out of Secrets. Raises: SourceUnavailable, SourceError, ApiError,
    ClusterUnavailable."""
    spec, namespace, url = bucket.spec, bucket.metadata.namespace, str(plain.place)
    secret, certs, proxy = (
        reference.name if reference else ""
        for reference in (spec.secret_ref, spec.cert_secret_ref, spec.proxy_secret_ref)
    )
    keys = await bucket_keys(cluster, namespace, secret, url) if secret else Keys()
    reached = await connection(cluster, namespace, certs, proxy, url)
    return replace(plain, place=replace(plain.place, keys=keys, connection=reached))


def without_keys(spec: BucketSpec) -> BucketSpec:
    """A spec as ``plain_bucket_spec`` returns it, without what Secrets hold."""
    return replace(spec, place=replace(spec.place, keys=Keys(), connection=Connection()))


async def tree_artifact(artifacts: BucketArtifacts, spec: BucketSpec, artifact: BucketArtifact) -> TreeArtifact:
    """A Bucket's artifact as a tree, which Kustomizations are built from."""
    tree = await artifacts.tree(spec, artifact)
    return TreeArtifact(artifact.revision, _commit(spec, artifact), str(spec.place), tree)


async def chart_artifact(artifacts: BucketArtifacts, spec: BucketSpec, artifact: BucketArtifact) -> Artifact:
    """A Bucket's artifact as a source of charts."""
    return Artifact(_commit(spec, artifact), await artifacts.tree(spec, artifact))


def _commit(spec: BucketSpec, artifact: BucketArtifact) -> CommitInfo:
    """The id that log lines and records show in the place of a commit's."""
    subject = f"artifact {artifact.revision[:19]} of bucket {spec.place.bucket}"
    return CommitInfo(artifact.revision.rpartition(":")[2], subject=subject)


class CommitBuckets:
    """The Buckets as a commit would have them: its own first, then the cluster's, if there is a cluster.

    Of a cluster that is served in one namespace only, that namespace's count. Each is asked for once, when needed.
    """

    def __init__(
        self,
        artifacts: BucketArtifacts,
        desired: Mapping[ObjectKey, Bucket],
        cluster: Cluster | None = None,
        watch: Informer | None = None,
        unread: Unread = ALL_READ,
    ) -> None:
        self._artifacts = artifacts
        self._sources = CommitSources(Bucket.parse, desired, cluster, watch, unread)
        self._found: dict[ObjectKey, Found] = {}

    async def artifact_of(self, key: ObjectKey) -> Artifact:
        """See BucketLookup. Raises: SourceNotReady."""
        found = await self._find(key)
        with use_of(key):
            return await chart_artifact(self._artifacts, *found)

    async def tree_of(self, key: ObjectKey) -> TreeArtifact:
        """The tree of a Bucket. Raises: SourceNotReady."""
        found = await self._find(key)
        with use_of(key):
            return await tree_artifact(self._artifacts, *found)

    async def _find(self, key: ObjectKey) -> Found:
        if key not in self._found:
            bucket = self._sources.get(key)
            with use_of(key):
                check_supported(bucket)
                spec = await self._sources.opened(bucket, plain_bucket_spec(bucket), bucket_spec)
                self._found[key] = spec, (await self._artifacts.refresh(spec))[0]
        return self._found[key]
