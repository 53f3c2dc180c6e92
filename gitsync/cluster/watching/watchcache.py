"""The objects of one watch, and what happened to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.defects import tell_defect

EventType = Literal["ADDED", "MODIFIED", "DELETED"]


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """What happened to an object. ``manifest`` is its new state; for DELETED its last one."""

    type: EventType
    key: ObjectKey
    manifest: Manifest


Callback = Callable[[WatchEvent], None]


class WatchCache:
    """The objects of one watch, and its listeners. They are called after the store has been changed."""

    def __init__(self, group: str, kind: str) -> None:
        self._group = group
        self._kind = kind
        self._objects: dict[ObjectKey, Manifest] = {}
        self._callbacks: dict[object, Callback] = {}

    @property
    def objects(self) -> dict[ObjectKey, Manifest]:
        return self._objects

    def subscribe(self, callback: Callback) -> Callable[[], None]:
        token = object()
        self._callbacks[token] = callback

        def unsubscribe() -> None:
            self._callbacks.pop(token, None)

        return unsubscribe

    def put(self, manifest: Manifest) -> None:
        key = self._key(manifest)
        known = self._objects.get(key)
        if known is not None:
            if _version(known) == _version(manifest) != "":
                return
            if known["metadata"].get("uid") != manifest["metadata"].get("uid"):
                self.drop(known)
                known = None
        self._objects[key] = manifest
        self._tell(WatchEvent("ADDED" if known is None else "MODIFIED", key, manifest))

    def drop(self, manifest: Manifest) -> None:
        key = self._key(manifest)
        if self._objects.pop(key, None) is not None:
            self._tell(WatchEvent("DELETED", key, manifest))

    def replace(self, manifests: list[Manifest]) -> None:
        """Takes over a new list, telling of what differs as if each change had been seen."""
        listed = {self._key(manifest) for manifest in manifests}
        for key in [key for key in self._objects if key not in listed]:
            self.drop(self._objects[key])
        for manifest in manifests:
            self.put(manifest)

    def _key(self, manifest: Manifest) -> ObjectKey:
        metadata = manifest["metadata"]
        return ObjectKey(self._group, self._kind, metadata.get("namespace") or "", metadata["name"])

    def _tell(self, event: WatchEvent) -> None:
        for callback in list(self._callbacks.values()):
            try:
                callback(event)
            except Exception as error:  # a defect of one listener must not keep the others from being called
                tell_defect("watch", error, event_type=event.type, object=str(event.key))


def _version(manifest: Manifest) -> str:
    """Some aggregated APIs give their objects none."""
    return manifest["metadata"].get("resourceVersion") or ""
