"""What an object's own annotations say of how it is applied: those of Flux's kustomize-controller. Pure."""

from __future__ import annotations

from typing import Final

from gitsync.api.identity import Manifest

_PREFIX: Final = "kustomize.toolkit.fluxcd.io"
_SSA, _FORCE, _RECONCILE = f"{_PREFIX}/ssa", f"{_PREFIX}/force", f"{_PREFIX}/reconcile"


def left_alone(manifest: Manifest, live: Manifest | None) -> str:
    """Why an object is not applied, "" when it is: by ``ssa: Ignore`` or ``reconcile: disabled``, in Git or on the
    object; by ``ssa: IfNotPresent`` once it is there."""
    for found in (manifest, live):
        if found is None:
            continue
        ssa = _value(found, _SSA)
        if ssa == "ignore" or _value(found, _RECONCILE) == "disabled":
            return f"is left alone by {_SSA if ssa == 'ignore' else _RECONCILE}"
        if live is not None and is_left_once_there(found):
            return f"is there, and left as it is by {_SSA}: IfNotPresent"
    return ""


def is_left_once_there(manifest: Manifest) -> bool:
    """Whether an object is not applied when it is there, whoever has put it there: ``ssa: IfNotPresent``."""
    return _value(manifest, _SSA) == "ifnotpresent"


def is_forced(manifest: Manifest) -> bool:
    """Whether an object may be deleted and created anew where Kubernetes allows no change of it: ``force: enabled``."""
    return _value(manifest, _FORCE) == "enabled"


def _value(manifest: Manifest, name: str) -> str:
    metadata = manifest.get("metadata") or {}
    return str((metadata.get("annotations") or {}).get(name, "")).lower()
