"""Kubernetes objects out of rendered text, and the order in which Helm installs and uninstalls kinds."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from gitsync import kubeyaml
from gitsync.errors import RenderError, YamlError
from gitsync.helm.values import taken_by_helm

if TYPE_CHECKING:
    from gitsync.api.identity import Manifest

#: Objects of one release; each takes a multiple of its text.
MAX_OBJECTS: Final = 10_000

#: Helm's order for installing (pkg/release/v1/util, InstallOrder); unknown kinds come last, by name.
INSTALL_ORDER = (
    "PriorityClass",
    "Namespace",
    "NetworkPolicy",
    "ResourceQuota",
    "LimitRange",
    "PodSecurityPolicy",
    "PodDisruptionBudget",
    "ServiceAccount",
    "Secret",
    "SecretList",
    "ConfigMap",
    "StorageClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "CustomResourceDefinition",
    "ClusterRole",
    "ClusterRoleList",
    "ClusterRoleBinding",
    "ClusterRoleBindingList",
    "Role",
    "RoleList",
    "RoleBinding",
    "RoleBindingList",
    "Service",
    "DaemonSet",
    "Pod",
    "ReplicationController",
    "ReplicaSet",
    "Deployment",
    "HorizontalPodAutoscaler",
    "StatefulSet",
    "Job",
    "CronJob",
    "IngressClass",
    "Ingress",
    "APIService",
    "MutatingWebhookConfiguration",
    "ValidatingWebhookConfiguration",
)

#: Helm's order for uninstalling (UninstallOrder): not quite the other way round.
UNINSTALL_ORDER = (
    "ValidatingWebhookConfiguration",
    "MutatingWebhookConfiguration",
    "APIService",
    "Ingress",
    "IngressClass",
    "Service",
    "CronJob",
    "Job",
    "StatefulSet",
    "HorizontalPodAutoscaler",
    "Deployment",
    "ReplicaSet",
    "ReplicationController",
    "Pod",
    "DaemonSet",
    "RoleBindingList",
    "RoleBinding",
    "RoleList",
    "Role",
    "ClusterRoleBindingList",
    "ClusterRoleBinding",
    "ClusterRoleList",
    "ClusterRole",
    "CustomResourceDefinition",
    "PersistentVolumeClaim",
    "PersistentVolume",
    "StorageClass",
    "ConfigMap",
    "SecretList",
    "Secret",
    "ServiceAccount",
    "PodDisruptionBudget",
    "PodSecurityPolicy",
    "LimitRange",
    "ResourceQuota",
    "NetworkPolicy",
    "Namespace",
    "PriorityClass",
)

_INSTALL_RANK = {kind: rank for rank, kind in enumerate(INSTALL_ORDER)}
_UNINSTALL_RANK = {kind: rank for rank, kind in enumerate(UNINSTALL_ORDER)}


#: A line that begins with three dashes ends a document (apimachinery's YAMLReader).
_DOCUMENT = re.compile(r"^---[^\n]*\n?", re.MULTILINE)
_SOURCE = re.compile(r"# Source: (\S+)")


def install_rank(kind: str) -> tuple[int, str]:
    """Sorting key; the sort must be stable, since Helm keeps the order of templates within a kind."""
    rank = _INSTALL_RANK.get(kind)
    return (len(INSTALL_ORDER), kind) if rank is None else (rank, "")


def uninstall_rank(kind: str) -> tuple[int, str]:
    """As ``install_rank``, for uninstalling."""
    rank = _UNINSTALL_RANK.get(kind)
    return (len(UNINSTALL_ORDER), kind) if rank is None else (rank, "")


def install_order(objects: Iterable[Manifest]) -> list[Manifest]:
    """The objects in the order in which Helm creates them."""
    return sorted(objects, key=lambda item: install_rank(item.get("kind") or ""))


def uninstall_order(objects: Iterable[Manifest]) -> list[Manifest]:
    """The objects in the order in which Helm deletes them."""
    return sorted(objects, key=lambda item: uninstall_rank(item.get("kind") or ""))


def document(text: str, source: str) -> dict[str, Any]:
    """One YAML document as Kubernetes reads it; ``{}`` when it holds comments only.

    Raises: RenderError naming ``source``, the template's path.
    """
    try:
        value = kubeyaml.load(text)
    except YamlError as error:
        if (taken := taken_by_helm(text, error)) is not None:
            return taken
        raise RenderError(
            f"{source}: renders what is no YAML: line {error.line} of the rendered document: {error.message}",
            template=source,
            hint=error.hint or "`helm template` shows the rendered document",
        ) from None
    if isinstance(value, list):
        raise RenderError(f"{source}: renders a list where an object is expected", template=source)
    return value or {}


def parse_objects(manifest: str) -> tuple[Manifest, ...]:
    """The objects in the manifest of a release's record, in their order.

    Raises: RenderError naming the template that the record's comments name, or for more than MAX_OBJECTS.
    """
    found = tuple(item for _, item in islice(sourced_objects(manifest), MAX_OBJECTS + 1))
    if len(found) > MAX_OBJECTS:
        raise RenderError(f"the manifest of a release has more than {MAX_OBJECTS:,} objects")
    return found


def sourced_objects(manifest: str) -> Iterator[tuple[str, Manifest]]:
    """The same, each with the path of its template (``manifest`` where no comment names it)."""
    source = "manifest"
    for text in _DOCUMENT.split(manifest):
        if text.strip():
            # Empty documents of a template may stand between the comment and what it is about.
            named = _SOURCE.match(text)
            source = named[1] if named else source
            for item in flattened(document(text, source), source):
                yield source, item


def flattened(item: dict[str, Any], source: str) -> Iterator[Manifest]:
    """The objects of a document: itself, the items of a list, nothing when it is empty.

    Raises: RenderError for an object without apiVersion, kind or name.
    """
    if not item:
        return
    items = item.get("items")
    if isinstance(items, list) and str(item.get("kind", "")).endswith("List"):
        for inner in items:
            yield from flattened(_mapping(inner, source), source)
        return
    metadata = item.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    for field, value in (("apiVersion", item.get("apiVersion")), ("kind", item.get("kind")), ("metadata.name", name)):
        if not isinstance(value, str) or not value:
            what = f"{item['kind']} " if field == "metadata.name" else "document "
            raise RenderError(f"{source}: renders a {what}without {field}", template=source)
    yield item


def _mapping(item: Any, source: str) -> dict[str, Any]:
    if not isinstance(item, dict):
        raise RenderError(f"{source}: renders a List with an item that is no object", template=source)
    return item
