"""The kinds that commands are about: one entry each, which gives every verb of ``gitsync.cli.cluster`` its command."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gitsync.api import names
from gitsync.api.identity import ObjectKey
from gitsync.api.kinds import NOTIFICATION_GROUP, SOURCE_EXTENSIONS_GROUP
from gitsync.api.names import (
    GIT_REPOSITORY,
    HELM_GROUP,
    HELM_RELEASE,
    HELM_REPOSITORY,
    KUSTOMIZE_GROUP,
    OCI_REPOSITORY,
    SOURCE_GROUP,
)
from gitsync.live.columns import (
    Columns,
    age,
    applied_revision,
    artifact_revision,
    asked_chart,
    chart,
    chart_source,
    chart_version,
    commit,
    endpoint,
    made_artifacts,
    path,
    provider_name,
    provider_type,
    release_revision,
    repository_revision,
    sender_type,
    severity,
    url,
    webhook_path,
)


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """A kind, and how commands speak of it.

    Its commands are ``gitsync VERB WORD``, or for a source ``gitsync VERB source WORD``, and ``gitsync get PLURAL``;
    ``aliases`` are further words for it. ``help`` has, by verb, the command's help for this kind. A kind that is static
    has no status, and its objects cannot be reconciled.
    """

    group: str
    kind: str
    word: str
    plural: str
    aliases: tuple[str, ...]
    columns: Columns
    help: Mapping[str, str]
    is_source: bool = False
    is_static: bool = False

    @property
    def words(self) -> str:
        """What follows a verb on the command line."""
        return f"source {self.word}" if self.is_source else self.word

    def key(self, namespace: str, name: str) -> ObjectKey:
        """One object of this kind."""
        return ObjectKey(self.group, self.kind, namespace, name)


RELEASE = Kind(
    HELM_GROUP,
    HELM_RELEASE,
    word="helmrelease",
    plural="helmreleases",
    aliases=("hr",),
    columns=Columns(release_revision, (("CHART", chart), ("COMMIT", commit), ("AGE", age))),
    help={
        "get": """Show HelmReleases (also: hr, helmrelease).

            Example: gitsync get helmreleases -A --watch""",
        "suspend": """Suspend HelmReleases: no install, no upgrade, and no uninstall when one is deleted.

            Where Git itself says spec.suspend, Git puts it back; a warning names the file.

            Example: gitsync suspend helmrelease redis backend -n default""",
        "resume": """Resume HelmReleases, and wait until they are ready: exit code 0 when all are, else 1.

            Example: gitsync resume helmrelease redis backend -n default""",
        "delete": """Delete a HelmRelease; the agent uninstalls its release, unless it is suspended.

            What comes from Git is put back by the agent: remove it there.

            Example: gitsync delete helmrelease backend -n default --silent""",
        "export": """Print HelmReleases as YAML that can be committed.

            Example: gitsync export helmrelease redis -n default""",
    },
)

KUSTOMIZATION = Kind(
    KUSTOMIZE_GROUP,
    names.KUSTOMIZATION,
    word="kustomization",
    plural="kustomizations",
    aliases=("ks",),
    columns=Columns(applied_revision, (("PATH", path), ("COMMIT", commit), ("AGE", age))),
    help={
        "get": """Show Kustomizations (also: ks, kustomization).

            Example: gitsync get kustomizations -A""",
        "reconcile": """Build and apply a Kustomization now: exit code 0 when it is ready, else 1.

            Example: gitsync reconcile kustomization apps -n flux-system --with-source""",
        "suspend": """Suspend Kustomizations: nothing is applied or deleted for them, also when one is deleted.

            Example: gitsync suspend kustomization apps -n flux-system""",
        "resume": """Resume Kustomizations, and wait until they are ready: exit code 0 when all are, else 1.

            Example: gitsync resume kustomization apps -n flux-system""",
        "delete": """Delete a Kustomization; the agent deletes what it has applied, as prune and deletionPolicy say.

            What comes from Git is put back by the agent: remove it there.

            Example: gitsync delete kustomization apps -n flux-system --silent""",
        "export": """Print Kustomizations as YAML that can be committed.

            Example: gitsync export kustomization apps -n flux-system""",
    },
)

REPOSITORY = Kind(
    SOURCE_GROUP,
    HELM_REPOSITORY,
    word="helm",
    plural="helmrepositories",
    aliases=("helmrepo", "helmrepos"),
    is_source=True,
    columns=Columns(repository_revision, (("URL", url), ("COMMIT", commit), ("AGE", age))),
    help={
        "get": """Show HelmRepositories (also: helmrepo, helmrepository, sources helm).

            Example: gitsync get helmrepositories -n default -o wide""",
        "reconcile": """Read the index of a HelmRepository now: exit code 0 when it is ready, else 1.

            Example: gitsync reconcile source helm bitnami -n default""",
        "suspend": """Suspend HelmRepositories: their indexes are not read again.

            Example: gitsync suspend source helm bitnami -n default""",
        "resume": """Resume HelmRepositories, and wait until their indexes are read: exit code 0 when all are, else 1.

            Example: gitsync resume source helm bitnami -n default""",
        "delete": """Delete a HelmRepository; releases that were installed from it stay.

            Example: gitsync delete source helm podinfo -n default --silent""",
        "export": """Print HelmRepositories as YAML that can be committed.

            Example: gitsync export source helm bitnami -n default""",
    },
)

OCI = Kind(
    SOURCE_GROUP,
    OCI_REPOSITORY,
    word="oci",
    plural="ocirepositories",
    aliases=("ocirepo", "ocirepos"),
    is_source=True,
    columns=Columns(artifact_revision, (("URL", url), ("COMMIT", commit), ("AGE", age))),
    help={
        "get": """Show OCIRepositories (also: ocirepo, ocirepository, sources oci).

            Example: gitsync get ocirepositories -n default -o wide""",
        "reconcile": """Ask the registry of an OCIRepository now: exit code 0 when its artifact is there, else 1.

            Example: gitsync reconcile source oci podinfo -n default""",
        "suspend": """Suspend OCIRepositories: their registries are not asked again.

            Example: gitsync suspend source oci podinfo -n default""",
        "resume": """Resume OCIRepositories, and wait for their artifacts: exit code 0 when all are ready, else 1.

            Example: gitsync resume source oci podinfo -n default""",
        "delete": """Delete an OCIRepository; releases that were installed from it stay.

            Example: gitsync delete source oci podinfo -n default --silent""",
        "export": """Print OCIRepositories as YAML that can be committed.

            Example: gitsync export source oci podinfo -n default""",
    },
)

GIT = Kind(
    SOURCE_GROUP,
    GIT_REPOSITORY,
    word="git",
    plural="gitrepositories",
    aliases=("gitrepo", "gitrepos"),
    is_source=True,
    columns=Columns(artifact_revision, (("URL", url), ("COMMIT", commit), ("AGE", age))),
    help={
        "get": """Show GitRepositories (also: gitrepo, gitrepository, sources git).

            Example: gitsync get gitrepositories -n default -o wide""",
        "reconcile": """Ask the server of a GitRepository now: exit code 0 when its artifact is there, else 1.

            One that names the synced repository has that polled.

            Example: gitsync reconcile source git podinfo -n default""",
        "suspend": """Suspend GitRepositories: their servers are not asked again.

            The synced repository is polled all the same, whichever GitRepository names it.

            Example: gitsync suspend source git podinfo -n default""",
        "resume": """Resume GitRepositories, and wait for their artifacts: exit code 0 when all are ready, else 1.

            Example: gitsync resume source git podinfo -n default""",
        "delete": """Delete a GitRepository; releases that were installed from it stay.

            Example: gitsync delete source git podinfo -n default --silent""",
        "export": """Print GitRepositories as YAML that can be committed.

            Example: gitsync export source git podinfo -n default""",
    },
)

BUCKET = Kind(
    SOURCE_GROUP,
    names.BUCKET,
    word="bucket",
    plural="buckets",
    aliases=(),
    is_source=True,
    columns=Columns(artifact_revision, (("ENDPOINT", endpoint), ("COMMIT", commit), ("AGE", age))),
    help={
        "get": """Show Buckets (also: bucket, sources bucket).

            Example: gitsync get buckets -n default -o wide""",
        "reconcile": """Ask the server of a Bucket now: exit code 0 when its artifact is there, else 1.

            Example: gitsync reconcile source bucket apps -n default""",
        "suspend": """Suspend Buckets: their servers are not asked again.

            Example: gitsync suspend source bucket apps -n default""",
        "resume": """Resume Buckets, and wait for their artifacts: exit code 0 when all are ready, else 1.

            Example: gitsync resume source bucket apps -n default""",
        "delete": """Delete a Bucket; releases that were installed from it, and what Kustomizations have applied, stay.

            Example: gitsync delete source bucket apps -n default --silent""",
        "export": """Print Buckets as YAML that can be committed.

            Example: gitsync export source bucket apps -n default""",
    },
)

CHART = Kind(
    SOURCE_GROUP,
    names.HELM_CHART,
    word="chart",
    plural="helmcharts",
    aliases=("hc",),
    is_source=True,
    columns=Columns(
        chart_version, (("CHART", asked_chart), ("SOURCE", chart_source), ("COMMIT", commit), ("AGE", age))
    ),
    help={
        "get": """Show HelmCharts, those of HelmReleases too (also: hc, helmchart, sources chart).

            Example: gitsync get helmcharts -n default -o wide""",
        "suspend": """Suspend HelmCharts: each stays the chart that it is.

            Example: gitsync suspend source chart podinfo -n default""",
        "resume": """Resume HelmCharts, and wait for their charts: exit code 0 when all are ready, else 1.

            Example: gitsync resume source chart podinfo -n default""",
        "delete": """Delete a HelmChart; releases that were installed from it stay.

            One that a HelmRelease has is made again.

            Example: gitsync delete source chart podinfo -n default --silent""",
        "export": """Print HelmCharts as YAML that can be committed.

            Example: gitsync export source chart podinfo -n default""",
    },
)

GENERATOR = Kind(
    SOURCE_EXTENSIONS_GROUP,
    names.ARTIFACT_GENERATOR,
    word="artifactgenerator",
    plural="artifactgenerators",
    aliases=("ag",),
    columns=Columns(made_artifacts, (("COMMIT", commit), ("AGE", age))),
    help={
        "get": """Show ArtifactGenerators, and how many artifacts each has made (also: ag, artifactgenerator).

            Example: gitsync get artifactgenerators -A""",
        "reconcile": """Have an ArtifactGenerator make its artifacts now: exit code 0 when they are there, else 1.

            Example: gitsync reconcile artifactgenerator apps -n flux-system""",
        "suspend": """Suspend ArtifactGenerators: what they have made stays, and nothing is made anew.

            Example: gitsync suspend artifactgenerator apps -n flux-system""",
        "resume": """Resume ArtifactGenerators, and wait for what they make: exit code 0 when all are ready, else 1.

            Example: gitsync resume artifactgenerator apps -n flux-system""",
        "delete": """Delete an ArtifactGenerator, and with it the ExternalArtifacts that it has made.

            What Kustomizations have applied of these stays.

            Example: gitsync delete artifactgenerator apps -n flux-system --silent""",
        "export": """Print ArtifactGenerators as YAML that can be committed.

            Example: gitsync export artifactgenerator apps -n flux-system""",
    },
)

EXTERNAL = Kind(
    SOURCE_GROUP,
    names.EXTERNAL_ARTIFACT,
    word="external",
    plural="externalartifacts",
    aliases=("ea",),
    is_source=True,
    columns=Columns(artifact_revision, (("AGE", age),)),
    help={
        "get": """Show ExternalArtifacts, which ArtifactGenerators make (also: ea, externalartifact, sources external).

            Example: gitsync get externalartifacts -A""",
    },
)

PROVIDER = Kind(
    NOTIFICATION_GROUP,
    names.PROVIDER,
    word="provider",
    plural="providers",
    aliases=("alert-provider", "alert-providers"),
    is_static=True,
    columns=Columns(provider_type, (("COMMIT", commit), ("AGE", age))),
    help={
        "get": """Show Providers, and what kind of service each is (also: provider, alert-provider).

            Example: gitsync get providers -A""",
        "suspend": """Suspend Providers: nothing is sent to their services (also: alert-provider).

            Example: gitsync suspend provider slack -n flux-system""",
        "resume": """Resume Providers: events that come from now on are sent (also: alert-provider).

            Example: gitsync resume provider slack -n flux-system""",
        "delete": """Delete a Provider; Alerts that name it notify nobody until there is another one.

            Example: gitsync delete provider slack -n flux-system --silent""",
        "export": """Print Providers as YAML that can be committed (also: alert-provider).

            Example: gitsync export provider slack -n flux-system""",
    },
)

ALERT = Kind(
    NOTIFICATION_GROUP,
    names.ALERT,
    word="alert",
    plural="alerts",
    aliases=(),
    is_static=True,
    columns=Columns(provider_name, (("SEVERITY", severity), ("COMMIT", commit), ("AGE", age))),
    help={
        "get": """Show Alerts, and the Provider of each (also: alert).

            Example: gitsync get alerts -n apps -o wide""",
        "suspend": """Suspend Alerts: nobody is notified by them.

            Example: gitsync suspend alert apps -n flux-system""",
        "resume": """Resume Alerts: events that come from now on are passed on.

            Example: gitsync resume alert apps -n flux-system""",
        "delete": """Delete an Alert.

            Example: gitsync delete alert apps -n flux-system --silent""",
        "export": """Print Alerts as YAML that can be committed.

            Example: gitsync export alert apps -n flux-system""",
    },
)

RECEIVER = Kind(
    NOTIFICATION_GROUP,
    names.RECEIVER,
    word="receiver",
    plural="receivers",
    aliases=(),
    columns=Columns(webhook_path, (("TYPE", sender_type), ("COMMIT", commit), ("AGE", age))),
    help={
        "get": """Show Receivers, and the path of each one's webhook (also: receiver).

            Example: gitsync get receivers -A""",
        "reconcile": """Look at a Receiver now: exit code 0 when it takes deliveries, else 1.

            Example: gitsync reconcile receiver fleet -n flux-system""",
        "suspend": """Suspend Receivers: their webhooks answer 503.

            Example: gitsync suspend receiver fleet -n flux-system""",
        "resume": """Resume Receivers, and wait until they take deliveries: exit code 0 when all do, else 1.

            Example: gitsync resume receiver fleet -n flux-system""",
        "delete": """Delete a Receiver: its webhook answers 404 from then on.

            Example: gitsync delete receiver fleet -n flux-system --silent""",
        "export": """Print Receivers as YAML that can be committed.

            Example: gitsync export receiver fleet -n flux-system""",
    },
)

#: The kinds that every verb serves, except that ``reconcile`` does not serve those that are static.
KINDS = (RELEASE, KUSTOMIZATION, REPOSITORY, OCI, GIT, BUCKET, CHART, GENERATOR, PROVIDER, ALERT, RECEIVER)
#: The kinds that ``get`` shows. ExternalArtifacts are written by the agent alone, so no other verb serves them.
SHOWN = (*KINDS, EXTERNAL)
SOURCES = tuple(kind for kind in KINDS if kind.is_source)


def kind_of(group: str, kind: str) -> Kind | None:
    """The entry of a kind; None for a kind that is not among KINDS."""
    return next((item for item in KINDS if (item.group, item.kind) == (group, kind)), None)
