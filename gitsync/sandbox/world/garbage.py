"""What goes with its owner, and what holds an owner until then (the garbage collector of kube-controller-manager)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gitsync.sandbox.objects.metadata import FOREGROUND, ORPHAN
from gitsync.sandbox.objects.objectstore import Event, Key
from gitsync.sandbox.world.world import World

if TYPE_CHECKING:
    from gitsync.api.identity import Manifest


def collect(world: World, key: Key) -> None:
    """About one object that changed: whether its owners are gone, and whether it waits for what it owns."""
    manifest = world.store.get(key)
    if manifest is None:
        return
    finalizers = manifest["metadata"].get("finalizers") or ()
    if "deletionTimestamp" not in manifest["metadata"]:
        _without_owners(world, key, manifest)
    elif ORPHAN in finalizers:
        for dependent in world.store.dependents(manifest["metadata"]["uid"]):
            _disown(world, dependent, manifest)
        world.drop_finalizer(key, ORPHAN)
    elif FOREGROUND in finalizers:
        _foreground(world, key, manifest)


def follow(world: World, event: Event) -> None:
    """What an object owned is looked at when it is gone, and a waiting owner when something that it owned is."""
    if event.type != "DELETED":
        return
    for dependent in world.store.dependents(event.new["metadata"]["uid"]):
        world.look_at(dependent)
    for owner in event.new["metadata"].get("ownerReferences") or ():
        key = world.store.at(owner["uid"])
        if key is not None:
            world.look_at(key)


def _without_owners(world: World, key: Key, manifest: Manifest) -> None:
    owners = manifest["metadata"].get("ownerReferences") or ()
    if owners and not any(world.store.at(owner["uid"]) for owner in owners):
        world.delete(key)


def _foreground(world: World, key: Key, manifest: Manifest) -> None:
    """The owner stays until all is gone that blocks it."""
    uid = manifest["metadata"]["uid"]
    blocking = False
    for dependent in world.store.dependents(uid):
        found = world.store.get(dependent)
        assert found is not None
        if not any(
            owner["uid"] != uid and world.store.at(owner["uid"]) for owner in found["metadata"]["ownerReferences"]
        ):
            if "deletionTimestamp" not in found["metadata"]:
                world.delete(dependent, "Foreground")
            left = world.store.get(dependent)
            blocking = blocking or (left is not None and _blocks(left, uid))
    if not blocking:
        world.drop_finalizer(key, FOREGROUND)


def _blocks(manifest: Manifest, uid: str) -> bool:
    owners = manifest["metadata"].get("ownerReferences") or ()
    return any(owner["uid"] == uid and owner.get("blockOwnerDeletion") for owner in owners)


def _disown(world: World, key: Key, owner: Manifest) -> None:
    manifest = world.store.get(key)
    assert manifest is not None
    owners = manifest["metadata"]["ownerReferences"]
    left = [each for each in owners if each["uid"] != owner["metadata"]["uid"]]
    metadata = {**manifest["metadata"], "ownerReferences": left}
    if not left:
        del metadata["ownerReferences"]
    world.store.put(key, {**manifest, "metadata": metadata})
