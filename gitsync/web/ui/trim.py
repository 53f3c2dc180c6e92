"""What of an object a watch keeps for the page: not what may be large, nor what nobody is shown. Pure."""

from __future__ import annotations

import sys
from typing import Any

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.inventory import parse_inventory_id
from gitsync.api.kinds import is_kustomization, is_release
from gitsync.api.names import VALUES_ORIGIN_ANNOTATION

_LEFT_OUT_OF_SPEC = frozenset({"values", "postRenderers", "patches", "patchesStrategicMerge", "patchesJson6902"})
_OF_HISTORY = ("chartName", "chartVersion")
#: Prefixes of annotations and labels that say something here.
_NOTES = ("gitsync.dev/", "kustomize.toolkit.fluxcd.io/")
#: But for what a page of a single object reads by itself.
_NOT_NOTED = frozenset({VALUES_ORIGIN_ANNOTATION})
_METADATA = frozenset(
    {
        "name",
        "namespace",
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "deletionTimestamp",
        "labels",
        "annotations",
    }
)
#: Of a HelmRelease's or a Kustomization's status.
_STATUS = frozenset(
    {
        "conditions",
        "history",
        "inventory",
        "lastAppliedRevision",
        "lastAttemptedRevision",
        "lastHandledCommit",
        "observedGeneration",
    }
)
#: Texts that no other object has.
_OF_ITS_OWN = frozenset({"uid", "resourceVersion", "message"})
#: Texts that many objects have in common are kept once: names of kinds, reasons, times, what a commit left on them.
_SHARED = 80
_MOST_TEXT = 4096


def trimmed(manifest: Manifest) -> Manifest:
    """An object of our own kinds without values, patches, foreign annotations and what of its inventory is of other
    kinds. The argument may be changed."""
    metadata, spec, status = (_map(manifest, name) for name in ("metadata", "spec", "status"))
    for name in ("annotations", "labels"):
        found = _map(metadata, name).items()
        metadata[name] = {key: text for key, text in found if key.startswith(_NOTES) and key not in _NOT_NOTED}
    _keep_only(metadata, _METADATA)
    if _is_known_kind(manifest):
        _keep_only(status, _STATUS)
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
    shared: Manifest = _shared(manifest)
    return shared


def _keep_only(found: dict[str, Any], names: frozenset[str]) -> None:
    for name in found.keys() - names:
        del found[name]


def _shared(value: Any, name: str = "") -> Any:
    """A copy whose texts are one with those of other objects that are equal, where that is likely; maps are as small as
    they can be."""
    if isinstance(value, dict):
        return {key: _shared(item, key) for key, item in value.items()}
    if isinstance(value, list):
        return [_shared(item) for item in value]
    if isinstance(value, str) and len(value) <= _SHARED and name not in _OF_ITS_OWN:
        return sys.intern(value)
    return value


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
