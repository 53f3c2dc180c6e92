"""StatefulSets: pods with names and claims of their own, one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gitsync.sandbox.objects.objectstore import Key
from gitsync.sandbox.world.replicas import PODS, create_pod, is_active, is_ready, template_hash
from gitsync.sandbox.world.world import World

if TYPE_CHECKING:
    from gitsync.api.identity import Manifest


CLAIMS: Final = "persistentvolumeclaims."
_REVISION: Final = "controller-revision-hash"


def stateful_set(world: World, key: Key) -> None:
    """One step: the next pod up, or down, or anew from a changed template; and the status."""
    manifest = world.store.get(key)
    if manifest is None or "deletionTimestamp" in manifest["metadata"]:
        return
    revision = f"{key.name}-{template_hash(manifest['spec']['template'])}"
    _step(world, manifest, revision)
    world.change(key, status=_status(world, manifest, revision))


def _step(world: World, manifest: Manifest, revision: str) -> None:
    spec = manifest["spec"]
    ordered = spec["podManagementPolicy"] == "OrderedReady"
    pods = _pods(world, manifest)
    for ordinal in range(spec["replicas"]):
        pod = pods.get(ordinal)
        if pod is not None and not is_active(pod[1]):
            world.delete(pod[0])
            pod = None
        if pod is None:
            _create(world, manifest, ordinal, revision)
        if ordered and not (pod and is_ready(pod[1])):
            return
    surplus = sorted((ordinal for ordinal in pods if ordinal >= spec["replicas"]), reverse=True)
    for ordinal in surplus:
        world.delete(pods[ordinal][0])
        if ordered:
            return
    if spec["updateStrategy"]["type"] == "RollingUpdate":
        _update(world, spec, pods, revision)


def _update(world: World, spec: Manifest, pods: dict[int, tuple[Key, Manifest]], revision: str) -> None:
    """The highest first, each after the one before is ready."""
    lowest = (spec["updateStrategy"].get("rollingUpdate") or {}).get("partition", 0)
    for ordinal in range(spec["replicas"] - 1, lowest - 1, -1):
        if ordinal not in pods:
            return
        key, pod = pods[ordinal]
        if pod["metadata"]["labels"].get(_REVISION) != revision:
            world.delete(key)
            return
        if not is_ready(pod):
            return


def _create(world: World, manifest: Manifest, ordinal: int, revision: str) -> None:
    spec, metadata = manifest["spec"], manifest["metadata"]
    name = f"{metadata['name']}-{ordinal}"
    volumes = {each["name"]: each for each in spec["template"]["spec"].get("volumes", ())}
    for template in spec.get("volumeClaimTemplates", ()):
        claim = f"{template['metadata']['name']}-{name}"
        labels = {**(template["metadata"].get("labels") or {}), **(spec["selector"].get("matchLabels") or {})}
        body = {"name": claim, "namespace": metadata["namespace"], "labels": labels}
        world.create(CLAIMS, {"metadata": body, "spec": template["spec"]})
        volume = template["metadata"]["name"]
        volumes[volume] = {"name": volume, "persistentVolumeClaim": {"claimName": claim}}
    pod = {**spec["template"]["spec"], "hostname": name, "volumes": list(volumes.values())}
    if spec.get("serviceName"):
        pod["subdomain"] = spec["serviceName"]
    labels = {
        _REVISION: revision,
        "statefulset.kubernetes.io/pod-name": name,
        "apps.kubernetes.io/pod-index": str(ordinal),
    }
    create_pod(world, manifest, {**spec["template"], "spec": pod}, name, **labels)


def _pods(world: World, manifest: Manifest) -> dict[int, tuple[Key, Manifest]]:
    prefix = f"{manifest['metadata']['name']}-"
    found = world.owned(manifest, PODS)
    return {int(key.name.removeprefix(prefix)): (key, pod) for key, pod in found}


def _status(world: World, manifest: Manifest, revision: str) -> Manifest:
    pods = [pod for _, pod in _pods(world, manifest).values()]
    before = manifest.get("status") or {}
    want, ready = manifest["spec"]["replicas"], sum(map(is_ready, pods))
    updated = sum(pod["metadata"]["labels"].get(_REVISION) == revision for pod in pods)
    complete = updated == ready == want == len(pods)
    current = revision if complete or not before.get("currentRevision") else before["currentRevision"]
    counts = {
        "readyReplicas": ready,
        "currentReplicas": sum(pod["metadata"]["labels"].get(_REVISION) == current for pod in pods),
        "updatedReplicas": updated,
    }
    return {
        "observedGeneration": manifest["metadata"]["generation"],
        "replicas": len(pods),
        "availableReplicas": ready,
        **{name: count for name, count in counts.items() if count},
        "currentRevision": current,
        "updateRevision": revision,
        "collisionCount": 0,
    }
