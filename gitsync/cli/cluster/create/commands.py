"""``gitsync create``: a release or a Kustomization from flags; what else there is has files of its own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from gitsync.api.names import (
    HELM_API_VERSION,
    KUSTOMIZE_API_VERSION,
)
from gitsync.cli.cluster.create import notifications, sources
from gitsync.cli.cluster.create.creating import (
    Applying,
    Export,
    Interval,
    Namespace,
    create,
    kind_and_name,
    listed,
    manifest_of,
    stated,
    verb,
    with_namespace,
)
from gitsync.cli.cluster.values import read_files
from gitsync.cli.common.durations import Timeout
from gitsync.cli.common.kinds import KUSTOMIZATION, RELEASE, Kind
from gitsync.cli.common.options import FlagGroup
from gitsync.cli.common.verbs import Name
from gitsync.settings import Settings

__all__ = ["app", "notifications", "sources"]

app = verb.app

Source = Annotated[
    str,
    typer.Option("--source", metavar="KIND/NAME[.NAMESPACE]", help="Where the chart is, as HelmRepository/bitnami."),
]
ChartRef = Annotated[
    str,
    typer.Option(
        "--chart-ref", metavar="KIND/NAME[.NAMESPACE]", help="The object that is the chart, as OCIRepository/app."
    ),
]
Chart = Annotated[str, typer.Option("--chart", metavar="NAME", help="The chart's name.")]
ChartVersion = Annotated[str, typer.Option("--chart-version", metavar="RANGE", help="Its version, or a range.")]
DependsOn = Annotated[
    list[str] | None,
    typer.Option("--depends-on", metavar="[NAMESPACE/]NAME", help="A release to be ready first; may be repeated."),
]
ValuesFiles = Annotated[
    list[Path] | None,
    typer.Option(
        "--values", metavar="FILE", exists=True, dir_okay=False, help="A file of values; may be repeated, later wins."
    ),
]
ValuesFrom = Annotated[
    list[str] | None,
    typer.Option("--values-from", metavar="KIND/NAME", help="A ConfigMap or Secret with values; may be repeated."),
]
ReleaseName = Annotated[str, typer.Option("--release-name", metavar="NAME", help="The Helm release's name.")]
TargetNamespace = Annotated[
    str, typer.Option("--target-namespace", metavar="NAME", help="The namespace to install into.")
]
ServiceAccount = Annotated[
    str, typer.Option("--service-account", metavar="NAME", help="The ServiceAccount to work on it as.")
]
Policy = Literal["Skip", "Create", "CreateReplace"]
Crds = Annotated[
    Policy | None, typer.Option("--crds", help="What becomes of the chart's definitions, in installs and upgrades.")
]
CreateTarget = Annotated[bool, typer.Option("--create-target-namespace", help="Create that namespace.")]

TreeSource = Annotated[
    str,
    typer.Option("--source", metavar="KIND/NAME[.NAMESPACE]", help="Where the files are, as GitRepository/fleet."),
]
TreePath = Annotated[str, typer.Option("--path", metavar="PATH", help="The directory of the source to apply.")]
Prune = Annotated[bool, typer.Option("--prune", help="Delete what left the source.")]
HealthChecks = Annotated[
    list[str] | None,
    typer.Option("--health-check", metavar="KIND/NAME.NAMESPACE", help="An object to wait for; may be repeated."),
]
HealthCheckTimeout = Annotated[
    str, typer.Option("--health-check-timeout", metavar="DURATION", help="How long applying and waiting may take.")
]
WaitForAll = Annotated[bool, typer.Option("--wait", help="It is ready when all that it applies is.")]
NeedsTree = Annotated[
    list[str] | None,
    typer.Option(
        "--depends-on", metavar="[NAMESPACE/]NAME", help="A Kustomization to be ready first; may be repeated."
    ),
]
IntoNamespace = Annotated[
    str, typer.Option("--target-namespace", metavar="NAME", help="The namespace to put all objects into.")
]
RetryInterval = Annotated[
    str, typer.Option("--retry-interval", metavar="DURATION", help="When to try again what failed.")
]
ApplyAs = Annotated[str, typer.Option("--service-account", metavar="NAME", help="The ServiceAccount to apply it as.")]
DeletionPolicy = Annotated[
    Literal["MirrorPrune", "Delete", "WaitForTermination", "Orphan"] | None,
    typer.Option("--deletion-policy", help="What becomes of the objects when it is deleted."),
]
#: Kinds by the words that --health-check takes, as in Flux's own command; any other kind has to come with its group.
_HEALTH_CHECKED = {
    "Deployment": "apps/v1",
    "StatefulSet": "apps/v1",
    "DaemonSet": "apps/v1",
    "Job": "batch/v1",
    "HelmRelease": HELM_API_VERSION,
    "Kustomization": KUSTOMIZE_API_VERSION,
}


@dataclass(frozen=True)
class ChartOf(FlagGroup):
    """Which chart a release is of."""

    source: Source = ""
    chart: Chart = ""
    chart_ref: ChartRef = ""
    chart_version: ChartVersion = ""

    @property
    def fields(self) -> dict[str, Any]:
        """``chart``, or ``chartRef``. Raises: typer.BadParameter."""
        if self.chart_ref:
            if self.source or self.chart or self.chart_version:
                raise typer.BadParameter("either that, or a source and a chart", param_hint="--chart-ref")
            return {"chartRef": stated(with_namespace(self.chart_ref, "--chart-ref"))}
        if not (self.source and self.chart):
            raise typer.BadParameter("a source and a chart are needed, or --chart-ref", param_hint="--source, --chart")
        source = with_namespace(self.source, "--source")
        return {"chart": {"spec": stated({"chart": self.chart, "version": self.chart_version, "sourceRef": source})}}


@dataclass(frozen=True)
class TargetOf(FlagGroup):
    """Where a release is installed."""

    target_namespace: TargetNamespace = ""
    create_target_namespace: CreateTarget = False


@dataclass(frozen=True)
class ReadinessOf(FlagGroup):
    """When a Kustomization is ready."""

    wait_for_all: WaitForAll = False
    health_check: HealthChecks = None
    health_check_timeout: HealthCheckTimeout = ""

    def checks(self, namespace: str) -> list[dict[str, str]]:
        """``spec.healthChecks``. Raises: typer.BadParameter."""
        found = [_health_check(item, namespace) for item in listed(self.health_check)]
        if found and self.wait_for_all:
            raise typer.BadParameter("either --wait, which is for all objects, or some", param_hint="--health-check")
        return found


@verb.of(RELEASE)
async def helm_release(
    settings: Settings,
    kind: Kind,
    name: Name,
    *,
    chart: ChartOf,
    depends_on: DependsOn = None,
    values: ValuesFiles = None,
    values_from: ValuesFrom = None,
    interval: Interval = "5m",
    namespace: Namespace = "default",
    release_name: ReleaseName = "",
    target: TargetOf,
    service_account: ServiceAccount = "",
    crds: Crds = None,
    applying: Applying,
) -> int:
    """Create or change a HelmRelease, and wait until it is ready.

    Example: gitsync create helmrelease backend --source HelmRepository/podinfo --chart podinfo --depends-on redis
    """
    spec = {
        "interval": interval,
        "dependsOn": [_dependency(item) for item in listed(depends_on)],
        **chart.fields,
        "releaseName": release_name,
        "targetNamespace": target.target_namespace,
        "serviceAccountName": service_account,
        "install": stated({"crds": crds, "createNamespace": target.create_target_namespace}),
        "upgrade": stated({"crds": crds}),
        "valuesFrom": [kind_and_name(item, "--values-from") for item in listed(values_from)],
        "values": read_files(values or ()),
    }
    manifest = manifest_of(HELM_API_VERSION, kind, namespace, name, spec)
    return await create(settings, manifest, applying)


@verb.of(KUSTOMIZATION)
async def kustomization(
    settings: Settings,
    kind: Kind,
    name: Name,
    *,
    source: TreeSource,
    path: TreePath = "./",
    prune: Prune = False,
    depends_on: NeedsTree = None,
    readiness: ReadinessOf,
    interval: Interval = "1m",
    retry_interval: RetryInterval = "",
    namespace: Namespace = "default",
    target_namespace: IntoNamespace = "",
    service_account: ApplyAs = "",
    deletion_policy: DeletionPolicy = None,
    export: Export = False,
    patience: Timeout = "5m",
) -> int:
    """Create or change a Kustomization, and wait until it is applied.

    Example: gitsync create kustomization apps --source GitRepository/fleet --path ./apps --prune --wait --export
    """
    checks = readiness.checks(namespace)
    spec = {
        "interval": interval,
        "retryInterval": retry_interval,
        "timeout": readiness.health_check_timeout,
        "dependsOn": [_dependency(item) for item in listed(depends_on)],
        "sourceRef": stated(with_namespace(source, "--source")),
        "path": path,
        "targetNamespace": target_namespace,
        "serviceAccountName": service_account,
        "wait": readiness.wait_for_all,
        "healthChecks": checks,
        "deletionPolicy": deletion_policy,
    }
    manifest = manifest_of(KUSTOMIZE_API_VERSION, kind, namespace, name, spec)
    manifest["spec"]["prune"] = prune  # it has to be said
    return await create(settings, manifest, Applying(export, patience=patience))


def _dependency(text: str) -> dict[str, str]:
    namespace, _, name = text.rpartition("/")
    return stated({"name": name, "namespace": namespace})


def _health_check(text: str, namespace: str) -> dict[str, str]:
    """``KIND/NAME.NAMESPACE``, as Flux's own command takes it. Raises: typer.BadParameter."""
    option = "--health-check"
    found = with_namespace(text, option)
    api_version = _HEALTH_CHECKED.get(found["kind"])
    if api_version is None:
        known = ", ".join(_HEALTH_CHECKED)
        raise typer.BadParameter(f"{found['kind']} is none of {known}: write others into the YAML", param_hint=option)
    return {"apiVersion": api_version, **found, "namespace": found.get("namespace") or namespace}
