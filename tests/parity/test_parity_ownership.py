"""disableTakeOwnership on a real cluster: what exists is refused as helm refuses it, before anything happens."""

from __future__ import annotations

import pytest

from tests.controlplane.errors import CommandError
from tests.parity.world import World

REFUSED = {"disableTakeOwnership": True}


def put_service(world: World, namespace: str, **metadata: dict[str, str]) -> None:
    body = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": world.name, **metadata},
        "spec": {"ports": [{"port": 80}]},
    }
    world.cluster.request("POST", f"/api/v1/namespaces/{namespace}/services", body)


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {
            "labels": {"app.kubernetes.io/managed-by": "Helm"},
            "annotations": {
                "meta.helm.sh/release-name": "another",
                "meta.helm.sh/release-namespace": "elsewhere",
            },
        },
    ],
    ids=["nobody's", "another release's"],
)
def test_an_object_that_is_not_the_releases_is_refused_in_helms_words(
    world: World, metadata: dict[str, dict[str, str]]
) -> None:
    for namespace in (world.ours, world.theirs):
        put_service(world, namespace, **metadata)
    with pytest.raises(CommandError) as raised:
        world.install("plain")
    found = str(raised.value)
    theirs = found[found.index("unable to continue") :].strip().replace(world.theirs, world.ours)
    world.deploy("plain", install=REFUSED)
    status = world.condition("Ready", "False", "exists and cannot be imported")
    ours = next(item["message"] for item in status["conditions"] if item["type"] == "Ready")
    assert ours.startswith(f"install retries exhausted: {theirs}; it belongs to "), "and what would help"
    assert world.revisions() == []
    assert world.object("/apis/apps/v1", "deployments", world.name) is None


def test_without_the_option_it_is_taken_over(world: World) -> None:
    put_service(world, world.ours)
    world.deploy("plain")
    world.ready()
    service = world.object("/api/v1", "services", world.name)
    assert service is not None
    assert service["metadata"]["annotations"]["meta.helm.sh/release-name"] == world.name


def test_an_upgrade_refuses_only_what_is_new_to_the_release(world: World) -> None:
    world.deploy("plain", {"image": "registry.example/app:1.0"}, upgrade=REFUSED)
    world.ready()
    # helm looks at what an upgrade adds; what the release has already is its own, whatever it says.
    world.cluster.request("DELETE", f"/api/v1/namespaces/{world.ours}/services/{world.name}")
    put_service(world, world.ours)
    world.deploy("plain", {"image": "registry.example/app:2.0"}, upgrade=REFUSED)
    world.ready()
    assert len(world.revisions()) == 2
