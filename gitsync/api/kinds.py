"""Which kinds are this agent's own, which are Flux's that it does not serve yet, and which an object defines."""

from __future__ import annotations

from typing import Literal, NamedTuple

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.names import (
    ALERT,
    ARTIFACT_GENERATOR,
    BUCKET,
    GENERATOR_ANNOTATION,
    GENERATOR_DISABLED,
    GIT_REPOSITORY,
    HELM_CHART,
    HELM_GROUP,
    HELM_RELEASE,
    HELM_REPOSITORY,
    KUSTOMIZATION,
    KUSTOMIZE_GROUP,
    OCI_REPOSITORY,
    PROVIDER,
    SOURCE_GROUP,
)

#: The kinds that Receivers and Alerts of Flux may name, without what others add to them.
FluxKind = Literal[
    "Bucket",
    "GitRepository",
    "Kustomization",
    "HelmRelease",
    "HelmChart",
    "HelmRepository",
    "ImageRepository",
    "ImagePolicy",
    "ImageUpdateAutomation",
    "OCIRepository",
    "ArtifactGenerator",
    "ExternalArtifact",
]
SOURCE_EXTENSIONS_GROUP = "source.extensions.fluxcd.io"
NOTIFICATION_GROUP = "notification.toolkit.fluxcd.io"
IMAGE_GROUP = "image.toolkit.fluxcd.io"
#: The kinds of sources that are reconciled.
SERVED_SOURCES = (HELM_REPOSITORY, OCI_REPOSITORY, GIT_REPOSITORY, BUCKET, HELM_CHART)
_UNSERVED_GROUPS = (SOURCE_EXTENSIONS_GROUP, NOTIFICATION_GROUP, IMAGE_GROUP)


def is_own_kind(key: ObjectKey) -> bool:
    """Whether an object is of the kinds that an agent works on: a HelmRelease, a Kustomization, a source, or what makes
    some."""
    return is_release(key) or is_kustomization(key) or key.group == SOURCE_GROUP or is_generator(key)


def is_generator(key: ObjectKey) -> bool:
    """Whether an object is an ArtifactGenerator."""
    return key.group == SOURCE_EXTENSIONS_GROUP and key.kind == ARTIFACT_GENERATOR


def is_notification(key: ObjectKey) -> bool:
    """Whether an object says who is notified, or of what. Nothing has to be done about it, so it has no status."""
    return key.group == NOTIFICATION_GROUP and key.kind in (PROVIDER, ALERT)


def is_release(key: ObjectKey) -> bool:
    """Whether an object is a HelmRelease."""
    return key.group == HELM_GROUP and key.kind == HELM_RELEASE


def is_kustomization(key: ObjectKey) -> bool:
    """Whether an object is a Kustomization of Flux."""
    return key.group == KUSTOMIZE_GROUP and key.kind == KUSTOMIZATION


def is_unserved(key: ObjectKey) -> bool:
    """Whether an object is of a kind of Flux that gitsync does not serve: it is applied like any other, and nobody
    gives it a status, unless Flux runs too.
    """
    if key.group == SOURCE_GROUP:
        return key.kind not in SERVED_SOURCES
    return key.group in _UNSERVED_GROUPS and not is_generator(key) and not is_notification(key)


def is_statusless(key: ObjectKey) -> bool:
    """Whether nobody gives an object of Flux's kinds a status."""
    return is_unserved(key) or is_notification(key)


def is_suspended(manifest: Manifest) -> bool:
    """Whether an object of such a kind says that it is to be left alone."""
    if manifest.get("kind") == ARTIFACT_GENERATOR:
        annotations = manifest["metadata"].get("annotations") or {}
        return str(annotations.get(GENERATOR_ANNOTATION, "")).lower() == GENERATOR_DISABLED
    return bool((manifest.get("spec") or {}).get("suspend"))


class DefinedKind(NamedTuple):
    """What a CustomResourceDefinition says of its kind."""

    group: str
    kind: str
    namespaced: bool


def defined_kind(manifest: Manifest) -> DefinedKind | None:
    """The kind that a CustomResourceDefinition defines; None for another object, and for one that cannot be read."""
    spec = manifest.get("spec")
    if manifest.get("kind") != "CustomResourceDefinition" or not isinstance(spec, dict):
        return None
    names = spec.get("names")
    kind = names.get("kind") if isinstance(names, dict) else None
    return DefinedKind(str(spec.get("group", "")), str(kind), spec.get("scope") == "Namespaced") if kind else None
