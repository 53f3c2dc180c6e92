"""What differs between two revisions of a release: values, objects and hooks. Pure."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.diff import DiffLine, mask, render_diff
from gitsync.live.valuesources import Path
from gitsync.logs import mask_secrets
from gitsync.release.revision import objects_of
from gitsync.release.storage.record import Record

#: The name under which the values are compared, among the release's objects.
VALUES: Final = "Values"


@dataclass(frozen=True, slots=True)
class RevisionChange:
    """How an object differs: ``verb`` is create, change or delete; ``why`` says that it is a hook's."""

    key: ObjectKey
    verb: str
    diff: tuple[DiffLine, ...] = ()
    why: str = ""
    origin: str = field(default="", init=False)
    release: str = field(default="", init=False)
    kustomization: str = field(default="", init=False)
    to: str = field(default="", init=False)


@dataclass(frozen=True, slots=True)
class RevisionComparison:
    """The differences, those of the values first, and the number of objects without any."""

    objects: tuple[RevisionChange, ...]
    unchanged: int


def revision_changes(
    old: Record, new: Record, secrets: Collection[str] = (), hidden: Collection[Path] = ()
) -> RevisionComparison:
    """From one revision to another. ``secrets`` are shown nowhere as far as they can be told from other words, and of
    the values at ``hidden`` places only whether they differ. Takes time: call it in a thread. Raises: as
    ``parse_objects``."""
    found, unchanged = list(_of_values(old, new, hidden)), 0
    for why, before, after in (("", _objects(old), _objects(new)), ("a hook", _hooks(old), _hooks(new))):
        for key in sorted({**before, **after}):
            if (change := _change(key, before.get(key), after.get(key), why)) is not None:
                found.append(change)
            else:
                unchanged += 1
    return RevisionComparison(tuple(_without(change, secrets) for change in found), unchanged)


def _of_values(old: Record, new: Record, hidden: Collection[Path]) -> Iterator[RevisionChange]:
    name = {"name": new.name, "namespace": new.namespace}
    key = ObjectKey("helm.sh", VALUES, new.namespace, new.name)

    def manifest(record: Record) -> Manifest:
        return {"apiVersion": "helm.sh/v1", "kind": VALUES, "metadata": name, "values": _marked(record.config, hidden)}

    if (change := _change(key, manifest(old), manifest(new), "")) is not None:
        yield change


def _marked(values: Any, hidden: Collection[Path]) -> Any:
    """A copy with markers at these places; markers are equal where the values are."""
    if () in hidden:
        text = json.dumps(values, sort_keys=True)
        return mask({"kind": "Secret", "stringData": {"value": text}})["stringData"]["value"]
    if isinstance(values, dict):
        return {name: _marked(item, _below(hidden, name)) for name, item in values.items()}
    if isinstance(values, list):
        return [_marked(item, _below(hidden, number)) for number, item in enumerate(values)]
    return values


def _below(hidden: Collection[Path], step: str | int) -> Collection[Path]:
    return {path[1:] for path in hidden if path[:1] == (step,)}


def _change(key: ObjectKey, before: Manifest | None, after: Manifest | None, why: str) -> RevisionChange | None:
    lines = tuple(render_diff(before, after, key)[1:])
    if not lines:
        return None
    return RevisionChange(key, "create" if before is None else "delete" if after is None else "change", lines, why)


def _objects(record: Record) -> dict[ObjectKey, Manifest]:
    return {ObjectKey.of(manifest): manifest for manifest in objects_of(record)}


def _hooks(record: Record) -> dict[ObjectKey, Manifest]:
    texts = "\n---\n".join(str(hook.get("manifest") or "") for hook in record.hooks)
    return _objects(replace(record, manifest=texts))


def _without(change: RevisionChange, secrets: Collection[str]) -> RevisionChange:
    if not secrets:
        return change
    return replace(change, diff=tuple(replace(line, text=mask_secrets(line.text, secrets)) for line in change.diff))


def values_at(record: Record, paths: Collection[Path]) -> Iterator[Any]:
    """What a revision's values have at some places, of those that are there."""
    for path in paths:
        value: Any = record.config
        for step in path:
            try:
                value = value[step]
            except (KeyError, IndexError, TypeError):
                break
        else:
            yield value
