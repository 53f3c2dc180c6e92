"""What goes with its owner, its namespace or its kind: on the sandbox and on a real control plane."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable

import pytest

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.cluster import Cluster
from gitsync.errors import Conflict, Forbidden, NotFound
from tests.contract.stories import deployment, settings
from tests.controlplane.cluster import Cli

MANAGER = "contract"


def key(namespace: str, name: str, kind: str = "ConfigMap") -> ObjectKey:
    return ObjectKey("", kind, namespace, name)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(90):
        while not await condition():  # noqa: ASYNC110  # the other side is an API server
            await asyncio.sleep(0.05)


async def gone(live: Cluster, *keys: ObjectKey) -> None:
    async def all_gone() -> bool:
        return not [each for each in keys if await live.find(each) is not None]

    await until(all_gone)


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

    await until(is_going)
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

    await until(is_furnished)
    await live.create(placed(settings("held"), name, finalizers=["test.example/hold"]), manager=MANAGER)
    assert await live.delete(key("", name, "Namespace"))
    assert (await live.get(key("", name, "Namespace")))["status"]["phase"] == "Terminating"
    with pytest.raises(Forbidden, match=f"namespace {name} is being terminated"):
        await live.create(placed(settings(), name), manager=MANAGER)
    await gone(live, key(name, "default", "ServiceAccount"))
    await live.patch(key(name, "held"), {"metadata": {"finalizers": None}}, manager=MANAGER)
    await gone(live, key("", name, "Namespace"))


async def test_only_the_version_that_was_read_is_deleted(live: Cluster, namespace: str, kubectl: Cli) -> None:
    await live.create(placed(settings(), namespace), manager=MANAGER)
    path = f"/api/v1/namespaces/{namespace}/configmaps/settings"
    before = await live.get(key(namespace, "settings"))
    changed = await live.patch(key(namespace, "settings"), {"data": {"a": "1"}}, manager=MANAGER)
    assert int(changed["metadata"]["resourceVersion"]) > int(before["metadata"]["resourceVersion"])
    with pytest.raises(Conflict):
        await live.replace(before | {"data": {"b": "2"}}, manager=MANAGER)
    assert "settings" in kubectl("get", "--raw", path)


async def test_what_kubectl_shows_and_changes(kubectl: Cli, namespace: str) -> None:
    in_namespace = ("--namespace", namespace)
    kubectl("create", "deployment", "web", "--image=web:1", "--replicas=2", *in_namespace)
    kubectl("rollout", "status", "deployment/web", "--timeout=60s", *in_namespace)
    header, row = kubectl("get", "deployments", *in_namespace).splitlines()
    assert header.split() == ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"]
    assert row.split()[:4] == ["web", "2/2", "2", "2"]
    header, *rows = kubectl("get", "pods", *in_namespace).splitlines()
    assert header.split() == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert [line.split()[1:4] for line in rows] == [["1/1", "Running", "0"]] * 2
    kubectl("set", "image", "deployment/web", "web=web:2", *in_namespace)
    kubectl("rollout", "status", "deployment/web", "--timeout=60s", *in_namespace)
    kubectl("create", "secret", "generic", "login", "--from-literal=user=me", *in_namespace)
    assert kubectl("get", "secret", "login", "-o", "jsonpath={.data.user}", *in_namespace) == "bWU="
    kubectl("annotate", "secret", "login", "a=b", *in_namespace)
    kubectl("delete", "secret", "login", "--wait", *in_namespace)
    assert kubectl("auth", "can-i", "delete", "pods", *in_namespace).strip() == "yes"


async def test_what_kubectl_applies(kubectl: Cli, namespace: str) -> None:
    def apply(manifest: Manifest, *flags: str) -> str:
        return kubectl("apply", "-f", "-", "--namespace", namespace, *flags, stdin=json.dumps(manifest))

    first = deployment()
    assert apply(first) == "deployment.apps/web created\n"
    assert apply(first) == "deployment.apps/web unchanged\n"
    first["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "B", "value": "2"}]
    assert apply(first) == "deployment.apps/web configured\n"
    env = "jsonpath={.spec.template.spec.containers[0].env[*].name}"
    assert kubectl("get", "deployment", "web", "-o", env, "--namespace", namespace) == "B"
    assert apply(first, "--server-side") == "deployment.apps/web serverside-applied\n"
    with pytest.raises(Exception, match="unknown field"):
        apply(deployment(replcias=1))
