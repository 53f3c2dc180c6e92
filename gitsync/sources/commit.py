"""The sources as a commit would have them: ``plan``, ``diff``, ``verify`` and ``validate`` take charts and trees from
these."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from gitsync.api.generator import ArtifactGenerator
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.names import BUCKET, GIT_REPOSITORY, HELM_CHART, HELM_REPOSITORY, OCI_REPOSITORY, SOURCE_GROUP
from gitsync.api.sources import Bucket, GitRepository, HelmChart, HelmRepository, OCIRepository
from gitsync.errors import ManifestError
from gitsync.manifests import Desired
from gitsync.sources.charts.charttree import ChartTrees
from gitsync.sources.charts.commitcharts import CommitHelmCharts
from gitsync.sources.generator.generators import makers_of
from gitsync.sources.helm import ChartRepositories
from gitsync.sources.locator import ChartLocator
from gitsync.sources.resolve.artifacts import Artifacts
from gitsync.sources.resolve.bucketartifact import CommitBuckets
from gitsync.sources.resolve.gitartifact import CommitGitRepositories
from gitsync.sources.resolve.ociartifact import CommitOCIRepositories
from gitsync.sources.resolve.repositories import CommitHelmRepositories
from gitsync.sources.trees import CommitTrees

if TYPE_CHECKING:
    from gitsync.cluster import Cluster, Informer

#: The watches of a cluster, by group and kind.
Watches = Mapping[tuple[str, str], "Informer"]


@dataclass(frozen=True)
class Brought:
    """The sources that a commit brings, as far as they are known by now."""

    helm: dict[ObjectKey, HelmRepository] = field(default_factory=dict)
    oci: dict[ObjectKey, OCIRepository] = field(default_factory=dict)
    git: dict[ObjectKey, GitRepository] = field(default_factory=dict)
    buckets: dict[ObjectKey, Bucket] = field(default_factory=dict)
    charts: dict[ObjectKey, HelmChart] = field(default_factory=dict)
    generators: dict[ObjectKey, ArtifactGenerator] = field(default_factory=dict)
    #: Objects that it has and that cannot be read, with the error; of other kinds, too.
    unread: dict[ObjectKey, ManifestError] = field(default_factory=dict)

    @classmethod
    def of(cls, desired: Desired) -> Brought:
        """All sources of a commit."""
        brought = cls()
        brought.add(desired)
        return brought

    def add(self, desired: Desired) -> None:
        """Add the sources of one more part of the commit."""
        self.helm.update(desired.helm_repositories)
        self.oci.update(desired.oci_repositories)
        self.git.update(desired.git_repositories)
        self.buckets.update(desired.buckets)
        self.charts.update(desired.helm_charts)
        self.generators.update(desired.artifact_generators)
        self.unread.update({error.key: error for error in desired.errors if error.key is not None})


def makers_in(desired: Desired, artifact: ObjectKey) -> list[ArtifactGenerator]:
    """The ArtifactGenerators of a commit that may make an ExternalArtifact."""
    return makers_of(artifact, [it for _, it in sorted(desired.artifact_generators.items())])


class SourcesOfCommit(NamedTuple):
    """``locator`` finds the charts of releases, ``trees`` has what Kustomizations are built from."""

    locator: ChartLocator
    trees: CommitTrees


def sources_of_commit(
    brought: Brought,
    artifacts: Artifacts,
    fetched: ChartRepositories,
    cluster: Cluster | None = None,
    watches: Watches = MappingProxyType({}),
    generators: Iterable[ArtifactGenerator] = (),
) -> SourcesOfCommit:
    """The sources of a commit, and all others as the cluster, if there is one, has them, by its ``generators`` and
    ``watches``."""
    helm_watch, oci_watch, git_watch, bucket_watch, chart_watch = (
        watches.get((SOURCE_GROUP, kind))
        for kind in (HELM_REPOSITORY, OCI_REPOSITORY, GIT_REPOSITORY, BUCKET, HELM_CHART)
    )
    unread, logins = brought.unread, fetched.logins
    repositories = CommitHelmRepositories(fetched, brought.helm, cluster, helm_watch, unread)
    oci = CommitOCIRepositories(fetched.artifacts, logins, brought.oci, cluster, oci_watch, unread)
    git = CommitGitRepositories(fetched.git, logins, brought.git, artifacts, cluster, git_watch, unread)
    buckets = CommitBuckets(fetched.buckets, brought.buckets, cluster, bucket_watch, unread)
    locator = ChartLocator(repositories, artifacts, fetched, oci, git, buckets)
    unpacked = ChartTrees(fetched.unpacker, fetched.trees)
    charts = CommitHelmCharts(locator.located, brought.charts, cluster, chart_watch, unpacked, unread)

    def live(key: ObjectKey) -> Manifest | None:
        watch = watches.get(key[:2])
        return watch.get(key) if watch is not None else None

    def all_generators() -> list[ArtifactGenerator]:
        both = {**{it.key: it for it in generators}, **brought.generators}
        return [it for _, it in sorted(both.items())]

    trees = CommitTrees(artifacts, git, oci, buckets, live, all_generators, fetched.unpacker, charts)
    locator.helm_charts, locator.made = charts, trees.tree_of
    return SourcesOfCommit(locator, trees)
