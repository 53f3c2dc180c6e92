"""Hints what would make an object ready, in a few words, by Kubernetes' and our own reasons. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gitsync.api import names
from gitsync.api.identity import ObjectKey
from gitsync.api.kinds import is_kustomization, is_release
from gitsync.api.names import SOURCE_GROUP

if TYPE_CHECKING:
    from gitsync.graph import Cycle
    from gitsync.live.link import Link

_IMAGE = frozenset({"ImagePullBackOff", "ErrImagePull", "InvalidImageName", "ErrImageNeverPull"})
_CRASH = frozenset({"CrashLoopBackOff", "Error", "OOMKilled", "RunContainerError", "StartError", "ContainerCannotRun"})
_CONFIG = frozenset({"CreateContainerConfigError", "CreateContainerError"})
_ACTION_FAILED = frozenset(
    {names.INSTALL_FAILED, names.UPGRADE_FAILED, names.ROLLBACK_FAILED, names.TEST_FAILED, names.RETRIES_EXCEEDED}
)
_SPEC = frozenset({names.INVALID, names.VALUES_ERROR, names.BUILD_FAILED, names.NOT_SUPPORTED, names.ARTIFACT_FAILED})


def of_cycle(cycle: Cycle[ObjectKey]) -> str:
    """How to end a cycle."""
    places = [str(edge.origin) for edge in cycle.edges if edge.origin is not None]
    where = f": {' or '.join(places[:4])}" if places else ""
    return f"remove one of these dependsOn entries{where}"


def remedy(cause: Link, origin: str, own: Link) -> str:
    """How to mend ``cause``, "" when it is ready or no remedy is known; ``origin`` is its place in Git, ``own`` the
    object of our kinds that it belongs to."""
    if cause.status == "ready":
        return ""
    there = f" in {origin}" if origin else ""
    if cause.status == "suspended":
        return f"resume it: gitsync resume {_words(cause.key)}"
    if cause.reason == names.DEPENDENCY_MISSING or cause.status == "missing":
        return _of_missing(cause, origin)
    if cause.key.kind == "Pod" or cause.reason in _IMAGE | _CRASH | _CONFIG:
        return _of_pod(cause, there)
    if cause.key.group == SOURCE_GROUP:
        return f"see to its URL, reference and credentials{there}; a new try now: gitsync reconcile {_words(cause.key)}"
    if cause.reason in _SPEC:
        return f"correct it{there}"
    if own.reason in _ACTION_FAILED and cause.key == own.key:
        again = f"gitsync reconcile {_words(own.key)} --reset"
        return f"a commit that changes its chart or values{there} is tried at once; the same again: {again}"
    return ""


def _of_missing(cause: Link, origin: str) -> str:
    if is_release(cause.key) or is_kustomization(cause.key) or cause.key.group == SOURCE_GROUP:
        where = f" ({origin})" if origin else ""
        return f"add it to the repository, or correct what names it{where}"
    return "an interval or a reconcile with --force makes it again, where drift is corrected"


def _of_pod(cause: Link, there: str) -> str:
    if cause.reason in _IMAGE:
        return f"correct the image's name or tag{there}, or what the node needs to pull it"
    if cause.reason in _CRASH:
        name = f" {cause.key.name}" if cause.key.kind == "Pod" else ""
        return f"see what the program says: kubectl logs --previous -n {cause.key.namespace}{name}"
    if cause.reason in _CONFIG:
        return f"a ConfigMap, Secret or key that it names is not there: add it, or correct the name{there}"
    if cause.reason == "Unschedulable":
        return f"no node takes it: ask for less{there}, or add a node"
    return ""


def _words(key: ObjectKey) -> str:
    """How commands name an object."""
    words = {
        names.HELM_RELEASE: "helmrelease",
        names.KUSTOMIZATION: "kustomization",
        names.HELM_REPOSITORY: "source helm",
        names.GIT_REPOSITORY: "source git",
        names.OCI_REPOSITORY: "source oci",
        names.BUCKET: "source bucket",
    }
    return f"{words.get(key.kind, key.kind.lower())} {key.name} -n {key.namespace}"
