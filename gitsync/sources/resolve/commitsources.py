"""The sources of a kind as a commit would have them: its own first, then the cluster's, if there is a cluster."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.names import EXTERNAL_ARTIFACT, GIT_REPOSITORY, HELM_CHART, OCI_REPOSITORY, WELL_KNOWN
from gitsync.api.sources import ChartHolder, HelmChart, OCIRepositorySpec
from gitsync.errors import GitsyncError, ManifestError, NoSuchSource, SourceNotReady

if TYPE_CHECKING:
    from gitsync.cluster import Cluster, Informer

S = TypeVar("S", bound=ChartHolder)
P = TypeVar("P")

#: The kinds that a release may name by ``chartRef``.
_BY_CHART_REF = (OCI_REPOSITORY, HELM_CHART, EXTERNAL_ARTIFACT)
#: Sources in a commit that cannot be read, each with its error.
Unread = Mapping[ObjectKey, ManifestError]
ALL_READ: Final[Unread] = MappingProxyType({})
_OF_SETTINGS = "it means the repository that --repo names, where there is one that its namespace may use; else "
_OF_FLUX = "Flux's operator makes it of a FluxInstance, and gitsync does not: "


class CommitSources(Generic[S]):
    """Finds them; ``parse`` reads one of the cluster. Of a cluster that is served in one namespace only, that
    namespace's count. ``unread`` are those of the commit that it has and that cannot be read."""

    def __init__(
        self,
        parse: Callable[[Manifest], S],
        desired: Mapping[ObjectKey, S],
        cluster: Cluster | None,
        watch: Informer | None,
        unread: Unread,
    ) -> None:
        self._parse = parse
        self._desired = desired
        self._cluster = cluster
        self._watch = watch
        self._unread = unread
        self._served = cluster.namespace if cluster is not None else ""

    @property
    def desired(self) -> Mapping[ObjectKey, S]:
        """The sources that the commit brings, as far as they are served."""
        return {key: source for key, source in self._desired.items() if self._served in ("", key.namespace)}

    def find(self, key: ObjectKey) -> S | None:
        """A source; None when there is none. Raises: FieldErrors for one in the cluster that cannot be read."""
        if self._served in ("", key.namespace) and key in self._desired:
            return self._desired[key]
        return self.live(key)

    def live(self, key: ObjectKey) -> S | None:
        """A source as the cluster has it, whatever the commit has."""
        live = self._watch.get(key) if self._watch is not None else None
        return self._parse(live) if live is not None else None

    def get(self, key: ObjectKey) -> S:
        """A source that must exist. Raises: SourceNotReady, FieldErrors."""
        source = self.find(key)
        if source is None:
            error = self._unread.get(key)
            raise unreadable(key, error) if error is not None else missing(key, self._served)
        return source

    async def opened(self, source: S, plain: P, opened: Callable[[Cluster, S, P], Awaitable[P]]) -> P:
        """What a source asks for: ``plain`` is that without what its Secrets hold, ``opened`` adds these.

        Raises: SourceNotReady when it needs Secrets and there is no cluster; what ``opened`` raises.
        """
        if self._cluster is not None:
            return await opened(self._cluster, source, plain)
        if getattr(source.spec, "logs_in", False):
            raise SourceNotReady(
                f"{source.kind} '{source.key.namespaced_name}' needs a login of a cloud, which the agent's pod has",
                hint="no cloud is asked here",
            )
        if needs_secrets(source):
            raise SourceNotReady(
                f"{source.kind} '{source.key.namespaced_name}' needs a Secret of the cluster",
                hint="no cluster is asked here; gitsync plan asks one",
            )
        return plain


@contextmanager
def use_of(key: ObjectKey) -> Iterator[None]:
    """Around the use of a source: an error becomes one that says that the source is not ready. Raises:
    SourceNotReady."""
    try:
        yield
    except SourceNotReady:
        raise
    except GitsyncError as error:
        raise not_ready(key, error.message, error.hint) from error


def needs_secrets(source: ChartHolder) -> bool:
    """Whether a source can be read only with what a cluster holds."""
    if isinstance(source, HelmChart):
        return source.spec.verify is not None
    return bool(
        source.spec.secrets or (isinstance(source.spec, OCIRepositorySpec) and source.spec.service_account_name)
    )


def missing(key: ObjectKey, served: str) -> SourceNotReady:
    """The error about a source that does not exist. ``served`` is the one namespace that is looked in, "" for all."""
    if served in ("", key.namespace):
        reference = "what refers to it" if key.kind in _BY_CHART_REF else "sourceRef"
        return NoSuchSource(
            f"{key.kind} '{key.namespaced_name}' does not exist",
            hint=f"{made_by_flux(key)}add it to the repository, or correct {reference}",
        )
    return SourceNotReady(
        f"{key.kind} '{key.namespaced_name}' cannot be seen: only those of namespace '{served}' are (watch_namespace)",
        hint=f"put {'an' if key.kind == OCI_REPOSITORY else 'a'} {key.kind} into the namespace of its releases",
    )


def unreadable(key: ObjectKey, error: ManifestError) -> SourceNotReady:
    """The error about a source that is in Git, and cannot be read there."""
    return not_ready(key, f"it cannot be read in Git: {error.origin}: {error.message}", error.hint)


def made_by_flux(key: ObjectKey) -> str:
    """What is said of a source or Kustomization that is not there, and has the name of those that nobody writes who has
    a FluxInstance, of a GitRepository what else it would mean; "" of others."""
    if key.name != WELL_KNOWN:
        return ""
    return _OF_SETTINGS if key.kind == GIT_REPOSITORY else _OF_FLUX


def not_ready(key: ObjectKey, why: str, hint: str = "") -> SourceNotReady:
    """The error about a source that exists and cannot be used."""
    return SourceNotReady(f"{key.kind} '{key.namespaced_name}' is not ready: {why}", hint=hint)
