"""What of an object a watch keeps for the page: not what may be large, nor what nobody is shown. Pure."""

from __future__ import annotations

from typing import Any

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.inventory import parse_inventory_id
from gitsync.api.kinds import is_kustomization, is_release

_LEFT_OUT_OF_SPEC = frozenset({"values", "postRenderers", "patches", "patchesStrategicMerge", "patchesJson6902"})
_OF_HISTORY = ("chartName", "chartVersion")
_ANNOTATIONS = ("gitsync.dev/", "kustomize.toolkit.fluxcd.io/")
_MOST_TEXT = 4096


def trimmed(manifest: Manifest) -> Manifest:
    """An object of our own kinds without values, patches, foreign annotations and what of its inventory is of other
    kinds. The argument may be changed."""
    metadata, spec, status = (_map(manifest, name) for name in ("metadata", "spec", "status"))
    metadata["annotations"] = {
        name: value for name, value in _map(metadata, "annotations").items() if name.startswith(_ANNOTATIONS)
    }
    if _is_known_kind(manifest):
        for name in _LEFT_OUT_OF_SPEC & spec.keys():
            del spec[name]
    if (inventory := status.pop("inventory", None)) is not None:
        status["inventory"] = {"entries": [entry for entry in _entries(inventory) if _is_own(entry)]}
    if _is_known_kind(manifest) and isinstance(history := status.get("history"), list):
        newest = [item for item in history[:1] if isinstance(item, dict)]
        status["history"] = [{name: item[name] for name in _OF_HISTORY if name in item} for item in newest]
    conditions = status.get("conditions")
    for condition in conditions if isinstance(conditions, list) else ():
        if isinstance(condition, dict) and isinstance(condition.get("message"), str):
            condition["message"] = condition["message"][:_MOST_TEXT]
    return manifest


def _map(manifest: dict[str, Any], name: str) -> dict[str, Any]:
    """A field that is to be a map; what is none is not kept."""
    found = manifest.get(name)
    if not isinstance(found, dict):
        found = manifest[name] = {}
    return found


def _is_known_kind(manifest: Manifest) -> bool:
    key = ObjectKey.of(manifest)
    return is_release(key) or is_kustomization(key)


def _entries(inventory: Any) -> list[dict[str, Any]]:
    found = inventory.get("entries") if isinstance(inventory, dict) else None
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []


def _is_own(entry: dict[str, Any]) -> bool:
    key = parse_inventory_id(str(entry.get("id", "")))
    return key is not None and (is_release(key) or is_kustomization(key))
