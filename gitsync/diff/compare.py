"""Two objects compared, as Kubernetes would: field by field, lists of named things by name, quantities by worth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from gitsync.api.builtin import is_builtin
from gitsync.api.identity import group_of
from gitsync.diff.change import Change
from gitsync.diff.mergekeys import Key, by_key, is_set
from gitsync.diff.normalise import SERVER_SET
from gitsync.diff.quantity import is_quantity, same_quantity
from gitsync.diff.secret import folded, is_secret, mask, masked, same_bytes

if TYPE_CHECKING:
    from gitsync.api.identity import Manifest

#: Fields in which "" or 0 asks for the server's choice.
_DEFAULTED_WHEN_EMPTY: Final = frozenset(
    {"clusterIP", "dnsPolicy", "externalTrafficPolicy", "failureThreshold", "healthCheckNodePort", "imagePullPolicy"}
    | {"internalTrafficPolicy", "ipFamilyPolicy", "nodePort", "pathType", "periodSeconds", "protocol", "restartPolicy"}
    | {"schedulerName", "sessionAffinity", "successThreshold", "targetPort", "terminationMessagePath"}
    | {"terminationMessagePolicy", "timeoutSeconds", "type", "volumeMode"}
)
#: Fields of Kubernetes' own kinds in which {} says something that leaving them out does not.
_TELLING_WHEN_EMPTY: Final = frozenset({"emptyDir", "namespaceSelector", "podSelector"})
#: Lists with a merge key whose order has a meaning: init containers run one after the other.
_ORDERED: Final = frozenset({"initContainers"})
_SCALARS: Final = frozenset({str, int, bool})
#: Levels of nesting that are looked into; nothing of Kubernetes' own comes near.
_DEEPEST: Final = 100


def changes(before: Manifest | None, after: Manifest | None) -> list[Change]:
    """Every field that differs between two states of an object; None is the object not being there, and gives one
    change of the empty path. Values of a Secret are compared by what they are worth (stringData and data alike) and
    come masked. Use ``normalised`` first to leave out what the server sets.
    """
    if before is None or after is None:
        if before is after:
            return []
        return [Change((), before and mask(before), after and mask(after))]
    return _compare(before, after, subset=False)


def subset_differs(desired: Manifest, live: Manifest) -> list[Change]:
    """What applying ``desired`` would change in ``live``: the fields that it names and that are not equal there
    (``before`` is live's value, ``after`` the desired one).

    What the server or others added is no difference: fields that desired does not name, further elements of lists with
    a merge key (a sidecar), defaults, and empty values that Kubernetes' own types leave out. So a field or element that
    a former version named and this one does not is not found here. Nor are apiVersion's conversions: read ``live`` in
    desired's version.
    """
    wanted = {name: value for name, value in desired.items() if name != "status"}
    metadata = wanted.get("metadata")
    if isinstance(metadata, dict):
        # The namespace is part of the identity by which live was found; on a cluster-scoped object the server drops it.
        wanted["metadata"] = {
            name: value for name, value in metadata.items() if name != "namespace" and name not in SERVER_SET
        }
    if "aggregationRule" in wanted:
        wanted.pop("rules", None)  # a ClusterRole's controller fills them in
    return _compare(live, wanted, subset=True)


def _compare(before: Manifest, after: Manifest, *, subset: bool) -> list[Change]:
    secret = is_secret(before) or is_secret(after)
    if secret:
        before, after = folded(before), folded(after)
    api_version = after.get("apiVersion") or before.get("apiVersion")
    group = group_of(api_version if isinstance(api_version, str) else "")
    comparison = _Comparison(str(after.get("kind", "")), subset, is_builtin(group))
    comparison.maps(before, after)
    return [masked(change) for change in comparison.found] if secret else comparison.found


class _Comparison:
    """A walk through two objects. ``typed``: the object is of one of Kubernetes' own kinds."""

    def __init__(self, kind: str, subset: bool, typed: bool) -> None:
        self.found: list[Change] = []
        self._kind = kind
        self._subset = subset
        self._typed = typed
        self._path: list[str | int] = []

    def maps(self, before: dict[str, Any], after: dict[str, Any]) -> None:
        """Compare two maps."""
        path = self._path
        for name, new in after.items():
            old = before.get(name)
            kind = new.__class__
            if kind in _SCALARS and kind is old.__class__ and new == old:
                continue  # as most fields are; the rest is slower
            if new is None and name not in before and self._null_says_something():
                self._report_at(name, None, new)
                continue
            path.append(name)
            if kind is dict and old.__class__ is dict and len(path) < _DEEPEST:
                self.maps(old, new)
            else:
                self._values(old, new)
            path.pop()
        if not self._subset:
            for name, old in before.items():
                if name not in after and (old is not None or self._null_says_something()):
                    self._report_at(name, old, None)

    def _values(self, before: Any, after: Any) -> None:
        if isinstance(after, dict) and isinstance(before, dict) and len(self._path) < _DEEPEST:
            self.maps(before, after)
        elif isinstance(after, list) and isinstance(before, list) and len(self._path) < _DEEPEST:
            self._lists(before, after)
        elif after is None or before is None:
            self._absent(before, after)
        elif not self._same(before, after):
            self._report(before, after)

    def _absent(self, before: Any, after: Any) -> None:
        """One of the two is null or not there."""
        if before is None and after is None:
            return
        if self._subset and after is None and not self._null_says_something():
            return  # null asks for the server's choice
        if self._subset and after is not None and self._says_nothing(after):
            return
        self._report(before, after)

    def _says_nothing(self, value: Any) -> bool:
        """Whether a value that desired names and live lacks is one that the server leaves out when it is so. The Go
        types of Kubernetes' own kinds (and of all metadata) leave out what is zero; custom resources are kept as they
        are.
        """
        if not self._is_typed():
            return value == [] and isinstance(value, list)
        return self._path[-1] not in _TELLING_WHEN_EMPTY and _is_zero(value)

    def _same(self, before: Any, after: Any) -> bool:
        """Whether two values, not both maps or both lists, are equal."""
        if isinstance(before, bool) or isinstance(after, bool):
            equal = before is after
        elif isinstance(before, int | float) and isinstance(after, int | float):
            equal = before == after
        elif type(before) is type(after):
            equal = _equal(before, after)
        else:
            equal = False
        if equal:
            return True
        path = self._path
        if is_quantity(path):
            return same_quantity(before, after)
        if path[-1] == "caBundle" or (len(path) > 1 and path[-2] == "binaryData"):
            return same_bytes(before, after)
        asks_for_default = self._subset and after in ("", 0) and not isinstance(after, bool)
        return asks_for_default and path[-1] in _DEFAULTED_WHEN_EMPTY and self._is_typed()

    def _lists(self, before: list[Any], after: list[Any]) -> None:
        if self._is_typed():
            old, new = (by_key(self._kind, self._path, items) for items in (before, after))
            if old is not None and new is not None:
                self._keyed(before, after, old, new)
                return
            if self._subset and is_set(self._path):
                if any(item not in before for item in after):
                    self._report(before, after)
                return
        if len(before) == len(after):
            for place, (old_item, new_item) in enumerate(zip(before, after, strict=True)):
                self._item(place, old_item, new_item)
        elif self._subset:
            self._report(before, after)
        else:
            self._resized(before, after)

    def _keyed(self, before: list[Any], after: list[Any], old: dict[Key, int], new: dict[Key, int]) -> None:
        """Lists with a merge key: elements are compared with their like, wherever it stands."""
        for key, place in new.items():
            self._item(place, before[old[key]] if key in old else None, after[place])
        if not self._subset:
            for key, place in old.items():
                if key not in new:
                    self._report_at(place, before[place], None)
        if self._path[-1] in _ORDERED and [key for key in old if key in new] != [key for key in new if key in old]:
            self._report(list(old), list(new))

    def _resized(self, before: list[Any], after: list[Any]) -> None:
        """Lists of different lengths without a merge key: what is equal at the end belongs together, the rest is
        compared from the beginning.
        """
        tail = 0
        while tail < min(len(before), len(after)) and _equal(before[-1 - tail], after[-1 - tail]):
            tail += 1
        for place in range(max(len(before), len(after)) - tail):
            old = before[place] if place < len(before) - tail else None
            new = after[place] if place < len(after) - tail else None
            self._item(place, old, new)
        for back in range(tail, 0, -1):  # equal to Python, to which 1 is True: looked at once more
            self._item(len(after) - back, before[-back], after[-back])

    def _item(self, place: int, before: Any, after: Any) -> None:
        self._path.append(place)
        self._values(before, after)
        self._path.pop()

    def _is_typed(self) -> bool:
        return self._typed or (bool(self._path) and self._path[0] == "metadata")

    def _null_says_something(self) -> bool:
        """In the values of a HelmRelease null takes away what a chart sets, so it is not the same as nothing."""
        return not self._typed and self._path[:2] == ["spec", "values"]

    def _report(self, before: Any, after: Any) -> None:
        self.found.append(Change(tuple(self._path), before, after))

    def _report_at(self, step: str | int, before: Any, after: Any) -> None:
        self.found.append(Change((*self._path, step), before, after))


def _is_zero(value: Any) -> bool:
    """Zero to Go, all the way down: "", 0, false, null, an empty list, a map of nothing else."""
    if isinstance(value, dict):
        return all(_is_zero(item) for item in value.values())
    return value is None or value in ("", 0, False) or value == []


def _equal(before: Any, after: Any) -> bool:
    try:
        return bool(before == after)
    except RecursionError:
        return False
