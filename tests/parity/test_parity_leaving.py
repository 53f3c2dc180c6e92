"""Whatever goes together with a release, or before it: nothing hangs on gitsync."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.controlplane.cluster import Cli
from tests.controlplane.errors import ApiError
from tests.parity import live
from tests.parity.looking import CRDS, with_repository
from tests.parity.world import World


@pytest.fixture
def elsewhere(world: World) -> Iterator[str]:
    """Another namespace."""
    name = f"else-{uuid.uuid4().hex[:6]}"
    world.cluster.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    yield name
    try:
        world.cluster.request("DELETE", f"/api/v1/namespaces/{name}")
    except ApiError as error:
        if error.status != 404:
            raise


def test_a_namespace_is_deleted_with_the_releases_in_it(world: World, elsewhere: str, kubectl: Cli) -> None:
    inside = with_repository(world, elsewhere, "inside")
    across = with_repository(world, elsewhere, "across")
    inside.deploy("hooks")
    across.deploy("hooks", targetNamespace=world.ours, storageNamespace=world.ours, releaseName="across")
    inside.ready()
    across.ready()
    assert world.object("/api/v1", "configmaps", "across") is not None

    kubectl("delete", "namespace", elsewhere, "--wait", "--timeout=120s")

    assert world.object("/api/v1", "configmaps", "across") is None, "what is elsewhere was uninstalled"
    assert live.revisions(world.cluster, world.ours, "across") == []


def test_a_release_whose_namespace_and_kinds_are_gone_goes_too(world: World, elsewhere: str, kubectl: Cli) -> None:
    world.deploy("hooks", targetNamespace=elsewhere, storageNamespace=world.ours, releaseName="demo")
    widget = replace(world, name="widget")
    widget.deploy("crds")
    world.ready()
    widget.ready()
    kubectl("delete", "namespace", elsewhere, "--wait", "--timeout=120s")
    world.cluster.request("DELETE", f"{CRDS}/widgets.charts.example")

    removals = [world.remove(), widget.remove()]
    for removal in removals:
        removal()
    assert world.revisions() == []
    left_out = [line for line in world.serving.lines if line["event"] == "hooks cannot run any more, left out"]
    mine = [line["hooks"] for line in left_out if line.get("helm_release") == f"{elsewhere}/demo"]
    assert mine == ["pre-delete", "post-delete"]
