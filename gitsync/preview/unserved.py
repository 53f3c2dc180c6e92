"""What a commit asks for that gitsync does not serve yet: sources of charts, and other kinds of Flux. Pure.

Such an object is applied like any other, and nothing more comes of it. That is an error where something that the commit
wants stays away for it, and else a warning.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from gitsync.api.fields import FieldPath, dotted
from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import ObjectKey, Origin
from gitsync.api.kinds import (
    IMAGE_GROUP,
    KUSTOMIZE_GROUP,
    NOTIFICATION_GROUP,
    SOURCE_EXTENSIONS_GROUP,
    is_unserved,
)
from gitsync.api.names import GIT_REPOSITORY, HELM_REPOSITORY, SOURCE_GROUP
from gitsync.manifests import Desired, DesiredObject
from gitsync.sources.artifacts import WELL_KNOWN

KUSTOMIZATION = "Kustomization"

#: What does not come of an object, by its group.
_NOTHING_COMES: Mapping[str, str] = {
    SOURCE_GROUP: "nothing is read from it",
    SOURCE_EXTENSIONS_GROUP: "nothing is made of its sources",
    NOTIFICATION_GROUP: "nobody is notified; log lines and Kubernetes Events say what happens",
    IMAGE_GROUP: "no image is looked for, and nothing is committed",
}
#: The kinds of Flux's source group that charts are had from; a GitRepository when it is the synced one.
_SERVED_SOURCES = (HELM_REPOSITORY, GIT_REPOSITORY)
_CHART_HINT = "use a HelmRepository, or a folder of the synced repository"


@dataclass(frozen=True, slots=True)
class Unserved:
    """Something that is not served, where the commit asks for it. ``field`` is dotted, "" for the whole object."""

    key: ObjectKey
    origin: Origin
    message: str
    hint: str = ""
    field: str = ""
    severity: Literal["error", "warning"] = "error"


def unserved(desired: Desired) -> Iterator[Unserved]:
    """Everything of ``desired`` that is not served, in the order of its objects."""
    for key, item in desired.objects.items():
        if isinstance(item.model, HelmRelease):
            yield from _unserved_source(item, item.model)
        elif (key.group, key.kind) == (KUSTOMIZE_GROUP, KUSTOMIZATION):
            yield _kustomization(item, desired)
        elif key in desired.helm_repositories:
            yield from _unserved_repository(item)
        elif is_unserved(key) and key.kind != GIT_REPOSITORY:
            message = f"gitsync does not serve {key.kind} yet: {_NOTHING_COMES.get(key.group, 'nothing comes of it')}"
            yield Unserved(key, item.origin, message, severity="warning")


def in_the_way(desired: Desired) -> list[Unserved]:
    """What a preview of the whole commit has to name, besides what it says of each release and object: Kustomizations
    that keep something away, and all of them where no release was found."""
    found = [item for item in unserved(desired) if item.key.kind == KUSTOMIZATION]
    return [item for item in found if item.severity == "error" or not desired.helm_releases]


def unserved_source(release: HelmRelease) -> str:
    """Why the chart of a release cannot be had; "" when its source is of a kind that is served."""
    if release.spec.chart is not None and release.source.kind in _SERVED_SOURCES:
        return ""
    return f"gitsync does not serve {release.source.kind} yet: the chart of this release cannot be had"


def _unserved_source(item: DesiredObject, release: HelmRelease) -> Iterator[Unserved]:
    if message := unserved_source(release):
        path: FieldPath = ("spec", "chart", "spec", "sourceRef") if release.spec.chart else ("spec", "chartRef")
        yield Unserved(item.key, item.field_origin(path), message, _CHART_HINT, dotted(path))


def _unserved_repository(item: DesiredObject) -> Iterator[Unserved]:
    spec = item.manifest["spec"]
    if spec.get("type") == "oci" or str(spec.get("url", "")).lower().startswith("oci://"):
        message = "gitsync does not serve HelmRepositories of type oci yet: no chart of it can be had"
        path = ("spec", "url")
        yield Unserved(item.key, item.field_origin(path), message, "use one over http or https", dotted(path))


def _kustomization(item: DesiredObject, desired: Desired) -> Unserved:
    """Nothing is lost when it leads to manifests that are read anyway, as that of ``flux bootstrap`` does."""
    spec = item.manifest.get("spec")
    spec = spec if isinstance(spec, dict) else {}
    path = _directory(spec.get("path"))
    none = "" if desired.helm_releases else "; no HelmRelease was found"
    if _is_read(path, spec.get("sourceRef"), desired):
        what = f"what is in {path or 'the repository'} is read as it is, without what the Kustomization says of it"
        message = f"gitsync does not serve Kustomization yet: {what}{none}"
        return Unserved(item.key, item.origin, message, severity="warning")
    message = f"gitsync does not serve Kustomization yet: what it leads to is neither built nor applied{none}"
    return Unserved(item.key, item.origin, message, "sync a directory of plain manifests: name it with --path")


def _is_read(path: str, source: object, desired: Desired) -> bool:
    """Whether manifests of this directory are in ``desired``. All of a repository is only known to be this one when its
    source is called as ``flux bootstrap`` calls it."""
    if not isinstance(source, dict) or source.get("kind") != GIT_REPOSITORY:
        return False
    if not path and source.get("name") != WELL_KNOWN:
        return False
    return any(item.origin.path.startswith(f"{path}/" if path else "") for item in desired.objects.values())


def _directory(path: object) -> str:
    text = posixpath.normpath(path) if isinstance(path, str) and path else "."
    return "" if text == "." else text.lstrip("/")
