"""Recognizing Flux: releases that its helm-controller has installed, and its own controllers. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.names import HELM_GROUP

#: Labels that helm-controller puts on every rendered object (internal/postrender/origin_labels.go), so that they are in
#: Helm's record, too. gitsync does not need them: a HelmRelease's inventory lists its objects.
ORIGIN_LABELS = frozenset({f"{HELM_GROUP}/name", f"{HELM_GROUP}/namespace"})
#: The label of all objects of Flux itself, however it was installed.
_PART_OF, _FLUX = "app.kubernetes.io/part-of", "flux"
#: Selects the Deployments of Flux.
DEPLOYMENTS = f"{_PART_OF}={_FLUX}"
#: The controllers that serve the same kinds as gitsync.
COMPETING = frozenset({"helm-controller", "kustomize-controller", "source-controller"})


def marked(objects: Iterable[Manifest]) -> bool:
    """Whether any of the objects has Flux's labels."""
    return any(ORIGIN_LABELS & _labels(item).keys() for item in objects)


def runs_flux(manifest: Manifest) -> bool:
    """Whether an object is labelled as a part of Flux itself."""
    return _labels(manifest).get(_PART_OF) == _FLUX


def unmarked(manifest: Manifest) -> Manifest:
    """The object as it was before Flux put its labels on it. The input is not changed."""
    labels = {name: value for name, value in _labels(manifest).items() if name not in ORIGIN_LABELS}
    metadata = {name: value for name, value in manifest["metadata"].items() if name != "labels"}
    return {**manifest, "metadata": metadata | ({"labels": labels} if labels else {})}


def competing(deployments: Iterable[Manifest]) -> list[ObjectKey]:
    """Of Flux's Deployments, those that serve the same kinds as gitsync, and run: the two would undo each other's
    work."""
    return sorted(
        ObjectKey.of(item)
        for item in deployments
        if _labels(item).get("app.kubernetes.io/component", item["metadata"]["name"]) in COMPETING
        and item["spec"].get("replicas", 1) != 0
    )


def _labels(manifest: Manifest) -> dict[str, str]:
    return (manifest.get("metadata") or {}).get("labels") or {}
