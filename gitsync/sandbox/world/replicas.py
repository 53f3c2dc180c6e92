"""ReplicaSets and DaemonSets, and what all workloads share: pods from a template."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Final

from gitsync.sandbox.objects.metadata import suffix
from gitsync.sandbox.objects.objectstore import Key
from gitsync.sandbox.world.world import World

if TYPE_CHECKING:
    from gitsync.api.identity import Manifest


PODS: Final = "pods."


def is_ready(pod: Manifest) -> bool:
    """Whether the pod's condition Ready is true."""
    conditions = pod["status"].get("conditions") or ()
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def is_active(pod: Manifest) -> bool:
    """Whether the pod counts: it has not ended, and is not about to go."""
    return pod["status"].get("phase") not in ("Succeeded", "Failed") and "deletionTimestamp" not in pod["metadata"]


def template_hash(template: Manifest) -> str:
    """Ten digits for a template, in the place of Kubernetes' own hash."""
    text = json.dumps(template, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def create_pod(world: World, owner: Manifest, template: Manifest, name: str = "", **labels: str) -> None:
    """A pod from a template; its name ends in a chance when none is given."""
    metadata = template.get("metadata") or {}
    world.create(
        PODS,
        {
            "metadata": {
                "name": name or f"{owner['metadata']['name']}-{suffix()}",
                "namespace": owner["metadata"]["namespace"],
                "labels": {**(metadata.get("labels") or {}), **labels},
                "annotations": dict(metadata.get("annotations") or {}),
            },
            "spec": template["spec"],
        },
        owner,
    )


def replica_set(world: World, key: Key) -> None:
    """As many pods as it wants; those that are not ready go first."""
    manifest = world.store.get(key)
    if manifest is None or "deletionTimestamp" in manifest["metadata"]:
        return
    pods = [(at, pod) for at, pod in world.owned(manifest, PODS) if is_active(pod)]
    want = manifest["spec"]["replicas"]
    for _ in range(want - len(pods)):
        create_pod(world, manifest, manifest["spec"]["template"])
    for at, _ in sorted(pods, key=lambda item: is_ready(item[1]))[: max(len(pods) - want, 0)]:
        world.delete(at)
    pods = [(at, pod) for at, pod in world.owned(manifest, PODS) if is_active(pod)]
    ready = sum(is_ready(pod) for _, pod in pods)
    counts = {"fullyLabeledReplicas": len(pods), "readyReplicas": ready, "availableReplicas": ready}
    status = {"replicas": len(pods), "observedGeneration": manifest["metadata"]["generation"]}
    world.change(key, status=status | {name: count for name, count in counts.items() if count})


def daemon_set(world: World, key: Key) -> None:
    """One pod, for there is one node; another one when the template has changed."""
    manifest = world.store.get(key)
    if manifest is None or "deletionTimestamp" in manifest["metadata"]:
        return
    template = manifest["spec"]["template"]
    revision = template_hash(template)
    pods = [(at, pod) for at, pod in world.owned(manifest, PODS) if is_active(pod)]
    if manifest["spec"]["updateStrategy"]["type"] == "RollingUpdate":
        for at, pod in pods:
            if pod["metadata"]["labels"].get("controller-revision-hash") != revision:
                world.delete(at)
    if not [pod for at, pod in pods if world.store.get(at) is not None]:
        labels = {"controller-revision-hash": revision, "pod-template-generation": "1"}
        create_pod(world, manifest, template, **labels)
    pods = world.owned(manifest, PODS)
    ready = sum(is_ready(pod) for _, pod in pods)
    updated = sum(pod["metadata"]["labels"].get("controller-revision-hash") == revision for _, pod in pods)
    status = {
        "currentNumberScheduled": len(pods),
        "numberMisscheduled": 0,
        "desiredNumberScheduled": 1,
        "numberReady": ready,
        "observedGeneration": manifest["metadata"]["generation"],
        "updatedNumberScheduled": updated,
        **({"numberAvailable": ready} if ready else {"numberUnavailable": 1}),
    }
    world.change(key, status=status)
