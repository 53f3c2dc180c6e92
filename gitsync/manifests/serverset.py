"""Fields that only the API server sets (uid, status, ...), and that come into Git by ``kubectl get -o yaml``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from gitsync.api.names import SERVER_SET_METADATA

if TYPE_CHECKING:
    from gitsync.api import FieldPath, Manifest

_STATUS: Final = "status"


def take_server_set(manifest: Manifest) -> list[FieldPath]:
    """Takes these fields out of ``manifest``. Returns the paths of those that were not empty.

    An apply with a uid or resourceVersion counts for exactly that object in exactly that state: it would fail for ever
    after. Empty fields (``creationTimestamp: null``, ``status: {loadBalancer: {}}``) are what kubectl and generators
    write for an object that never was in a cluster. A status that is no mapping is a field of its own kind, and stays.
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
    """Whether a value is not empty, however deep: ``{"loadBalancer": {}}`` is."""
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return value not in (None, "") if inside is None else any(map(_says, inside))
