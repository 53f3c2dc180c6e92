"""Fields that only the API server sets, and that come into Git with what ``kubectl get -o yaml`` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from gitsync.api.names import SERVER_SET_METADATA

if TYPE_CHECKING:
    from gitsync.api import FieldPath, Manifest

_STATUS: Final = "status"


def take_server_set(manifest: Manifest) -> list[FieldPath]:
    """Takes the fields out of ``manifest``, and returns the paths of those that said something.

    An apply that names uid or resourceVersion is one for exactly that object in exactly that state, and fails for ever
    after.

    Empty ones (``creationTimestamp: null``, ``status: {loadBalancer: {}}``, the empty status of a definition) are what
    kubectl and generators write for an object that never was in a cluster. A status that is no mapping is a field of
    its own kind, and stays.
    """
    taken: list[FieldPath] = []
    metadata = manifest.get("metadata")
    if isinstance(metadata, dict):
        for name in SERVER_SET_METADATA:
            if metadata.pop(name, None):
                taken.append(("metadata", name))
    if isinstance(manifest.get(_STATUS), dict | None) and _says(manifest.pop(_STATUS, None)):
        taken.append((_STATUS,))
    return taken


def _says(value: Any) -> bool:
    """Whether there is anything in it, however deep."""
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return value not in (None, "") if inside is None else any(map(_says, inside))
