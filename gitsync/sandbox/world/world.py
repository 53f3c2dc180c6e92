"""Runs the controllers: each is asked about an object whenever it, or something that it owns, has changed."""

from __future__ import annotations

import asyncio
import re
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import structlog

from gitsync.sandbox.api import Api
from gitsync.sandbox.failures import Failure
from gitsync.sandbox.objects.objectstore import Event, Key
from gitsync.sandbox.objects.writing import Options, Target

if TYPE_CHECKING:
    from gitsync.api.identity import Manifest


log = structlog.get_logger(__name__)

Controller = Callable[["World", Key], None]
MANAGER: Final = Options("kube-controller-manager")
#: Tags of images that nobody has ever pushed.
MISSING: Final = "nonexistent|missing"
_BATCH: Final = 50


class World:
    """``delay`` is how long a pod takes to start, in seconds; ``missing`` matches tags of images that cannot be pulled.

    ``controllers`` by collection; ``everywhere`` is asked about every object that changes, and ``followers`` hear of
    each change at once.
    """

    def __init__(
        self,
        api: Api,
        controllers: Mapping[str, Controller],
        everywhere: Controller,
        followers: Sequence[Callable[[World, Event], None]],
        *,
        delay: float,
        missing: str = MISSING,
    ) -> None:
        self.api = api
        self.store = api.store
        self.delay = delay
        self.missing = re.compile(rf":[^/]*({missing})")
        self._controllers = controllers
        self._everywhere = everywhere
        self._followers = followers
        self._queue: deque[Key] = deque()
        self._queued: set[Key] = set()
        self._news = asyncio.Event()
        self._timers: dict[object, asyncio.TimerHandle] = {}
        self._end = self.store.listen(self._hear)

    async def run(self) -> None:
        """Until it is cancelled."""
        try:
            while True:
                await self._news.wait()
                self._work()
                await asyncio.sleep(0)  # requests come in between
        finally:
            self._end()
            for timer in self._timers.values():
                timer.cancel()

    def look_at(self, key: Key) -> None:
        """Have an object's controller asked soon."""
        if key not in self._queued:
            self._queued.add(key)
            self._queue.append(key)
            self._news.set()

    def look_later(self, key: Key, seconds: float) -> None:
        """Look at an object again after some seconds."""
        self.later((key, seconds), seconds, lambda: self.look_at(key))

    def later(self, token: object, seconds: float, action: Callable[[], None]) -> None:
        """Have ``action`` called after some time, unless one of that ``token`` is already going to be."""
        if token not in self._timers:
            self._timers[token] = asyncio.get_running_loop().call_later(seconds, self._due, token, action)

    @staticmethod
    def seconds_since(timestamp: str) -> float:
        """How long ago something was."""
        return time.time() - datetime.fromisoformat(timestamp).timestamp()

    def owned(self, owner: Manifest, collection: str) -> list[tuple[Key, Manifest]]:
        """The objects of a collection that ``owner`` controls, by name."""
        uid = owner["metadata"]["uid"]
        found = [(key, self.store.get(key)) for key in self.store.dependents(uid) if key.collection == collection]
        return [(key, each) for key, each in found if each is not None and controller_of(each).get("uid") == uid]

    def create(self, collection: str, manifest: Manifest, owner: Manifest | None = None) -> None:
        """Create an object, controlled by ``owner`` if one is given. One that is there already is left as it is."""
        resource = self.api.catalog.of_collection(collection)
        manifest = {"apiVersion": resource.api_version, "kind": resource.kind, **manifest}
        if owner is not None:
            manifest["metadata"] = {**manifest["metadata"], "ownerReferences": [reference_to(owner)]}
        try:
            self.api.create(Target(resource, manifest["metadata"].get("namespace", "")), manifest, MANAGER)
        except Failure as failure:
            if failure.reason != "AlreadyExists":
                log.debug("sandbox object not created", kind=resource.kind, error=failure.message)

    def change(self, key: Key, **parts: Any) -> None:
        """Put parts of an object in place, if they differ."""
        before = self.store.get(key)
        if before is None or all(before.get(name) == value for name, value in parts.items()):
            return
        metadata = dict(before["metadata"])
        if "spec" in parts and parts["spec"] != before["spec"] and "generation" in metadata:
            metadata["generation"] += 1
        self.store.put(key, {**before, "metadata": metadata, **parts})

    def delete(self, key: Key, policy: str = "Background") -> None:
        """Delete an object that may be gone."""
        target = Target(self.api.catalog.of_collection(key.collection), key.namespace, key.name)
        if self.store.get(key) is not None:
            self.api.delete(target, policy=policy)

    def drop_finalizer(self, key: Key, finalizer: str) -> None:
        """Take a finalizer away, and the object with the last one."""
        before = self.store.get(key)
        if before is None:
            return
        left = [each for each in before["metadata"].get("finalizers") or () if each != finalizer]
        metadata = {**before["metadata"], "finalizers": left}
        if not left:
            del metadata["finalizers"]
        if "deletionTimestamp" in metadata and not left:
            self.store.remove(key, {**before, "metadata": metadata})
        else:
            self.store.put(key, {**before, "metadata": metadata})

    def owner_key(self, manifest: Manifest) -> Key | None:
        """Where the controller of an object is; None when it has none that is served."""
        owner = controller_of(manifest)
        try:
            resource = self.api.catalog.of_kind(owner["apiVersion"].rpartition("/")[0], owner["kind"])
        except KeyError:
            return None
        namespace = manifest["metadata"].get("namespace", "") if resource.namespaced else ""
        return Key(resource.collection, namespace, owner["name"])

    def _hear(self, event: Event) -> None:
        self.look_at(event.key)
        owner = self.owner_key(event.new)
        if owner is not None:
            self.look_at(owner)
        for follow in self._followers:
            follow(self, event)

    def _due(self, token: object, action: Callable[[], None]) -> None:
        del self._timers[token]
        action()

    def _work(self) -> None:
        for _ in range(_BATCH):
            if not self._queue:
                self._news.clear()
                return
            key = self._queue.popleft()
            self._queued.discard(key)
            try:
                self._everywhere(self, key)
                if key.collection in self._controllers:
                    self._controllers[key.collection](self, key)
            except Exception:
                log.exception("sandbox controller failed", object=str(key))


def controller_of(manifest: Manifest) -> Mapping[str, Any]:
    """The owner reference of an object's controller, {} without one."""
    owners = manifest["metadata"].get("ownerReferences") or ()
    return next((owner for owner in owners if owner.get("controller")), {})


def reference_to(owner: Manifest) -> Manifest:
    """An owner reference of a controller."""
    metadata = owner["metadata"]
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": metadata["name"],
        "uid": metadata["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
