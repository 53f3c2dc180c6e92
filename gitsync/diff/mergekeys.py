"""Which lists of Kubernetes' own kinds are maps in disguise, and by which fields their elements are told apart."""

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
#: Sets of plain values: others may add theirs.
_SETS: Final = frozenset({"finalizers"})
#: Lists with a merge key to server-side apply, or in other kinds, that a strategic merge patch replaces as a whole; by
#: kind ("" for every kind) and name.
_REPLACED: Final = frozenset(
    {("", "claims"), ("MutatingAdmissionPolicy", "variables"), ("ServiceAccount", "imagePullSecrets")}
)


def is_set(path: Sequence[str | int]) -> bool:
    """Whether the list at ``path`` is a set of plain values."""
    return bool(path) and path[-1] in _SETS


def by_key(path: Sequence[str | int], items: list[Any]) -> dict[Key, int] | None:
    """The place of each element of the list at ``path`` by its merge key; None when the list has no merge key, or an
    element lacks it or shares it with another (which the API takes for some lists, and which then are compared in
    order).
    """
    names = _names(path)
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
    names = None if {("", path[-1]), (kind, path[-1])} & _REPLACED else _names(path)
    return names[0] if names else None


def patched_as_set(path: Sequence[str | int]) -> bool:
    """Whether strategic merge patches take the list at ``path`` for a set of plain values."""
    return is_set(path) and len(path) > 1 and path[-2] == "metadata"


def _key_of(item: Any, names: tuple[str, ...]) -> Key | None:
    if not isinstance(item, dict):
        return None
    if len(names) == 1:
        key = item.get(names[0])
        return key if isinstance(key, str | int) else None
    parts = [item.get(name, _DEFAULTS.get(name)) for name in names]
    key_parts = tuple(part for part in parts if isinstance(part, str | int))
    return key_parts if len(key_parts) == len(names) else None


def _names(path: Sequence[str | int]) -> tuple[str, ...] | None:
    if not path or isinstance(path[-1], int):
        return None
    if path[-1] != "ports":
        return _KEYS.get(path[-1])
    # Of a container, of a Service, or of something whose ports are an atomic list (a NetworkPolicy).
    if len(path) > 2 and path[-3] in ("containers", "initContainers", "ephemeralContainers"):
        return "containerPort", "protocol"
    return ("port", "protocol") if list(path) == ["spec", "ports"] else None
