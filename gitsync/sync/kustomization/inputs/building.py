"""What a Kustomization asks of the build. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from gitsync.api.kustomization import Kustomization
from gitsync.build import BuildSpec
from gitsync.manifests import Desired
from gitsync.sops import Keys

#: Where objects go that have no namespace by their manifest, nor by targetNamespace.
DEFAULT_NAMESPACE = "default"


def as_applied_to(kustomization: Kustomization, desired: Desired) -> Desired:
    """What was built, as it is for the cluster that it goes to: in another one than the agent's own, HelmReleases and
    Kustomizations are objects like any others, for an agent there."""
    if kustomization.spec.kube_config is None:
        return desired
    return replace(desired, objects={key: replace(item, model=None) for key, item in desired.objects.items()})


def build_spec(
    kustomization: Kustomization, variables: Mapping[str, str] | None, keys: Keys | None = None
) -> BuildSpec:
    """How a Kustomization's directory is built; ``variables`` are those to substitute, None for no substitution.
    ``keys`` are for what is encrypted; None when they are not at hand."""
    spec = kustomization.spec
    metadata = spec.common_metadata
    return BuildSpec(
        path=kustomization.path,
        target_namespace=spec.target_namespace or "",
        name_prefix=spec.name_prefix,
        name_suffix=spec.name_suffix,
        labels=metadata.labels if metadata is not None else {},
        annotations=metadata.annotations if metadata is not None else {},
        components=spec.components,
        ignore_missing_components=spec.ignore_missing_components,
        images=tuple(image.model_dump(by_alias=True, exclude_defaults=True) for image in spec.images),
        patches=tuple(patch.model_dump(by_alias=True, exclude_defaults=True) for patch in spec.patches),
        patches_strategic_merge=spec.patches_strategic_merge,
        patches_json6902=tuple(
            patch.model_dump(by_alias=True, exclude_defaults=True) for patch in spec.patches_json6902
        ),
        build_metadata=spec.build_metadata,
        variables=variables,
        always_substitute=spec.post_build is not None and spec.post_build.substitute_strategy == "Always",
        decrypts=spec.decryption is not None,
        keys=keys,
        owner=kustomization.metadata.namespace,
    )


def shapes(kustomization: Kustomization) -> bool:
    """Whether a Kustomization changes what is in its directory: by variables, patches, names and the like."""
    plain = BuildSpec(path=kustomization.path, owner=kustomization.metadata.namespace)
    asked = build_spec(kustomization, None)
    return kustomization.spec.post_build is not None or replace(asked, decrypts=False) != plain
