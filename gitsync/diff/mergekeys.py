"""Which lists of Kubernetes' own kinds are maps in disguise, and by which fields their elements are told apart.

The tables are short since a list's name nearly always tells; tests/diff holds them against every list of the OpenAPI
schemas that the sandbox ships. Reading those instead would take 6 ms at the start of every command, and files, of which
this room knows nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

#: The value of the merge key; a tuple of values where it has several fields.
Key = str | int | tuple[str | int, ...]

#: By the list's field name: the merge keys (x-kubernetes-list-map-keys) of the API. Lists that are not here are atomic
#: to server-side apply, or sets.
_KEYS: Final[dict[str, tuple[str, ...]]] = {
    "claims": ("name",),
    "conditions": ("type",),
    "containers": ("name",),
    "drivers": ("name",),
    "env": ("name",),
    "ephemeralContainers": ("name",),
    "hostAliases": ("ip",),
    "imagePullSecrets": ("name",),
    "initContainers": ("name",),
    "matchConditions": ("name",),
    "ownerReferences": ("uid",),
    "resourceClaims": ("name",),
    "schedulingGates": ("name",),
    "secrets": ("name",),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
    "variables": ("name",),
    "volumeDevices": ("devicePath",),
    "volumeMounts": ("mountPath",),
    "volumes": ("name",),
    "webhooks": ("name",),
}
_DEFAULTS: Final = {"protocol": "TCP"}
#: By kind and place: lists of these names that are atomic all the same.
_ATOMIC: Final = frozenset(
    {("MutatingAdmissionPolicy", ("spec", "variables")), ("ServiceAccount", ("imagePullSecrets",))}
)
#: Sets of plain values, to which others may add theirs; by the names of the field above and of their own.
_SETS: Final = frozenset(
    {("metadata", "finalizers"), ("endpoints", "addresses"), ("onExitCodes", "values"), ("exitCodes", "values")}
    | {("spec", name) for name in ("podCIDRs", "validationActions", "volumeLifecycleModes")}
)
#: Sets that a strategic merge patch merges, too.
_PATCHED_SETS: Final = frozenset({("metadata", "finalizers"), ("spec", "podCIDRs")})
#: Lists with a merge key to server-side apply that a strategic merge patch replaces as a whole.
_REPLACED: Final = frozenset({"claims"})


def is_set(path: Sequence[str | int]) -> bool:
    """Whether the list at ``path`` is a set of plain values."""
    return _ends(path) in _SETS


def by_key(kind: str, path: Sequence[str | int], items: list[Any]) -> dict[Key, int] | None:
    """The place of each element of the list at ``path`` of a kind by its merge key; None when the list has no merge
    key, or an element lacks it or shares it with another (which the API takes for some lists, and which then are
    compared in order).
    """
    names = merge_keys(kind, path)
    if names is None:
        return None
    places: dict[Key, int] = {}
    for place, item in enumerate(items):
        key = _key_of(item, names)
        if key is None or key in places:
            return None
        places[key] = place
    return places


def patch_key(kind: str, path: Sequence[str | int]) -> str | None:
    """The field by which strategic merge patches tell the elements of the list at ``path`` of a kind apart
    (patchMergeKey); None when they replace the list, or it is one of plain values.
    """
    names = merge_keys(kind, path)
    return names[0] if names and path[-1] not in _REPLACED else None


def patched_as_set(path: Sequence[str | int]) -> bool:
    """Whether strategic merge patches take the list at ``path`` for a set of plain values."""
    return _ends(path) in _PATCHED_SETS


def merge_keys(kind: str, path: Sequence[str | int]) -> tuple[str, ...] | None:
    """The fields by which server-side apply tells the elements of the list at ``path`` of a kind apart
    (x-kubernetes-list-map-keys); None when the list is no map in disguise.
    """
    if not path or isinstance(path[-1], int):
        return None
    if path[-1] == "ports":
        # Of a container, of a Service, or of something whose ports are an atomic list (a NetworkPolicy).
        if len(path) > 2 and path[-3] in ("containers", "initContainers", "ephemeralContainers"):
            return "containerPort", "protocol"
        return ("port", "protocol") if list(path) == ["spec", "ports"] else None
    names = _KEYS.get(path[-1])
    return None if names and (kind, tuple(path)) in _ATOMIC else names


def _ends(path: Sequence[str | int]) -> tuple[str, ...]:
    """The names of the field above and of the field at ``path``."""
    return tuple(name for name in path[-3:] if isinstance(name, str))[-2:]


def _key_of(item: Any, names: tuple[str, ...]) -> Key | None:
    if not isinstance(item, dict):
        return None
    if len(names) == 1:
        key = item.get(names[0])
        return key if isinstance(key, str | int) else None
    parts = [item.get(name, _DEFAULTS.get(name)) for name in names]
    key_parts = tuple(part for part in parts if isinstance(part, str | int))
    return key_parts if len(key_parts) == len(names) else None
