"""Claims are bound to volumes made for them. Services of type LoadBalancer get an address."""

from __future__ import annotations

import zlib
from typing import Final

from gitsync.sandbox.objects.objectstore import Key
from gitsync.sandbox.world.world import World

VOLUMES: Final = "persistentvolumes."
#: Seconds after which a claim that a pod still uses is looked at again.
_AGAIN: Final = 0.1
_PROTECTION: Final = ("kubernetes.io/pvc-protection", "kubernetes.io/pv-protection")


def claim(world: World, key: Key) -> None:
    """A new claim gets a volume; one that is deleted goes once no pod uses it, and its volume with it."""
    manifest = world.store.get(key)
    if manifest is None:
        return
    spec, metadata = manifest["spec"], manifest["metadata"]
    if "deletionTimestamp" in metadata:
        if _used(world, key):
            world.look_later(key, _AGAIN)
        else:
            world.drop_finalizer(key, _PROTECTION[0])
            if spec.get("volumeName"):
                world.delete(Key(VOLUMES, "", spec["volumeName"]))
        return
    storage_class = Key("storageclasses.storage.k8s.io", "", spec.get("storageClassName", ""))
    if spec.get("volumeName") or world.store.get(storage_class) is None:
        return
    name = f"pvc-{metadata['uid']}"
    capacity = spec["resources"]["requests"]
    reference = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "name": key.name, "namespace": key.namespace}
    volume = {
        "capacity": capacity,
        "accessModes": spec["accessModes"],
        "persistentVolumeReclaimPolicy": "Delete",
        "storageClassName": spec["storageClassName"],
        "volumeMode": spec["volumeMode"],
        "claimRef": {**reference, "uid": metadata["uid"]},
        "hostPath": {"path": "/nonexistent"},
    }
    world.create(VOLUMES, {"metadata": {"name": name}, "spec": volume})
    world.change(Key(VOLUMES, "", name), status={"phase": "Bound"})
    bound = {"phase": "Bound", "accessModes": spec["accessModes"], "capacity": capacity}
    world.change(key, spec={**spec, "volumeName": name}, status=bound)


def volume(world: World, key: Key) -> None:
    """One that is deleted goes at once."""
    manifest = world.store.get(key)
    if manifest is not None and "deletionTimestamp" in manifest["metadata"]:
        world.drop_finalizer(key, _PROTECTION[1])


def service(world: World, key: Key) -> None:
    """An address out of 198.51.100.0/24, which is for documentation."""
    manifest = world.store.get(key)
    if manifest is not None and manifest["spec"].get("type") == "LoadBalancer":
        address = f"198.51.100.{zlib.crc32(manifest['metadata']['uid'].encode()) % 254 + 1}"
        world.change(key, status={"loadBalancer": {"ingress": [{"ip": address, "ipMode": "VIP"}]}})


def _used(world: World, key: Key) -> bool:
    volumes = (
        each for _, pod in world.store.items("pods.", key.namespace) for each in pod["spec"].get("volumes") or ()
    )
    return any((each.get("persistentVolumeClaim") or {}).get("claimName") == key.name for each in volumes)
