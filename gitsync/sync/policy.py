"""How an object is to be applied, by its own annotations or labels: those of Flux's kustomize-controller. Pure."""

from __future__ import annotations

from typing import Final

from gitsync.api.identity import Manifest, says
from gitsync.api.names import KUSTOMIZE_RECONCILE_ANNOTATION

_PREFIX: Final = "kustomize.toolkit.fluxcd.io"
_SSA, _FORCE = f"{_PREFIX}/ssa", f"{_PREFIX}/force"


def left_alone(manifest: Manifest, live: Manifest | None) -> str:
    """Why an object is not applied, "" when it is: it has ``ssa: Ignore`` or ``reconcile: disabled``, in Git or in the
    cluster; or ``ssa: IfNotPresent``, and is there."""
    for found in (manifest, live):
        if found is None:
            continue
        for name, value in ((_SSA, "ignore"), (KUSTOMIZE_RECONCILE_ANNOTATION, "disabled")):
            if says(found, name, value):
                return f"is left alone by {name}"
        if live is not None and is_left_once_there(found):
            return f"is there, and left as it is by {_SSA}: IfNotPresent"
    return ""


def is_left_once_there(manifest: Manifest) -> bool:
    """Whether an object is only created, and left as it is once it exists: ``ssa: IfNotPresent``."""
    return says(manifest, _SSA, "ifnotpresent")


def is_forced(manifest: Manifest) -> bool:
    """Whether an object may be deleted and created anew where Kubernetes allows no change of it: ``force: enabled``."""
    return says(manifest, _FORCE, "enabled")
