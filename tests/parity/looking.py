"""Reads and changes what parity tests look at: the release's ConfigMap, conditions, Events, log lines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from tests.controlplane.errors import ApiError
from tests.parity.world import World

CORE = "/api/v1"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
#: A remediation by rollback without further tries.
ROLLBACK = {"remediation": {"retries": 0, "remediateLastFailure": True, "strategy": "rollback"}}


def data(world: World) -> dict[str, str]:
    """What the ConfigMap holds; {} when it is not there."""
    return dict((world.object(CORE, "configmaps", "demo-settings") or {}).get("data", {}))


def change(world: World, edit: Callable[[dict[str, Any]], Any]) -> None:
    """Edits the release's ConfigMap, as by hand."""
    manifest = world.object(CORE, "configmaps", "demo-settings")
    assert manifest is not None
    edit(manifest)
    world.cluster.request("PUT", f"{CORE}/namespaces/{world.ours}/configmaps/demo-settings", manifest)


def set_text(world: World, text: str) -> None:
    """Changes a value."""
    change(world, lambda manifest: manifest["data"].update(text=text))


def conditions(world: World) -> dict[str, dict[str, Any]]:
    """The HelmRelease's conditions by type."""
    return {item["type"]: item for item in world.helm_release()["status"]["conditions"]}


def lines(world: World, event: str) -> list[Mapping[str, Any]]:
    """gitsync's log lines of an event so far, about this world's release."""
    return [line for line in world.serving.lines if line["event"] == event and world.ours in str(line["release"])]


def logged(world: World, event: str, count: int = 1) -> list[Mapping[str, Any]]:
    """The same, once there are so many: a line may come after the status that it is about."""
    world.until(lambda: len(lines(world, event)) >= count, f"gitsync has said {event!r} {count} times")
    return lines(world, event)


def events(world: World, kind: str = "HelmRelease") -> list[dict[str, Any]]:
    """The Events about objects of a kind, in the order they were written."""
    place = f"/api/v1/namespaces/{world.ours}/events?fieldSelector=involvedObject.kind%3D{kind}"
    found: list[dict[str, Any]] = world.cluster.request("GET", place)["items"]
    return sorted(found, key=lambda event: int(event["metadata"]["name"].rpartition(".")[2], 16))


def reasons(world: World, kind: str = "HelmRelease") -> list[str]:
    """Their reasons."""
    return [event["reason"] for event in events(world, kind)]


def with_repository(world: World, namespace: str, name: str) -> World:
    """The same world with its HelmRelease, ``name``, and its chart repository in another namespace."""
    manifest = {
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": "HelmRepository",
        "metadata": {"name": "charts", "namespace": namespace},
        "spec": {"interval": "1h", "url": world.serving.url},
    }
    place = f"/apis/source.toolkit.fluxcd.io/v1/namespaces/{namespace}/helmrepositories"
    try:
        world.cluster.request("POST", place, manifest)
    except ApiError as error:
        if error.status != 409:
            raise
    return replace(world, ours=namespace, name=name)
