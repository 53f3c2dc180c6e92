"""What gitsync's client is tested for on a real API server, and on whatever else claims to be one."""

from __future__ import annotations

import asyncio
import base64
import json
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.cluster import Cluster, Timings, listing, retry_on_conflict
from gitsync.errors import (
    AlreadyExists,
    Conflict,
    Invalid,
    KindUnknown,
    NotFound,
)
from tests.cluster.silentproxy import SilentProxy, silent_proxy
from tests.controlplane.cluster import Cluster as ControlPlane
from tests.until import until

MANAGER = "gitsync-test"


@pytest.fixture
async def live(control_plane: ControlPlane) -> AsyncIterator[Cluster]:
    async with await Cluster.connect(kubeconfig=control_plane.kubeconfig) as connected:
        yield connected


def configmap(namespace: str, name: str = "settings", **data: Any) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace},
        "data": data,
    }


def key(namespace: str, name: str = "settings", kind: str = "ConfigMap") -> ObjectKey:
    return ObjectKey("", kind, namespace, name)


async def test_an_object_s_whole_life(live: Cluster, namespace: str) -> None:
    heard: list[tuple[str, Any]] = []
    async with live.watch("", "ConfigMap", namespace=namespace, fields="metadata.name=settings") as watch:
        watch.subscribe(lambda event: heard.append((event.type, event.manifest.get("data"))))
        await live.apply(configmap(namespace, a="1"), manager=MANAGER)
        await live.patch(key(namespace), {"data": {"b": "2"}}, manager=MANAGER)
        await live.patch(key(namespace), [{"op": "remove", "path": "/data/b"}], patch_type="json", manager=MANAGER)
        changed = await live.get(key(namespace)) | {"data": {"c": "3"}}
        await live.replace(changed, manager=MANAGER)
        with pytest.raises(Conflict, match="cannot update ConfigMap"):
            await live.replace(changed, manager=MANAGER)
        assert await live.delete(key(namespace)) is True
        await until(lambda: len(heard) == 5)
        assert watch.items() == []
    assert heard == [
        ("ADDED", {"a": "1"}),
        ("MODIFIED", {"a": "1", "b": "2"}),
        ("MODIFIED", {"a": "1"}),
        ("MODIFIED", {"c": "3"}),
        ("DELETED", {"c": "3"}),
    ]
    assert await live.find(key(namespace)) is None
    assert await live.delete(key(namespace)) is False


async def test_what_is_there_already_is_not_created(live: Cluster, namespace: str) -> None:
    await live.create(configmap(namespace), manager=MANAGER)
    with pytest.raises(AlreadyExists):
        await live.create(configmap(namespace), manager=MANAGER)


async def test_a_dry_run_shows_what_would_be_and_changes_nothing(live: Cluster, namespace: str) -> None:
    predicted = await live.apply(configmap(namespace, a="1"), manager=MANAGER, dry_run=True)
    assert predicted["data"] == {"a": "1"}
    assert await live.find(key(namespace)) is None


async def test_fields_of_others_are_taken_only_by_force(live: Cluster, namespace: str) -> None:
    await live.apply(configmap(namespace, a="1"), manager="somebody-else")
    with pytest.raises(Conflict) as caught:
        await live.apply(configmap(namespace, a="2"), manager=MANAGER, force=False)
    assert caught.value.reason == "FieldManagerConflict"
    assert [field for field, _ in caught.value.causes] == [".data.a"]
    assert (await live.apply(configmap(namespace, a="2"), manager=MANAGER))["data"] == {"a": "2"}


async def test_writers_that_meet_all_get_through(live: Cluster, namespace: str) -> None:
    await live.apply(configmap(namespace, count="0"), manager=MANAGER)

    meeting = asyncio.Barrier(5)
    met: set[asyncio.Task[Any] | None] = set()

    async def count_up() -> Manifest:
        found = await live.get(key(namespace))
        if (me := asyncio.current_task()) not in met:
            met.add(me)
            await meeting.wait()  # all have read before the first one writes
        found["data"]["count"] = str(int(found["data"]["count"]) + 1)
        return await live.replace(found, manager=MANAGER)

    await asyncio.gather(*(retry_on_conflict(count_up, attempts=30) for _ in range(5)))
    assert (await live.get(key(namespace)))["data"] == {"count": "5"}


async def test_only_the_object_that_was_meant_is_deleted(live: Cluster, namespace: str) -> None:
    first = await live.apply(configmap(namespace), manager=MANAGER)
    await live.delete(key(namespace))
    await live.apply(configmap(namespace), manager=MANAGER)
    assert await live.delete(key(namespace), uid=first["metadata"]["uid"]) is False
    assert await live.find(key(namespace)) is not None


async def test_a_namespace_on_its_way_out_counts_as_deleted(live: Cluster) -> None:
    name = f"test-{uuid.uuid4().hex[:8]}"
    target = ObjectKey("", "Namespace", "", name)
    manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    await live.apply(manifest, manager=MANAGER)
    await live.apply(
        configmap(name) | {"metadata": {"name": "held", "namespace": name, "finalizers": ["test.example/hold"]}},
        manager=MANAGER,
    )
    assert await live.delete(target) is True
    assert await live.delete(target) is True
    await live.patch(key(name, "held"), {"metadata": {"finalizers": None}}, manager=MANAGER)


async def test_errors_name_the_object_and_the_field(live: Cluster, namespace: str) -> None:
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {
            "replicas": -1,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "web", "image": "web:1"}]},
            },
        },
    }
    with pytest.raises(Invalid, match=rf"cannot apply Deployment/{namespace}/web: spec.replicas: Invalid value: -1"):
        await live.apply(deployment, manager=MANAGER)
    with pytest.raises(Invalid) as caught:
        await live.apply(deployment | {"spec": {"replcias": 1}}, manager=MANAGER)
    assert caught.value.causes == (("spec.replcias", "field not declared in schema"),)
    with pytest.raises(NotFound, match="nowhere"):
        await live.apply(configmap("nowhere"), manager=MANAGER)


@pytest.mark.parametrize(
    "content",
    [
        {"data": {"password": "hunter2!"}},
        {"data": "hunter2"},
        {"stringData": {"password": 4711}},
        {"stringData": {"password": {"deep": "hunter2"}}},
        {"type": "kubernetes.io/tls", "stringData": {"tls.crt": "hunter2"}},
        {"type": "kubernetes.io/dockerconfigjson", "stringData": {".dockerconfigjson": "hunter2"}},
        {"immutable": "hunter2"},
    ],
)
async def test_a_refused_secret_is_not_quoted(live: Cluster, namespace: str, content: dict[str, Any]) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "login", "namespace": namespace}, **content}
    with pytest.raises(Invalid) as caught:
        await live.apply(secret, manager=MANAGER)
    shown = f"{caught.value} {caught.value.__dict__}"
    assert "hunter2" not in shown
    assert "4711" not in shown
    assert f"Secret/{namespace}/login" in caught.value.message


def thing_crd(name: str) -> Manifest:
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": {"a": {"type": "integer"}}}}}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{name}s.test.example"},
        "spec": {
            "group": "test.example",
            "scope": "Namespaced",
            "names": {"plural": f"{name}s", "singular": name, "kind": name.capitalize()},
            "versions": [version],
        },
    }


async def test_a_kind_comes_and_goes_with_its_crd(control_plane: ControlPlane, namespace: str) -> None:
    timings = Timings(absent=0.2, absent_max=0.2, discovery=0.2)
    name = f"thing{uuid.uuid4().hex[:6]}"
    crd = thing_crd(name)
    kind = crd["spec"]["names"]["kind"]
    thing = {
        "apiVersion": "test.example/v1",
        "kind": kind,
        "metadata": {"name": "one", "namespace": namespace},
        "spec": {"a": 1},
    }
    async with await Cluster.connect(kubeconfig=control_plane.kubeconfig, timings=timings) as live:
        with pytest.raises(KindUnknown):
            await live.apply(thing, manager=MANAGER)

        async def applied() -> bool:
            try:
                await live.apply(thing, manager=MANAGER)
            except KindUnknown:
                return False
            return True

        async with live.watch("test.example", kind) as watch:
            assert watch.items() == []
            await live.apply(crd, manager=MANAGER)
            await until(applied)
            await until(lambda: len(watch.items()) == 1)
            await live.delete(ObjectKey.of(crd))
            await until(lambda: not watch.items())


async def test_a_list_of_several_pages_is_whole(live: Cluster, namespace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "PAGE_OF_LARGE", 3)
    labels = {"app": "many"}
    wanted = [configmap(namespace, f"many-{number}") for number in range(8)]
    for manifest in wanted:
        manifest["metadata"]["labels"] = labels
    await asyncio.gather(*(live.apply(manifest, manager=MANAGER) for manifest in wanted))
    found = await live.list("", "ConfigMap", namespace=namespace, labels="app=many")
    assert sorted(item["metadata"]["name"] for item in found) == [f"many-{number}" for number in range(8)]
    assert live.requests["list"] == 3
    assert {(item["apiVersion"], item["kind"]) for item in found} == {("v1", "ConfigMap")}


async def test_the_largest_object_passes_through_apply_and_watch(live: Cluster, namespace: str) -> None:
    async with live.watch("", "ConfigMap", namespace=namespace) as watch:
        await live.apply(configmap(namespace, x="y" * 1_000_000), manager=MANAGER)
        await until(lambda: watch.get(key(namespace)) is not None)
        found = watch.get(key(namespace))
        assert found is not None
        assert len(found["data"]["x"]) == 1_000_000


async def test_metadata_alone_can_be_watched(live: Cluster, namespace: str) -> None:
    async with live.watch("", "ConfigMap", namespace=namespace, metadata_only=True) as watch:
        await live.apply(configmap(namespace, x="1"), manager=MANAGER)
        await until(lambda: watch.get(key(namespace)) is not None)
        found = watch.get(key(namespace))
        assert found is not None
        assert (found["apiVersion"], found["kind"]) == ("v1", "ConfigMap")
        assert "data" not in found


def kubeconfig_through(proxy: SilentProxy, control_plane: ControlPlane, directory: Path) -> Path:
    """A kubeconfig that leads to the API server by way of a proxy."""
    config = {
        "current-context": "x",
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
        "clusters": [
            {
                "name": "x",
                "cluster": {
                    "server": f"https://127.0.0.1:{proxy.port}",
                    # As data, which the library writes to a file that is gone by the time we reconnect.
                    "certificate-authority-data": base64.b64encode(control_plane.ca_file.read_bytes()).decode(),
                },
            }
        ],
        "users": [{"name": "x", "user": {"token": control_plane.token}}],
    }
    path = directory / "config"
    path.write_text(json.dumps(config))
    return path


async def test_a_half_open_connection_is_noticed_and_nothing_is_missed(
    control_plane: ControlPlane, namespace: str, tmp_path: Path, live: Cluster
) -> None:
    server = urlsplit(control_plane.server)
    timings = Timings(silence=0.5, request=0.5, backoff=0.01)
    async with silent_proxy(str(server.hostname), server.port or 443) as proxy:
        config = kubeconfig_through(proxy, control_plane, tmp_path)
        async with await Cluster.connect(kubeconfig=config, timings=timings) as through:
            async with through.watch("", "ConfigMap", namespace=namespace) as watch:
                await live.apply(configmap(namespace, "before"), manager=MANAGER)
                await until(lambda: watch.get(key(namespace, "before")) is not None)
                # The pool now holds several connections that are about to be as dead as the watch's own.
                await asyncio.gather(*(through.get(key(namespace, "before")) for _ in range(4)))
                proxy.fall_silent()
                await live.apply(configmap(namespace, "during"), manager=MANAGER)
                await until(lambda: watch.get(key(namespace, "during")) is not None)
                assert (await through.get(key(namespace, "during")))["metadata"]["name"] == "during"
            assert through.requests["list"] == 1
