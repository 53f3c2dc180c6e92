"""HelmRelease (``helm.toolkit.fluxcd.io`` v2, v2beta2, v2beta1), typed; one model takes the fields of all versions."""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Self

from pydantic import Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from gitsync.api.fields import (
    ApiModel,
    Duration,
    FieldPath,
    Items,
    LocalReference,
    Name,
    Namespace,
    NotTooDeep,
    cel_rule,
    words_for,
)
from gitsync.api.identity import ObjectKey
from gitsync.api.names import HELM_GROUP, HELM_VERSIONS, KUSTOMIZATION, KUSTOMIZE_GROUP, SOURCE_GROUP
from gitsync.api.parts.actions import HelmTest, Install, Rollback, Uninstall, Upgrade
from gitsync.api.parts.chart import ChartReference, ChartTemplate
from gitsync.api.parts.rendering import (
    CommonMetadata,
    DriftDetection,
    HealthCheck,
    PostRenderer,
    PostRenderStrategy,
    ValuesReference,
    WaitStrategy,
)
from gitsync.api.resource import Resource
from gitsync.api.status import HelmReleaseStatus

#: Free-form, but a mapping. A server-side apply may say null: many a ``values:`` has all its lines commented out.
Values = Annotated[
    dict[str, Any],
    NotTooDeep,
    WithJsonSchema({"type": "object", "nullable": True, "x-kubernetes-preserve-unknown-fields": True}),
]
_SERVICE_ACCOUNT = words_for(
    r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", "must be the name of a ServiceAccount: lower case letters, digits, - and ."
)
ActionName = Literal["install", "upgrade", "test", "rollback", "uninstall"]

DEFAULT_TIMEOUT = 300.0
DEFAULT_MAX_HISTORY = 5
MAX_RELEASE_NAME = 53

NO_CHART = "needs chart or chartRef"
TWO_CHARTS = "has both chart and chartRef; keep one of them"


class KubeConfigSecret(ApiModel):
    """A Secret that holds a kubeconfig."""

    name: str = Field(description="Name of the Secret.")
    key: str | None = Field(None, description="Key of the kubeconfig; value or value.yaml when unset.")


class KubeConfig(ApiModel):
    """Another cluster to release to."""

    model_config = cel_rule(
        "has(self.secretRef) != has(self.configMapRef)",
        "exactly one of secretRef and configMapRef must be set",
    )

    secret_ref: KubeConfigSecret | None = Field(None, description="Secret with a kubeconfig.")
    config_map_ref: LocalReference | None = Field(
        None, description="ConfigMap that describes a cluster, and who logs in to it."
    )


def kubeconfig_source_of(kube_config: KubeConfig | None, namespace: str) -> ObjectKey | None:
    """The Secret with a kubeconfig, or the ConfigMap that describes a cluster. It is in the namespace of whoever names
    it; None where no other cluster is named."""
    if kube_config is None:
        return None
    if kube_config.secret_ref is not None:
        return ObjectKey("", "Secret", namespace, kube_config.secret_ref.name)
    if kube_config.config_map_ref is not None:
        return ObjectKey("", "ConfigMap", namespace, kube_config.config_map_ref.name)
    return None


class Dependency(ApiModel):
    """A release, or a Kustomization, that must be ready first."""

    kind: Literal["HelmRelease", "Kustomization"] = Field(
        "HelmRelease", description="Kind of the dependency; Kustomization is gitsync's own, and Flux knows none."
    )
    name: str = Field(description="Name of the HelmRelease, or <namespace>/<name>.")
    namespace: str | None = Field(None, description="Its namespace; the release's own when unset.")
    ready_expr: str = Field(
        "", description="CEL over self (this release) and dep (the dependency) in place of the test of readiness."
    )

    def key(self, own_namespace: str) -> ObjectKey:
        """The object meant. A namespace inside ``name`` wins; without any it is ``own_namespace``."""
        group = KUSTOMIZE_GROUP if self.kind == KUSTOMIZATION else HELM_GROUP
        namespace, slash, name = self.name.partition("/")
        if slash:
            return ObjectKey(group, self.kind, namespace, name)
        return ObjectKey(group, self.kind, self.namespace or own_namespace, self.name)


class DependencyRef(NamedTuple):
    """A dependency and the field that names it."""

    key: ObjectKey
    path: FieldPath


class HelmReleaseSpec(ApiModel):
    """What the release should be."""

    model_config = cel_rule(
        "has(self.chart) != has(self.chartRef)",
        "exactly one of chart and chartRef must be set",
    )

    chart: ChartTemplate | None = Field(None, description="The chart, by name and source. Excludes chartRef.")
    chart_ref: ChartReference | None = Field(None, description="An object that stands for the chart. Excludes chart.")
    interval: Duration = Field(description="How often to make sure that the release is as it should be.")
    timeout: Duration = Field(DEFAULT_TIMEOUT, description="How long each action may take; 5m when unset.")
    suspend: bool = Field(False, description="Leave the release alone, also when this object is deleted.")
    release_name: Annotated[str, Field(min_length=1, max_length=MAX_RELEASE_NAME)] | None = Field(
        None, description="Name of the Helm release; [<targetNamespace>-]<name> when unset."
    )
    target_namespace: Namespace | None = Field(
        None, description="Namespace to release to; the object's own when unset."
    )
    storage_namespace: Namespace | None = Field(
        None, description="Namespace of Helm's records; the object's own when unset."
    )
    max_history: int = Field(
        DEFAULT_MAX_HISTORY, description="How many revisions to keep; 5 when unset, 0 for no limit."
    )
    depends_on: Items[Dependency] = Field(
        (), description="Releases that must be ready before this one is installed or upgraded."
    )
    service_account_name: Annotated[Name, Field(pattern=_SERVICE_ACCOUNT)] | None = Field(
        None, description="Service account of the object's namespace to act as."
    )
    kube_config: KubeConfig | None = Field(None, description="Another cluster to release to.")
    persistent_client: bool = Field(True, description="Accepted and without effect: connections are always shared.")
    values: Values | None = Field(None, description="Values for the chart; they win over valuesFrom.")
    values_from: Items[ValuesReference] = Field((), description="ConfigMaps and Secrets with values; later ones win.")
    install: Install = Field(Install(), description="The first revision of the release.")
    upgrade: Upgrade = Field(Upgrade(), description="Every later revision.")
    test: HelmTest = Field(HelmTest(), description="The chart's tests.")
    rollback: Rollback = Field(Rollback(), description="Going back after a failed upgrade.")
    uninstall: Uninstall = Field(Uninstall(), description="Removing the release.")
    drift_detection: DriftDetection = Field(DriftDetection(), description="What to do about changes made by others.")
    post_renderers: Items[PostRenderer] = Field((), description="Changes to the rendered objects, in this order.")
    post_render_strategy: PostRenderStrategy = Field(
        "combined",
        description="Whether hooks are changed, too. combined: together with the objects (default); separate: by "
        "themselves; nohooks: not at all.",
    )
    common_metadata: CommonMetadata | None = Field(None, description="Labels and annotations for every object.")
    wait_strategy: WaitStrategy = Field(WaitStrategy(), description="How readiness is judged.")
    health_check_exprs: Items[HealthCheck] = Field((), description="Readiness of custom kinds, in CEL.")

    @model_validator(mode="after")
    def _one_chart(self) -> Self:
        if (self.chart is None) == (self.chart_ref is None):
            raise PydanticCustomError("one_chart", NO_CHART if self.chart is None else TWO_CHARTS)
        return self

    def timeout_of(self, action: ActionName) -> float:
        """Seconds that an action may take: its own timeout, else the release's, else 5 minutes."""
        own: float | None = getattr(self, action).timeout
        return self.timeout if own is None else own


class HelmRelease(Resource):
    """A release of a chart, as Git or the cluster has it."""

    group: ClassVar[str] = HELM_GROUP
    versions: ClassVar[tuple[str, ...]] = HELM_VERSIONS

    kind: Literal["HelmRelease"]
    spec: HelmReleaseSpec

    @cached_property
    def status(self) -> HelmReleaseStatus:
        """The status, typed; everything unset when there is none."""
        return HelmReleaseStatus.read(self.manifest.get("status"))

    @cached_property
    def release_name(self) -> str:
        """The Helm release's name. One too long for Helm becomes its first 40 characters, ``-`` and 12 of its sha256.

        As Flux composes it.
        """
        target = self.spec.target_namespace
        name = self.spec.release_name or (f"{target}-{self.metadata.name}" if target else self.metadata.name)
        if len(name) <= MAX_RELEASE_NAME:
            return name
        return f"{name[:40]}-{hashlib.sha256(name.encode()).hexdigest()[:12]}"

    @property
    def kubeconfig_source(self) -> ObjectKey | None:
        """The Secret or ConfigMap that says which cluster to release to; None for the cluster that this object is
        in."""
        return kubeconfig_source_of(self.spec.kube_config, self.metadata.namespace)

    @property
    def release_namespace(self) -> str:
        """The namespace released to."""
        return self.spec.target_namespace or self.metadata.namespace

    @property
    def storage_namespace(self) -> str:
        """The namespace of Helm's records."""
        return self.spec.storage_namespace or self.metadata.namespace

    def dependencies(self) -> tuple[DependencyRef, ...]:
        """What ``spec.dependsOn`` names, in its order; namespaces filled in."""
        own = self.metadata.namespace
        return tuple(
            DependencyRef(dependency.key(own), ("spec", "dependsOn", index))
            for index, dependency in enumerate(self.spec.depends_on)
        )

    @cached_property
    def source(self) -> ObjectKey:
        """The object that the chart comes from: a HelmRepository, GitRepository, ... or what chartRef names."""
        spec = self.spec
        reference = spec.chart.spec.source_ref if spec.chart else spec.chart_ref
        assert reference is not None  # the model allows no release without either
        return ObjectKey(SOURCE_GROUP, reference.kind, reference.namespace or self.metadata.namespace, reference.name)

    def value_sources(self) -> tuple[ObjectKey, ...]:
        """The ConfigMaps and Secrets of ``spec.valuesFrom``, in its order."""
        namespace = self.metadata.namespace
        return tuple(ObjectKey("", values.kind, namespace, values.name) for values in self.spec.values_from)
