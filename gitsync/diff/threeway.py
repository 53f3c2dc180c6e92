"""Three-way merge patches, as Helm and kubectl make them on the client's side (apimachinery's strategicpatch, and RFC
7386 for what has no strategic form).

What a patch takes away is what an earlier manifest named and the new one does not. What it sets is what the new one
names and the object does not have so. Whatever else is in the object stays.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal

from gitsync.api.builtin import is_builtin
from gitsync.api.identity import group_of
from gitsync.diff.mergekeys import patch_key, patched_as_set
from gitsync.diff.normalise import SERVER_SET
from gitsync.diff.secret import folded, is_secret

if TYPE_CHECKING:
    from gitsync.api.identity import Manifest

Path = tuple[str | int, ...]
#: Maps of which the server is to keep but the keys that the manifest has: unions, of which one member may be set.
_UNIONS: Final = frozenset({("spec", "strategy")})
#: Lists whose elements are such maps.
_LISTS_OF_UNIONS: Final = frozenset({"volumes", "resourceClaims"})
#: Maps that patches replace, by kind.
_WHOLE: Final = frozenset({("PodDisruptionBudget", ("spec", "selector"))})
#: Levels of nesting that are looked into; nothing of Kubernetes' own comes near.
_DEEPEST: Final = 100
_REPLACE: Final = {"$patch": "replace"}
#: Its objects are patched as custom resources are: they hold schemas, that is, fields of any name.
_CRD_GROUP: Final = "apiextensions.k8s.io"


def merge_patch(
    earlier: Iterable[Manifest], desired: Manifest, live: Manifest
) -> tuple[Literal["strategic", "merge"], Manifest]:
    """The kind of patch and the patch that brings ``live`` from any of its ``earlier`` manifests to the ``desired``
    one; {} when there is nothing to do. It holds what a Secret holds.

    A custom resource that has earlier manifests is not looked at, as by Helm: what somebody else changed there stays
    until the manifest changes it. A Secret's stringData goes as data, so that a key of it can be taken away, too.
    """
    group = group_of(desired["apiVersion"])
    before, new, old = [_own(item) for item in earlier], _own(desired), _own(live)
    if is_builtin(group) and group != _CRD_GROUP:
        return "strategic", _Merge(desired["kind"], strategic=True).maps((), before, new, old)
    merge = _Merge(desired["kind"], strategic=False)
    if not before or group == _CRD_GROUP:
        return "merge", merge.maps((), before, new, old)
    patch: Manifest = {}
    for item in before:
        _add(patch, merge.maps((), [item], new, item))
    return "merge", patch


def _own(manifest: Manifest) -> Manifest:
    """What of a manifest is its author's to say."""
    rest = {name: value for name, value in manifest.items() if name != "status"}
    if isinstance(metadata := rest.get("metadata"), dict):
        rest["metadata"] = {name: value for name, value in metadata.items() if name not in SERVER_SET}
    return folded(rest) if is_secret(rest) else rest


def _add(patch: Manifest, more: Manifest) -> None:
    for name, value in more.items():
        if isinstance(value, dict) and isinstance(patch.get(name), dict):
            _add(patch[name], value)
        else:
            patch[name] = value


class _Merge:
    """A walk through three states of an object of a kind."""

    def __init__(self, kind: str, *, strategic: bool) -> None:
        self._kind = kind
        self._strategic = strategic

    def maps(
        self, path: Path, earlier: Sequence[Manifest], desired: Manifest, live: Manifest, *, union: bool = False
    ) -> Manifest:
        """The patch of one map."""
        patch: Manifest = {}
        for name, new in desired.items():
            old = live.get(name)
            if new is None or old is None:
                if new is not old:
                    patch[name] = new
                continue
            before = [item[name] for item in earlier if name in item]
            patch |= self._value((*path, name), before, new, old)
        gone = {name for item in earlier for name in item if name not in desired and name in live}
        patch |= dict.fromkeys(sorted(gone))
        if union and (patch or any(name not in desired for name in live)):
            patch["$retainKeys"] = sorted(name for name, value in desired.items() if value is not None)
        return patch

    def _value(self, path: Path, earlier: Sequence[Any], new: Any, old: Any) -> Manifest:
        """What a map's patch has to say of one field that both sides have."""
        name = str(path[-1])
        if len(path) < _DEEPEST and isinstance(new, dict) and isinstance(old, dict):
            if self._strategic and (self._kind, path) in _WHOLE:
                return {} if _same(new, old) else {name: new}
            before = [item for item in earlier if isinstance(item, dict)]
            below = self.maps(path, before, new, old, union=self._strategic and path in _UNIONS)
            return {name: below} if below else {}
        if self._strategic and isinstance(new, list) and isinstance(old, list):
            before = [item for items in earlier if isinstance(items, list) for item in items]
            if key := patch_key(self._kind, path):
                return self._keyed(path, key, before, new, old)
            if patched_as_set(path):
                return _plain(name, before, new, old)
        return {} if _same(new, old) else {name: new}

    def _keyed(self, path: Path, key: str, earlier: list[Any], new: list[Any], old: list[Any]) -> Manifest:
        """A list of maps that are told apart by ``key``."""
        name = str(path[-1])
        wanted, found = _by(key, new), _by(key, old)
        if wanted is None or found is None:  # not what the patch's form can tell apart
            return {} if _same(new, old) else {name: [_REPLACE, *new]}
        before = [item for item in earlier if isinstance(item, dict)]
        items = []
        for place, (value, item) in enumerate(wanted.items()):
            if value in found:
                same = [other for other in before if _key_of(key, other) == value]
                below = self.maps((*path, place), same, item, found[value], union=name in _LISTS_OF_UNIONS)
                items += [{key: value, **below}] if below else []
            else:
                items.append(item)
        gone = dict.fromkeys(_key_of(key, item) for item in before)
        items += [{"$patch": "delete", key: value} for value in gone if value in found.keys() - wanted.keys()]
        patch: Manifest = {name: items} if items else {}
        if wanted and (items or list(found) != list(wanted)):
            patch[f"$setElementOrder/{name}"] = [{key: value} for value in wanted]
        return patch


def _plain(name: str, earlier: list[Any], new: list[Any], old: list[Any]) -> Manifest:
    """A set of plain values."""
    patch: Manifest = {}
    if added := [item for item in new if item not in old]:
        patch[name] = added
    if gone := [item for item in old if item in earlier and item not in new]:
        patch[f"$deleteFromPrimitiveList/{name}"] = gone
    if new and (patch or new != old):
        patch[f"$setElementOrder/{name}"] = new
    return patch


def _by(key: str, items: list[Any]) -> dict[str | int, Manifest] | None:
    """The elements by their merge key; None when one lacks it or shares it."""
    found = {value: item for item in items if isinstance(item, dict) and (value := _key_of(key, item)) is not None}
    return found if len(found) == len(items) else None


def _key_of(key: str, item: Manifest) -> str | int | None:
    value = item.get(key)
    return value if isinstance(value, str | int) and not isinstance(value, bool) else None


def _same(one: Any, other: Any) -> bool:
    """Whether two values are the same JSON (to Python, 1 is True)."""
    try:
        return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    except RecursionError:
        return False
