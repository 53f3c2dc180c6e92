"""What goes with its owner, its namespace or its kind: on the sandbox and on a real control plane."""

from __future__ import annotations

import uuid

import pytest

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.cluster import Cluster
from gitsync.errors import Forbidden, NotFound
from tests.contract.stories import native, settings
from tests.until import until

MANAGER = "contract"


def key(namespace: str, name: str, kind: str = "ConfigMap") -> ObjectKey:
    return ObjectKey("", kind, namespace, name)


async def gone(live: Cluster, *keys: ObjectKey) -> None:
    async def all_gone() -> bool:
        return not [each for each in keys if await live.find(each) is not None]

    await until(all_gone, 90)


def placed(manifest: Manifest, namespace: str, **metadata: object) -> Manifest:
    return manifest | {"metadata": {**manifest["metadata"], "namespace": namespace, **metadata}}


def owned(name: str, namespace: str, owner: Manifest, *, blocks: bool = False) -> Manifest:
    reference = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "blockOwnerDeletion": blocks,
    }
    return placed(settings(name), namespace, ownerReferences=[reference])


async def test_what_is_owned_goes_in_the_background(live: Cluster, namespace: str) -> None:
    owner = await live.create(placed(settings("owner"), namespace), manager=MANAGER)
    await live.create(owned("first", namespace, owner), manager=MANAGER)
    await live.delete(key(namespace, "owner"))
    await gone(live, key(namespace, "owner"), key(namespace, "first"))
    await live.create(owned("late", namespace, owner), manager=MANAGER)
    await gone(live, key(namespace, "late"))


async def test_an_orphan_stays_without_its_owner(live: Cluster, namespace: str) -> None:
    owner = await live.create(placed(settings("owner"), namespace), manager=MANAGER)
    await live.create(owned("kept", namespace, owner), manager=MANAGER)
    await live.delete(key(namespace, "owner"), propagation="Orphan")
    await gone(live, key(namespace, "owner"))
    assert "ownerReferences" not in (await live.get(key(namespace, "kept")))["metadata"]


async def test_in_the_foreground_the_owner_goes_last(live: Cluster, namespace: str) -> None:
    owner = await live.create(placed(settings("owner"), namespace), manager=MANAGER)
    held = owned("held", namespace, owner, blocks=True)
    held["metadata"]["finalizers"] = ["test.example/hold"]
    await live.create(held, manager=MANAGER)
    await live.delete(key(namespace, "owner"), propagation="Foreground")

    async def is_going() -> bool:
        return "deletionTimestamp" in (await live.get(key(namespace, "held")))["metadata"]

    await until(is_going, 90)
    assert (await live.get(key(namespace, "owner")))["metadata"]["finalizers"] == ["foregroundDeletion"]
    await live.patch(key(namespace, "held"), {"metadata": {"finalizers": None}}, manager=MANAGER)
    await gone(live, key(namespace, "held"), key(namespace, "owner"))


async def test_a_namespace_takes_its_content_with_it_and_takes_nothing_new_meanwhile(live: Cluster) -> None:
    name = f"test-{uuid.uuid4().hex[:8]}"
    with pytest.raises(NotFound, match=f'namespaces "{name}" not found'):
        await live.create(placed(settings(), name), manager=MANAGER)
    await live.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}, manager=MANAGER)

    async def is_furnished() -> bool:
        found = [
            await live.find(key(name, "default", "ServiceAccount")),
            await live.find(key(name, "kube-root-ca.crt")),
        ]
        return None not in found

    await until(is_furnished, 90)
    await live.create(placed(settings("held"), name, finalizers=["test.example/hold"]), manager=MANAGER)
    assert await live.delete(key("", name, "Namespace"))
    assert (await live.get(key("", name, "Namespace")))["status"]["phase"] == "Terminating"
    with pytest.raises(Forbidden, match=f"namespace {name} is being terminated"):
        await live.create(placed(settings(), name), manager=MANAGER)
    await gone(live, key(name, "default", "ServiceAccount"))
    await live.patch(key(name, "held"), {"metadata": {"finalizers": None}}, manager=MANAGER)
    await gone(live, key("", name, "Namespace"))


async def test_a_write_that_changes_nothing_is_no_change(live: Cluster, namespace: str) -> None:
    wanted = placed(native("networking.k8s.io/v1", "NetworkPolicy", "web", spec={"podSelector": {}}), namespace)
    first = await live.apply(wanted, manager=MANAGER)
    assert await live.apply(wanted, manager=MANAGER) == first
    labels = {"metadata": {"labels": {"a": "b"}}}
    changed = await live.patch(
        ObjectKey("networking.k8s.io", "NetworkPolicy", namespace, "web"), labels, manager=MANAGER
    )
    assert int(changed["metadata"]["resourceVersion"]) > int(first["metadata"]["resourceVersion"])
    again = await live.patch(ObjectKey("networking.k8s.io", "NetworkPolicy", namespace, "web"), labels, manager=MANAGER)
    assert again["metadata"]["managedFields"] == changed["metadata"]["managedFields"]
    assert again["metadata"]["generation"] == first["metadata"]["generation"] == 1
