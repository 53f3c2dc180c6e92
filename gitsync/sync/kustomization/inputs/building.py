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
    """What was built, in the cluster that it goes to: in another one than the agent's own, what is of our kinds is for
    whoever works on them there."""
    if kustomization.spec.kube_config is None:
        return desired
    return replace(desired, objects={key: replace(item, model=None) for key, item in desired.objects.items()})


def build_spec(
    kustomization: Kustomization, variables: Mapping[str, str] | None, keys: Keys | None = None
) -> BuildSpec:
    """How its directory is built; ``variables`` are those to substitute, None for none at all. ``keys`` are for what is
    encrypted; None when they are not at hand."""
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
