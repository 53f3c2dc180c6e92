"""HelmRepositories by name and by URL, and how each is reached: live ones, and those that a commit brings."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Protocol

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.parts.chart import Verification
from gitsync.api.sources import HelmRepository
from gitsync.errors import ChartError, FieldNotSupported, SourceNotReady
from gitsync.logins import Logins
from gitsync.oci import DockerConfig
from gitsync.sources.cosignkeys import verification_of
from gitsync.sources.helm import ChartRepositories, RepositorySpec
from gitsync.sources.helm.http import chart_errors
from gitsync.sources.oci import CosignVerification
from gitsync.sources.resolve.commitsources import ALL_READ, CommitSources, Unread
from gitsync.sources.secrets import cloud_account, connection, docker_config, read_secret
from gitsync.sources.unsupported import check_supported

if TYPE_CHECKING:
    from gitsync.cluster import Cluster, Informer


class RepositoryLookup(Protocol):
    """Knows the HelmRepositories: those of a cluster as they were last read, or as a commit would have them."""

    async def spec_of(self, key: ObjectKey) -> RepositorySpec:
        """How to reach a HelmRepository.

        Raises: SourceNotReady when there is none; ChartRepositoryUnavailable, ChartError, FieldErrors.
        """

    async def verification_of(self, key: ObjectKey, wanted: Verification | None) -> CosignVerification | None:
        """The signatures that the charts of a HelmRepository must have, with the keys of a Secret in its namespace;
        None for none.

        Raises: SourceNotReady, NotVerified, ApiError, ClusterUnavailable.
        """

    def with_url(self, url: str, namespaces: Collection[str]) -> ObjectKey | None:
        """The HelmRepository of one of these namespaces that has this URL (see ``comparable``); None without one."""


def comparable(url: str) -> str:
    """A URL of a chart repository in a form that is equal for URLs that mean the same: host in lower case, no slash
    at the end."""
    scheme, separator, rest = url.strip().partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme.lower()}{separator}{host.lower()}{slash}{path}".rstrip("/")


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
        unread: Unread = ALL_READ,
    ) -> None:
        self._repositories = repositories
        self._sources = CommitSources(HelmRepository.parse, desired, cluster, watch, unread)
        self._cluster = cluster
        self._watch = watch
        self._read: dict[ObjectKey, RepositorySpec] = {}

    async def spec_of(self, key: ObjectKey) -> RepositorySpec:
        """How to reach a HelmRepository, its index read anew the first time.

        Raises: SourceNotReady, FieldErrors, ChartError, ChartRepositoryUnavailable.
        """
        if (known := self._read.get(key)) is not None:
            return known
        repository = self._sources.get(key)
        opened = partial(repository_spec, logins=self._repositories.logins)
        spec = await self._sources.opened(repository, plain_spec(repository), opened)
        await self._repositories.refresh(spec)
        self._read[key] = spec
        return spec

    async def verification_of(self, key: ObjectKey, wanted: Verification | None) -> CosignVerification | None:
        """See RepositoryLookup."""
        if wanted is None:
            return None
        if self._cluster is None:
            raise SourceNotReady(
                "spec.chart.spec.verify needs a Secret of the cluster",
                hint="no cluster is asked here; gitsync plan asks one",
            )
        return await verification_of(self._cluster, wanted, key.namespace)

    def with_url(self, url: str, namespaces: Collection[str]) -> ObjectKey | None:
        """See RepositoryLookup."""
        live = {key: url_in(manifest) for key, manifest in self._watch.items()} if self._watch is not None else {}
        found = {key: item.spec.url for key, item in self._sources.desired.items()}
        return with_url(url, namespaces, live | found)


async def repository_spec(
    cluster: Cluster, repository: HelmRepository, plain: RepositorySpec, logins: Logins
) -> RepositorySpec:
    """How to reach a HelmRepository: ``plain_spec`` with what its Secrets hold, or with a cloud's login.

    Raises: ChartRepositoryUnavailable when a Secret is missing or holds no text, ChartError for what cannot be used.
    """
    spec, namespace = repository.spec, repository.metadata.namespace
    with chart_errors():
        name = spec.secret_ref.name if spec.secret_ref else ""
        login = await read_secret(cluster, namespace, name, spec.url) if name else {}
        certs = spec.cert_secret_ref.name if spec.cert_secret_ref else ""
        reached = await connection(cluster, namespace, certs, "", spec.url)
        asks = plain.is_registry and spec.logs_in
        who = await cloud_account(cluster, logins, namespace, "", spec.url) if asks else None
        lender = logins.for_registry(spec.provider, plain.host, who) if asks else None
        docker = docker_config(login, namespace, name) if plain.is_registry else None
    return replace(
        plain,
        username=login.get("username", ""),
        password=login.get("password", ""),
        ca=reached.ca,
        cert=reached.cert,
        key=reached.key,
        docker=docker or DockerConfig(),
        lender=lender,
    )


def plain_spec(repository: HelmRepository) -> RepositorySpec:
    """How to reach a HelmRepository, without what its Secrets hold. Raises: ChartError for a field that is refused."""
    try:
        check_supported(repository)
    except FieldNotSupported as error:
        raise ChartError(error.message, hint=error.hint) from error
    spec = repository.spec
    return RepositorySpec(
        url=spec.url,
        pass_credentials=spec.pass_credentials,
        timeout=spec.timeout,
        owner=repository.metadata.namespace,
        insecure=spec.insecure,
    )


def with_url(url: str, namespaces: Collection[str], urls: Mapping[ObjectKey, str]) -> ObjectKey | None:
    wanted = comparable(url)
    same = [key for key, its in urls.items() if key.namespace in namespaces and comparable(its) == wanted]
    return min(same, default=None)


def url_in(manifest: Manifest) -> str:
    return str((manifest.get("spec") or {}).get("url", ""))
