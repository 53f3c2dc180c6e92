"""Kustomization (``kustomize.toolkit.fluxcd.io`` v1, v1beta2, v1beta1), typed; one model takes the fields of all."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from gitsync.api.fields import ApiModel, Duration, FreeForm, Items, LocalReference, Name, Namespace, StringMap
from gitsync.api.helmrelease import DependencyRef, KubeConfig, kubeconfig_source_of
from gitsync.api.identity import Manifest, ObjectKey, group_of
from gitsync.api.names import HELM_GROUP, HELM_RELEASE, KUSTOMIZE_GROUP, SOURCE_GROUP
from gitsync.api.parts.rendering import CommonMetadata, HealthCheck, IgnoreRule, Image, JsonPatch, Patch
from gitsync.api.resource import Resource
from gitsync.api.status import KustomizationStatus

#: Seconds that an apply and its health checks may take at least, however short the interval is.
MIN_TIMEOUT = 30.0


class KustomizationSource(ApiModel):
    """The source that the files are in."""

    api_version: str = Field("", description="API version of the source; not needed.")
    kind: Literal["GitRepository", "OCIRepository", "Bucket", "ExternalArtifact"] = Field(
        description="Kind of the source."
    )
    name: Name = Field(description="Name of the source.")
    namespace: Namespace | None = Field(None, description="Its namespace; the object's own when unset.")


class KustomizationDependency(ApiModel):
    """What must be ready first."""

    kind: Literal["Kustomization", "HelmRelease"] = Field(
        "Kustomization", description="Kind of the dependency; HelmRelease is gitsync's own, and Flux knows none."
    )
    name: Name = Field(description="Name of the dependency.")
    namespace: Namespace | None = Field(None, description="Its namespace; the object's own when unset.")
    ready_expr: str = Field("", description="CEL over self and dep in place of the test of readiness.")

    def key(self, own_namespace: str) -> ObjectKey:
        """The object meant; without a namespace one of ``own_namespace``."""
        group = HELM_GROUP if self.kind == HELM_RELEASE else KUSTOMIZE_GROUP
        return ObjectKey(group, self.kind, self.namespace or own_namespace, self.name)


class Decryption(ApiModel):
    """How files are decrypted."""

    provider: Literal["sops"] = Field(description="What decrypts; sops.")
    secret_ref: LocalReference | None = Field(None, description="Secret with the keys.")
    service_account_name: str | None = Field(None, description="Service account to log in to a cloud's keys as.")


class SubstituteReference(ApiModel):
    """A ConfigMap or Secret whose data are variables."""

    kind: Literal["Secret", "ConfigMap"] = Field(description="Kind of the object.")
    name: Name = Field(description="Name of the object, in the Kustomization's namespace.")
    optional: bool = Field(False, description="Go on when the object is missing.")


class PostBuild(ApiModel):
    """What is done to the built objects."""

    substitute: StringMap = Field(default_factory=dict, description="Variables by name; they win over substituteFrom.")
    substitute_from: Items[SubstituteReference] = Field((), description="Objects with variables; later ones win.")
    substitute_strategy: Literal["WithVariables", "Always"] = Field(
        "WithVariables", description="WithVariables: only when there are variables (default); Always: also without."
    )


class HealthReference(ApiModel):
    """An object whose health is waited for."""

    api_version: str = Field("", description="API version of the kind.")
    kind: str = Field(description="Kind of the object.")
    name: str = Field(description="Name of the object.")
    namespace: str = Field("", description="Its namespace; empty for a cluster-scoped kind.")

    @property
    def key(self) -> ObjectKey:
        """The object meant."""
        return ObjectKey(group_of(self.api_version), self.kind, self.namespace, self.name)


class KustomizationSpec(ApiModel):
    """What is built and applied, and how."""

    source_ref: KustomizationSource = Field(description="The source that the files are in.")
    path: str = Field("", description="Directory of the source; its root when unset.")
    interval: Duration = Field(description="How often to make sure that all is as it should be.")
    retry_interval: Duration | None = Field(None, description="When to try again what failed; interval when unset.")
    timeout: Duration | None = Field(
        None, description="How long applying and health checks may take; interval less 30s, at least 30s, when unset."
    )
    prune: bool = Field(description="Delete what left the source.")
    deletion_policy: Literal["MirrorPrune", "Delete", "WaitForTermination", "Orphan"] = Field(
        "MirrorPrune",
        description="What becomes of the objects when this one is deleted. MirrorPrune (default): as prune says.",
    )
    suspend: bool = Field(False, description="Leave everything alone.")
    force: bool = Field(False, description="Recreate objects of which something immutable changes.")
    depends_on: Items[KustomizationDependency] = Field((), description="What must be ready before this is applied.")
    target_namespace: Namespace | None = Field(None, description="Namespace to put into all objects.")
    name_prefix: Annotated[str, Field(max_length=200)] = Field("", description="Prefix of all names.")
    name_suffix: Annotated[str, Field(max_length=200)] = Field("", description="Suffix of all names.")
    common_metadata: CommonMetadata | None = Field(None, description="Labels and annotations for every object.")
    components: Items[str] = Field((), description="Directories of kustomize components, from path.")
    ignore_missing_components: bool = Field(False, description="Pass over components that do not exist.")
    images: Items[Image] = Field((), description="Changes of images.")
    patches: Items[Patch] = Field((), description="Patches, in this order.")
    patches_strategic_merge: Items[FreeForm] = Field((), description="Deprecated: patches replace it.")
    patches_json6902: Items[JsonPatch] = Field(
        (), alias="patchesJson6902", description="Deprecated: patches replace it."
    )
    build_metadata: Items[str] = Field((), description="What kustomize notes on the objects.")
    post_build: PostBuild | None = Field(None, description="Substitution of variables.")
    decryption: Decryption | None = Field(None, description="Decryption of files and values.")
    wait: bool = Field(False, description="Wait until all objects are ready; healthChecks is not looked at then.")
    health_checks: Items[HealthReference] = Field((), description="Objects to wait for.")
    health_check_exprs: Items[HealthCheck] = Field((), description="Readiness of custom kinds, in CEL.")
    service_account_name: str | None = Field(None, description="Service account of the namespace to act as.")
    kube_config: KubeConfig | None = Field(None, description="Another cluster to apply to.")
    ignore: Items[IgnoreRule] = Field((), description="Fields that are left to others.")
    validation: Literal["none", "client", "server"] | None = Field(
        None, description="Deprecated and without effect: the API server validates all."
    )


def source_of(manifest: Manifest) -> ObjectKey:
    """The source of a Kustomization that could be read, without the cost of reading it again: everybody who depends on
    one asks."""
    reference = manifest.get("spec", {}).get("sourceRef", {})
    namespace = reference.get("namespace") or manifest["metadata"].get("namespace", "")
    return ObjectKey(SOURCE_GROUP, reference.get("kind", ""), namespace, reference.get("name", ""))


class Kustomization(Resource):
    """A directory of a source, built and applied, as Git or the cluster has it."""

    group: ClassVar[str] = KUSTOMIZE_GROUP
    versions: ClassVar[tuple[str, ...]] = ("v1", "v1beta2", "v1beta1")

    kind: Literal["Kustomization"]
    spec: KustomizationSpec

    @property
    def status(self) -> KustomizationStatus:
        """The status, typed anew each time: with its inventory it is larger than all the rest, and one is kept of every
        Kustomization. Everything is unset when there is none."""
        return KustomizationStatus.read(self.manifest.get("status"))

    def reported(self, field: str) -> object:
        """A single field of the status, by its name in JSON; None when it has none."""
        return (self.manifest.get("status") or {}).get(field)

    @property
    def source(self) -> ObjectKey:
        """The source that the files are in."""
        reference = self.spec.source_ref
        return ObjectKey(SOURCE_GROUP, reference.kind, reference.namespace or self.metadata.namespace, reference.name)

    @property
    def kubeconfig_source(self) -> ObjectKey | None:
        """The Secret or ConfigMap that says which cluster to apply to; None for the cluster that this object is in."""
        return kubeconfig_source_of(self.spec.kube_config, self.metadata.namespace)

    @property
    def path(self) -> str:
        """The directory, without ``./`` and slashes around it; "" for the root, which ``..`` does not lead out of
        (kustomize-controller joins it so that it stays inside of the artifact)."""
        parts: list[str] = []
        for part in self.spec.path.split("/"):
            if part == "..":
                del parts[-1:]
            elif part not in ("", "."):
                parts.append(part)
        return "/".join(parts)

    @property
    def timeout(self) -> float:
        """Seconds that applying and health checks may take."""
        spec = self.spec
        return spec.timeout if spec.timeout is not None else max(spec.interval - MIN_TIMEOUT, MIN_TIMEOUT)

    @property
    def retry_after(self) -> float:
        """Seconds until what failed is tried again."""
        spec = self.spec
        return spec.interval if spec.retry_interval is None else spec.retry_interval

    @property
    def prunes_when_deleted(self) -> bool:
        """Whether its objects are deleted when the Kustomization is."""
        policy = self.spec.deletion_policy
        return self.spec.prune if policy == "MirrorPrune" else policy != "Orphan"

    def dependencies(self) -> tuple[DependencyRef, ...]:
        """What ``spec.dependsOn`` names, in its order; namespaces filled in."""
        own = self.metadata.namespace
        return tuple(
            DependencyRef(dependency.key(own), ("spec", "dependsOn", index))
            for index, dependency in enumerate(self.spec.depends_on)
        )

    def value_sources(self) -> tuple[ObjectKey, ...]:
        """The ConfigMaps and Secrets of ``spec.postBuild.substituteFrom``, in its order."""
        build, namespace = self.spec.post_build, self.metadata.namespace
        references = build.substitute_from if build is not None else ()
        return tuple(ObjectKey("", reference.kind, namespace, reference.name) for reference in references)
