"""The artifacts of OCIRepositories: of those in the cluster, and of those that a commit brings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Protocol

from gitsync.api.identity import CommitInfo, ObjectKey
from gitsync.api.sources import OCIRepository
from gitsync.errors import SourceError
from gitsync.http import Connection
from gitsync.logins import Logins
from gitsync.oci import Login, Repository
from gitsync.oci.digest import is_digest
from gitsync.oci.repository import split_url
from gitsync.sources.cosignkeys import plain_verification, verification_of
from gitsync.sources.oci import ArtifactSpec, OciArtifact, OciArtifacts
from gitsync.sources.resolve.commitsources import ALL_READ, CommitSources, Unread, use_of
from gitsync.sources.resolve.treeartifact import TreeArtifact, shortened
from gitsync.sources.secrets import cloud_account, connection, registry_login
from gitsync.sources.unsupported import check_supported
from gitsync.text import shorten

if TYPE_CHECKING:
    from gitsync.cluster import Cluster, Informer

#: The annotation with the Git revision that an artifact was made of (`flux push artifact --revision`).
_REVISION = "org.opencontainers.image.revision"
_LONGEST_ORIGIN = 200
#: Digits of a commit that log lines show.
_SHOWN = 7
#: An artifact, and where it was had from, should it have to be fetched again.
Found = tuple[ArtifactSpec, OciArtifact]


class ArtifactLookup(Protocol):
    """Knows the OCIRepositories: those of a cluster as they were last read, or as a commit would have them."""

    async def artifact_of(self, key: ObjectKey) -> Found:
        """The artifact of an OCIRepository.

        Raises: SourceNotReady when there is no such OCIRepository, or it has no artifact for its present spec.
        """


def plain_artifact_spec(repository: OCIRepository) -> ArtifactSpec:
    """What an OCIRepository asks for, without what its Secrets hold. Raises: SourceError."""
    spec, ref = repository.spec, repository.spec.ref
    host, name = split_url(spec.url)
    owner = repository.metadata.namespace
    where = Repository(host, name, insecure=spec.insecure, timeout=spec.timeout, owner=owner)
    selector = spec.layer_selector
    media_type = selector.media_type if selector else ""
    copies = selector is not None and selector.operation == "copy"
    verification = plain_verification(spec.verify, owner)
    plain = ArtifactSpec(where, media_type=media_type, ignore=spec.ignore, copies=copies, verification=verification)
    if ref is None:
        return plain
    if ref.digest and not is_digest(ref.digest):
        raise SourceError(
            f"{where}: ref.digest is no digest", url=str(where), hint="write it as sha256:<64 hex digits>"
        )
    return replace(plain, tag=ref.tag, semver=ref.semver, semver_filter=ref.semver_filter, digest=ref.digest)


async def artifact_spec(
    cluster: Cluster, repository: OCIRepository, plain: ArtifactSpec, logins: Logins
) -> ArtifactSpec:
    """What an OCIRepository asks for, with its login out of Secrets or from a cloud.

    Raises: SourceUnavailable, SourceError, ApiError, ClusterUnavailable.
    """
    spec, namespace, where = repository.spec, repository.metadata.namespace, plain.repository
    secret, certs, proxy = (
        reference.name if reference else ""
        for reference in (spec.secret_ref, spec.cert_secret_ref, spec.proxy_secret_ref)
    )
    account = spec.service_account_name or ""
    if spec.logs_in:
        who = await cloud_account(cluster, logins, namespace, account, spec.url)
        where = replace(where, lender=logins.for_registry(spec.provider, where.host, who))
    else:
        login = await registry_login(cluster, namespace, where.host, where.name, secret, account, spec.url)
        where = replace(where, login=login)
    reached = await connection(cluster, namespace, certs, proxy, spec.url)
    verification = await verification_of(cluster, spec.verify, namespace)
    return replace(plain, repository=replace(where, connection=reached), verification=verification)


def without_secrets(spec: ArtifactSpec) -> ArtifactSpec:
    """A spec as ``plain_artifact_spec`` returns it, without what Secrets hold."""
    verification = spec.verification.plain if spec.verification is not None else None
    plain = replace(spec.repository, login=Login(), lender=None, connection=Connection())
    return replace(spec, repository=plain, verification=verification)


async def tree_artifact(artifacts: OciArtifacts, spec: ArtifactSpec, artifact: OciArtifact) -> TreeArtifact:
    """The files of an artifact. Raises: ArtifactError, SourceError, SourceUnavailable."""
    tree = await artifacts.tree(spec, artifact)
    origin = artifact.metadata.get(_REVISION, "")
    return TreeArtifact(artifact.revision, _commit(artifact, origin), str(spec.repository), tree, origin)


def _commit(artifact: OciArtifact, origin: str) -> CommitInfo:
    """The id that log lines and records show in the place of a commit's: the artifact's digest, with the Git
    revision that it says it was made of."""
    name, colon, commit = shorten(origin, _LONGEST_ORIGIN).rpartition(":")
    made_of = f", made of {name}{colon}{commit[:_SHOWN]}" if commit else ""
    return CommitInfo(artifact.manifest.rpartition(":")[2], subject=f"artifact {shortened(artifact.revision)}{made_of}")


class CommitOCIRepositories:
    """The OCIRepositories as a commit would have them: its own first, then the cluster's, if there is a cluster.

    Of a cluster that is served in one namespace only, that namespace's count. Each is asked for once, when needed.
    """

    def __init__(
        self,
        artifacts: OciArtifacts,
        logins: Logins,
        desired: Mapping[ObjectKey, OCIRepository],
        cluster: Cluster | None = None,
        watch: Informer | None = None,
        unread: Unread = ALL_READ,
    ) -> None:
        self._artifacts = artifacts
        self._logins = logins
        self._sources = CommitSources(OCIRepository.parse, desired, cluster, watch, unread)
        self._found: dict[ObjectKey, Found] = {}

    async def artifact_of(self, key: ObjectKey) -> Found:
        """See ArtifactLookup. Raises: SourceNotReady."""
        if key not in self._found:
            repository = self._sources.get(key)
            with use_of(key):
                check_supported(repository)
                opened = partial(artifact_spec, logins=self._logins)
                spec = await self._sources.opened(repository, plain_artifact_spec(repository), opened)
                self._found[key] = spec, (await self._artifacts.refresh(spec))[0]
        return self._found[key]

    async def tree_of(self, key: ObjectKey) -> TreeArtifact:
        """The tree of an OCIRepository. Raises: SourceNotReady."""
        spec, artifact = await self.artifact_of(key)
        with use_of(key):
            return await tree_artifact(self._artifacts, spec, artifact)
