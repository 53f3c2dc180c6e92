"""The objects, their resource versions, and what happened to them lately."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

if TYPE_CHECKING:
    from gitsync.api.identity import Manifest


#: How many events are kept; who asks for what happened before hears 410 Gone.
HISTORY: Final = 10_000


class Key(NamedTuple):
    """Where an object is kept. ``collection`` is resource.group, as in ``deployments.apps``."""

    collection: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Event:
    """A change. ``new`` is the object after it (for DELETED its last state, with a resourceVersion of its own), ``old``
    before it.
    """

    version: int
    type: Literal["ADDED", "MODIFIED", "DELETED"]
    key: Key
    new: Manifest
    old: Manifest | None


Listener = Callable[[Event], None]


class ObjectStore:
    """Objects are never changed once they are in it: a change is another object. Nor may those be who read them."""

    def __init__(self, history: int = HISTORY) -> None:
        self.version = 0
        self._collections: dict[str, dict[tuple[str, str], Manifest]] = {}
        self._dependents: dict[str, set[Key]] = {}
        self._uids: dict[str, Key] = {}
        self._history: deque[Event] = deque(maxlen=history)
        self._listeners: dict[int, Listener] = {}
        self._tokens = itertools.count()

    def get(self, key: Key) -> Manifest | None:
        return self._collections.get(key.collection, {}).get((key.namespace, key.name))

    def items(self, collection: str, namespace: str = "") -> list[tuple[Key, Manifest]]:
        """The objects of a collection by namespace and name; of all namespaces when none is named."""
        found = sorted(self._collections.get(collection, {}).items(), key=lambda item: item[0])
        return [(Key(collection, *at), each) for at, each in found if namespace in ("", at[0])]

    def items_at(self, collection: str, namespace: str, version: int) -> list[tuple[Key, Manifest]]:
        """The same as they were at an earlier version. Raises: LookupError when that is too long ago."""
        found = dict(self.items(collection, namespace))
        for event in reversed(self.since(version)):
            if event.key.collection == collection and namespace in ("", event.key.namespace):
                if event.old is None:
                    found.pop(event.key, None)
                else:
                    found[event.key] = event.old
        return sorted(found.items())

    def collections(self) -> list[str]:
        """Those that hold anything."""
        return [name for name, objects in self._collections.items() if objects]

    def dependents(self, uid: str) -> list[Key]:
        """The objects that name ``uid`` among their owners."""
        return sorted(self._dependents.get(uid, ()))

    def at(self, uid: str) -> Key | None:
        """Where the object of this uid is."""
        return self._uids.get(uid)

    def since(self, version: int) -> list[Event]:
        """What happened after ``version``, which every change counts up by one.

        Raises: LookupError when that is too long ago.
        """
        missed = self.version - version
        if missed > len(self._history):
            raise LookupError(f"too old resource version: {version} ({self.version - len(self._history)})")
        return list(itertools.islice(reversed(self._history), max(missed, 0)))[::-1]

    def put(self, key: Key, manifest: Manifest) -> Manifest:
        """Keep an object, and tell. It becomes the store's own."""
        self.version += 1
        manifest["metadata"]["resourceVersion"] = str(self.version)
        objects = self._collections.setdefault(key.collection, {})
        old = objects.get((key.namespace, key.name))
        objects[key.namespace, key.name] = manifest
        self._index(key, old, manifest)
        self._tell(Event(self.version, "MODIFIED" if old else "ADDED", key, manifest, old))
        return manifest

    def remove(self, key: Key, last: Manifest | None = None) -> None:
        """Let go of an object that is there, and tell; ``last`` is what became of it just before."""
        old = self._collections[key.collection].pop((key.namespace, key.name))
        self.version += 1
        last = last or old
        last = {**last, "metadata": {**last["metadata"], "resourceVersion": str(self.version)}}
        self._index(key, old, None)
        self._tell(Event(self.version, "DELETED", key, last, old))

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Have ``listener`` called after each change, in order; it must be quick. Ends with what is returned."""
        token = next(self._tokens)
        self._listeners[token] = listener

        def end() -> None:
            self._listeners.pop(token, None)

        return end

    def _index(self, key: Key, old: Manifest | None, new: Manifest | None) -> None:
        for manifest in (old, new):
            for owner in (manifest or {}).get("metadata", {}).get("ownerReferences") or ():
                known = self._dependents.setdefault(owner["uid"], set())
                if manifest is new:
                    known.add(key)
                else:
                    known.discard(key)
                if not known:
                    del self._dependents[owner["uid"]]
        if old is not None:
            self._uids.pop(old["metadata"]["uid"], None)
        if new is not None:
            self._uids[new["metadata"]["uid"]] = key

    def _tell(self, event: Event) -> None:
        self._history.append(event)
        for listener in list(self._listeners.values()):
            listener(event)
