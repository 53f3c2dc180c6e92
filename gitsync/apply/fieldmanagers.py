"""Taking over the fields that other field managers have in an object, so that what its manifest drops is removed.

Server-side apply shares a field among all managers that wrote the same into it, and removes it only when the last of
them drops it: a field that ``kubectl create`` wrote once would stay for ever, though Git has the object now, without
that field. kubectl moves such fields when it goes from client-side to server-side apply (csaupgrade of client-go),
Flux's kustomize-controller those that kubectl wrote. Here the same is done for all managers that write whole objects;
those that only add to an object (an autoscaler, a controller) keep their fields. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

from gitsync.api.identity import Manifest, says
from gitsync.api.names import CLI_FIELD_MANAGER, FIELD_MANAGER, FLUX_FIELD_MANAGER, HELM_FIELD_MANAGER
from gitsync.apply.fieldsv1 import Fields, among, below, difference, overlaid, union, without
from gitsync.diff.secret import LAST_APPLIED, folded, is_core_secret

Operation = Literal["Apply", "Update"]


class Writer(NamedTuple):
    """An entry of managedFields, as far as it says who wrote and how."""

    manager: str
    operation: Operation


def _both(*managers: str) -> frozenset[Writer]:
    return frozenset(Writer(each, operation) for each in managers for operation in ("Apply", "Update"))


#: Managers of other tools that write whole objects. All of their fields are taken over. kubectl's commands
#: have managers of their own; kubectl-last-applied holds the annotation after ``kubectl apply --server-side``.
#: kustomize-controller's updates, unlike what it applies, are finalizers. helm-controller is Flux's.
OTHER_TOOLS: Final = (
    _both("argocd-application-controller", "argocd-controller", FLUX_FIELD_MANAGER, "kubectl-client-side-apply")
    | _both(*(f"kubectl-{command}" for command in ("autoscale", "create", "edit", "expose", "replace", "run")))
    | {Writer(each, "Apply") for each in ("kubectl", "kubectl-last-applied", "kustomize-controller", CLI_FIELD_MANAGER)}
)
#: The same with those of gitsync itself, for an object that moves between Git and a chart. What gitsync updates are
#: finalizers.
OWNERS: Final = OTHER_TOOLS | _both(HELM_FIELD_MANAGER) | {Writer(FIELD_MANAGER, "Apply")}

#: Managers that change single fields by hand. Of their fields, those that the manifest has are taken over, and the rest
#: stays theirs.
BY_HAND: Final = frozenset(
    {"kubectl", CLI_FIELD_MANAGER, "flux"}
    | {f"kubectl-{command}" for command in ("annotate", "label", "patch", "rollout", "set", "taint")}
)
#: The API server's name for all that was in an object that nobody had applied before and whose writers it does not
#: know: what people wrote, defaults, and what controllers wrote.
_UNKNOWN: Final = Writer("before-first-apply", "Update")
#: Parts by which controllers work with an object; they stay theirs unless the manifest has them, too.
_CONTROL: Final = (("f:status",), ("f:metadata", "f:finalizers"), ("f:metadata", "f:ownerReferences"))
#: What everybody holds of an object, though managedFields do not say so.
_NAME: Final[Fields] = {"f:metadata": {"f:name": {}}}
_LAST_APPLIED: Final = ("f:metadata", "f:annotations", f"f:{LAST_APPLIED}")
#: With ``Merge`` as its value, on an object or in its manifest: what kubectl and others wrote stays theirs (Flux's).
_SSA: Final = "kustomize.toolkit.fluxcd.io/ssa"


@dataclass(frozen=True, slots=True)
class TakeOver:
    """What is taken over of an object. ``metadata`` is the patch of its metadata that does it; ``managers`` lose
    fields, ``fields`` become those of who applies, and ``kept`` are those that others go on to hold.
    """

    metadata: Manifest
    managers: tuple[str, ...]
    fields: Fields
    kept: Fields


class _Part(NamedTuple):
    """An entry of managedFields, what is taken of it, and what is left."""

    entry: Manifest
    taken: Fields
    left: Fields

    @property
    def loses(self) -> bool:
        return bool(self.taken) or self.left != _fields(self.entry)


def taken_over(live: Manifest, manifest: Manifest, manager: str, take_over_from: Set[Writer]) -> TakeOver | None:
    """What ``manager``, which applies ``manifest`` to an object, takes over from others; None when there is nothing.

    Fields of subresources are never taken. Those of another version of the API are united as they are written, as by
    Flux: a path that the other version does not have has no effect.
    """
    if not take_over_from:
        return None
    tools = not any(says(each, _SSA, "merge") for each in (live, manifest))
    writers = (take_over_from if tools else take_over_from - OTHER_TOOLS) | {Writer(manager, "Update")}
    entries: list[Manifest] = live["metadata"].get("managedFields") or []
    own = _applied_by(manager, live)
    ours = _fields(own or {})
    parts = [_split(entry, ours, writers, live if tools else None) for entry in entries if entry is not own]
    if is_core_secret(live):
        parts = [part._replace(taken=_stored(part.taken)) for part in parts]
    metadata: Manifest = {}
    if not entries:
        return None  # the API server says what is whose once somebody has applied
    if losing := [part for part in parts if part.loses]:
        rest = [{**part.entry, "fieldsV1": part.left} for part in parts if part.left]
        metadata["managedFields"] = [*rest, *_applied(own, losing, manager)]
    if tools and LAST_APPLIED in _annotations(live) and LAST_APPLIED not in _annotations(manifest):
        metadata["annotations"] = {LAST_APPLIED: None}
    if not metadata:
        return None
    managers = tuple(dict.fromkeys(_writer(part.entry).manager for part in losing))
    return TakeOver(metadata, managers, union(part.taken for part in parts), union(part.left for part in parts))


def pruned(after: Manifest, manifest: Manifest, manager: str, take_over_from: Set[Writer]) -> Manifest:
    """What an apply of ``manifest`` leaves of the object that it answered, once fields are taken over from others: the
    same object where there are none.
    """
    found = taken_over(after, manifest, manager, take_over_from)
    if found is None or not found.fields:
        return after
    result: Manifest = without(
        after, found.fields, union((_NAME, found.kept, _fields(_applied_by(manager, after) or {})))
    )
    return result


def merged(live: Manifest, manifest: Manifest, manager: str, take_over_from: Set[Writer]) -> Manifest | None:
    """What an apply of ``manifest`` makes of ``live`` after fields are taken over from others; None where there are
    none. For an object that the API server refuses as long as others have their fields: else, it merges better.
    """
    found = taken_over(live, manifest, manager, take_over_from)
    if found is None or not found.fields:
        return None
    ours = _fields(_applied_by(manager, live) or {})
    rest = without(live, union((ours, found.fields)), union((_NAME, found.kept)))
    result: Manifest = overlaid(rest, manifest, union((ours, found.fields, found.kept)))
    return result


def _split(entry: Manifest, ours: Fields, writers: Set[Writer], live: Manifest | None) -> _Part:
    """``live`` is None where what tools wrote stays theirs."""
    writer, held = _writer(entry), _fields(entry)
    if live and writer == _UNKNOWN:
        taken = among(held, _last_applied(live))
    elif writer in writers or (live and _is_client_side_apply(writer, held)):
        taken = held
    elif live and writer.manager in BY_HAND:
        taken = {}
    else:
        return _Part(entry, {}, held)
    taken = difference(taken, union(below(held, path) for path in _CONTROL))
    return _Part(entry, taken, difference(difference(held, taken), ours))


def _is_client_side_apply(writer: Writer, held: Fields) -> bool:
    """Under whatever name: who wrote kubectl's annotation, which is how kubectl itself finds out."""
    return writer.operation == "Update" and bool(writer.manager) and bool(below(held, _LAST_APPLIED))


def _applied(own: Manifest | None, losing: Sequence[_Part], manager: str) -> list[Manifest]:
    """The entry of ``manager`` with all that is taken; a new one is made from the newest of the others."""
    taken = [part for part in losing if part.taken]
    if own is None and not taken:
        return []
    newest = max(taken, key=lambda part: str(part.entry.get("time", ""))).entry if taken else {}
    base = own or {**newest, "manager": manager, "operation": "Apply", "fieldsV1": {}}
    return [{**base, "fieldsV1": union([_fields(base), *(part.taken for part in taken)])}]


def _stored(fields: Fields) -> Fields:
    """The same fields as the API server stores them: stringData of a Secret becomes data."""
    strings = fields.get("f:stringData") or {}
    rest = {element: node for element, node in fields.items() if element != "f:stringData"}
    return union((rest, {"f:data": strings})) if strings else fields


def _applied_by(manager: str, live: Manifest) -> Manifest | None:
    """The entry of what ``manager`` has applied."""
    entries = live["metadata"].get("managedFields") or ()
    return next((entry for entry in entries if _writer(entry) == (manager, "Apply")), None)


def _writer(entry: Manifest) -> Writer:
    """Who wrote an entry of managedFields; nobody, when the entry is about a subresource."""
    return Writer("" if entry.get("subresource") else str(entry.get("manager", "")), entry.get("operation", "Update"))


def _fields(entry: Manifest) -> Fields:
    return entry.get("fieldsV1") or {}


def _annotations(manifest: Manifest) -> dict[str, str]:
    return (manifest.get("metadata") or {}).get("annotations") or {}


def _last_applied(live: Manifest) -> Any:
    """What kubectl applied last; None when it did not, or that cannot be read."""
    try:
        found = json.loads(_annotations(live).get(LAST_APPLIED, "null"))
    except (ValueError, RecursionError):
        return None
    return folded(found) if isinstance(found, dict) and is_core_secret(found) else found
