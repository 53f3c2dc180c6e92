"""postRenderers on a real cluster, beside the real helm with kustomize as its post-renderer."""

from __future__ import annotations

import json
from typing import Any

from gitsync.helm.manifest import sourced_objects
from tests.parity.postrenderer import with_kustomize
from tests.parity.world import World

DEPLOYMENTS, SERVICES = ("/apis/apps/v1", "deployments"), ("/api/v1", "services")

MERGE = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: demo-podinfo, labels: {team: patched}}
spec: {replicas: 2}
"""
FIRST: dict[str, Any] = {
    "patches": [
        {"patch": MERGE, "target": {"kind": "Deployment"}},
        {
            "patch": "- {op: add, path: /metadata/annotations/patched, value: 'yes'}",
            "target": {"kind": "Service", "name": ".*-podinfo"},
        },
    ],
    "images": [{"name": "registry.example/podinfo", "newTag": "2.0"}],
}


def test_patches_and_images_come_out_as_with_helm_and_a_change_of_them_upgrades(world: World) -> None:
    world.deploy("podinfo", postRenderers=[{"kustomize": FIRST}])
    kustomization = {"resources": ["manifest.yaml"], "sortOptions": {"order": "fifo"}, **FIRST}
    world.helm = with_kustomize(world.helm, world.scratch, json.dumps(kustomization))
    world.install("podinfo", None, "--post-renderer", "kustomize")
    world.ready()
    world.same_objects()
    service = world.object(*SERVICES, "demo-podinfo")
    assert service is not None
    assert service["metadata"]["annotations"]["patched"] == "yes"
    assert [item["kind"] for _, item in sourced_objects(world.record(1)["manifest"])] == [
        item["kind"] for _, item in sourced_objects(world.record(1, world.theirs)["manifest"])
    ]

    # Only after the first renderer there is what the second one tests and replaces.
    second = [
        {"op": "test", "path": "/spec/replicas", "value": 2},
        {"op": "replace", "path": "/spec/replicas", "value": 3},
    ]
    both = [
        {"kustomize": FIRST},
        {"kustomize": {"patchesJson6902": [{"patch": second, "target": {"kind": "Deployment"}}]}},
    ]
    world.patch_spec(postRenderers=both, commonMetadata={"labels": {"team": "common"}})
    world.ready()
    assert world.revisions() == [(1, "superseded"), (2, "deployed")]
    deployment = world.object(*DEPLOYMENTS, "demo-podinfo")
    assert deployment is not None
    assert deployment["spec"]["replicas"] == 3
    assert deployment["metadata"]["labels"]["team"] == "common"
    assert deployment["spec"]["template"]["spec"]["containers"][0]["image"] == "registry.example/podinfo:2.0"

    world.patch_spec(interval="2h")
    world.ready()
    assert len(world.revisions()) == 2
    world.patch_spec(postRenderers=[])
    world.ready()
    service = world.object(*SERVICES, "demo-podinfo")
    assert service is not None
    assert "patched" not in service["metadata"].get("annotations", {})
    assert world.revisions()[-1] == (3, "deployed")


def test_a_patch_that_cannot_be_made_is_named_and_changes_nothing(world: World) -> None:
    bad = {"patch": MERGE.replace("demo", "nobody")}
    world.deploy("podinfo", postRenderers=[{"kustomize": {**FIRST, "patches": [*FIRST["patches"], bad]}}])
    named = 'spec.postRenderers[0].kustomize.patches[2]: no resource matches strategic merge patch "Deployment.v1.apps/'
    status = world.condition("Stalled", "True", containing=named)
    ready = next(item for item in status["conditions"] if item["type"] == "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "ArtifactFailed")
    assert world.revisions() == []

    world.patch_spec(postRenderers=[{"kustomize": FIRST}])
    world.ready()
    assert world.revisions() == [(1, "deployed")]
