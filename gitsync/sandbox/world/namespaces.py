"""Namespaces: what each gets, and how they end. CustomResourceDefinitions: what they bring, and how they end."""

from __future__ import annotations

from gitsync.sandbox.api import CRDS
from gitsync.sandbox.kinds import customkinds
from gitsync.sandbox.objects.metadata import now
from gitsync.sandbox.objects.objectstore import Event, Key
from gitsync.sandbox.world.world import World

ROOT_CA = "kube-root-ca.crt"


def namespace(world: World, key: Key) -> None:
    """A new one gets its service account and the CA; one that ends is emptied, and then is gone."""
    manifest = world.store.get(key)
    if manifest is None:
        return
    if "deletionTimestamp" not in manifest["metadata"]:
        world.create("serviceaccounts.", {"metadata": {"name": "default", "namespace": key.name}})
        world.create("configmaps.", {"metadata": {"name": ROOT_CA, "namespace": key.name}, "data": {"ca.crt": ""}})
        return
    for resource in list(world.api.catalog.namespaced()):
        for held, _ in world.store.items(resource.collection, key.name):
            world.delete(held)
    if any(world.store.items(collection, key.name) for collection in world.store.collections()):
        return  # finalizers; it is looked at again when an object of it goes
    world.change(key, spec={"finalizers": []})
    if not manifest["metadata"].get("finalizers"):
        world.store.remove(key)


def follow(world: World, event: Event) -> None:
    """A namespace or CRD that ends is looked at when something of it has gone; kinds are served at once."""
    if event.type == "DELETED":
        if event.key.namespace:
            world.look_at(Key("namespaces.", "", event.key.namespace))
        world.look_at(Key(CRDS, "", event.key.collection))
    if event.key.collection == CRDS:
        served = [] if event.type == "DELETED" else customkinds.resources(event.new, world.api.catalog)
        world.api.catalog.replace_custom(event.key.name, served)


def definition(world: World, key: Key) -> None:
    """A new one becomes Established; one that ends takes its objects with it."""
    manifest = world.store.get(key)
    if manifest is None:
        return
    if "deletionTimestamp" not in manifest["metadata"]:
        world.change(key, status=customkinds.established(manifest, now()))
        return
    for held, _ in world.store.items(key.name):
        world.delete(held)
    if not world.store.items(key.name):
        world.drop_finalizer(key, customkinds.CLEANUP)
