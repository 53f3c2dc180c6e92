"""Deployments: a ReplicaSet for each template, and the way from one to the next."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from gitsync.sandbox.objects.metadata import now
from gitsync.sandbox.objects.objectstore import Key
from gitsync.sandbox.world.replicas import PODS, template_hash
from gitsync.sandbox.world.world import World

if TYPE_CHECKING:
    from gitsync.api.identity import Manifest


REPLICA_SETS: Final = "replicasets.apps"
_HASH: Final = "pod-template-hash"
_REVISION: Final = "deployment.kubernetes.io/revision"
#: progressDeadlineSeconds that means none.
_ENDLESS: Final = 2**31 - 1

_Sets = list[tuple[Key, "Manifest"]]


def deployment(world: World, key: Key) -> None:
    """One step of a rollout, and the status."""
    manifest = world.store.get(key)
    if manifest is None or "deletionTimestamp" in manifest["metadata"]:
        return
    spec = manifest["spec"]
    sets = world.owned(manifest, REPLICA_SETS)
    wanted = template_hash(spec["template"])
    new = [item for item in sets if item[1]["metadata"]["labels"].get(_HASH) == wanted]
    old = [item for item in sets if item[1]["metadata"]["labels"].get(_HASH) != wanted]
    if spec.get("paused"):
        pass
    elif spec["strategy"]["type"] == "Recreate" and any(_pods(world, each) for _, each in old):
        for at, each in old:
            _scale(world, at, each, 0)
    elif not new:
        _new_set(world, manifest, wanted, sets)
    else:
        _roll(world, manifest, new[0], old)
        _forget(world, manifest, old)
    sets = world.owned(manifest, REPLICA_SETS)
    current = next((each for _, each in sets if each["metadata"]["labels"].get(_HASH) == wanted), None)
    _annotate(world, key, current)
    world.change(key, status=_status(world, key, manifest, [each for _, each in sets], current))


def _new_set(world: World, manifest: Manifest, wanted: str, sets: _Sets) -> None:
    spec, metadata = manifest["spec"], manifest["metadata"]
    revision = max((_revision(each) for _, each in sets), default=0) + 1
    labels = {**(spec["template"]["metadata"].get("labels") or {}), _HASH: wanted}
    match = {**(spec["selector"].get("matchLabels") or {}), _HASH: wanted}
    template = {**spec["template"], "metadata": {**spec["template"]["metadata"], "labels": labels}}
    world.create(
        REPLICA_SETS,
        {
            "metadata": {
                "name": f"{metadata['name']}-{wanted}",
                "namespace": metadata["namespace"],
                "labels": labels,
                "annotations": {_REVISION: str(revision)},
            },
            "spec": {
                "replicas": 0,
                "selector": {**spec["selector"], "matchLabels": match},
                "template": template,
            },
        },
        manifest,
    )


def _roll(world: World, manifest: Manifest, new: tuple[Key, Manifest], old: _Sets) -> None:
    """As rolling.go of the deployment controller: up within maxSurge, down within maxUnavailable."""
    key, current = new
    want = manifest["spec"]["replicas"]
    surge, unavailable = _limits(manifest)
    total = sum(each["spec"]["replicas"] for _, each in (*old, new))
    have = current["spec"]["replicas"]
    room = max(want + surge - total, 0)
    _scale(world, key, current, want if have > want else min(want, have + room))
    current = world.store.get(key) or current
    unready = max(current["spec"]["replicas"] - _available(current), 0)
    least = want - unavailable
    surplus = sum(each["spec"]["replicas"] for _, each in old) + current["spec"]["replicas"] - least - unready
    spare = sum(_available(each) for _, each in old) + _available(current) - least
    for at, each in old:
        have = each["spec"]["replicas"]
        broken = min(max(surplus, 0), have - _available(each))
        healthy = min(max(spare, 0), have - broken)
        surplus, spare = surplus - broken, spare - healthy
        _scale(world, at, each, have - broken - healthy)


def _limits(manifest: Manifest) -> tuple[int, int]:
    """maxSurge and maxUnavailable as numbers; not both are 0."""
    rolling = manifest["spec"]["strategy"].get("rollingUpdate") or {"maxSurge": 0, "maxUnavailable": "100%"}
    want = manifest["spec"]["replicas"]
    surge = _share(rolling["maxSurge"], want, math.ceil)
    unavailable = _share(rolling["maxUnavailable"], want, math.floor)
    return surge, unavailable or int(not surge)


def _share(value: Any, of: int, rounded: Any) -> int:
    return int(rounded(of * int(value[:-1]) / 100)) if isinstance(value, str) else int(value)


def _scale(world: World, key: Key, replica_set: Manifest, replicas: int) -> None:
    world.change(key, spec={**replica_set["spec"], "replicas": replicas})


def _forget(world: World, manifest: Manifest, old: _Sets) -> None:
    """Old ReplicaSets are kept for a rollback, up to a limit."""
    empty = sorted((item for item in old if not _pods(world, item[1])), key=lambda item: _revision(item[1]))
    for at, _ in empty[: max(len(empty) - manifest["spec"]["revisionHistoryLimit"], 0)]:
        world.delete(at)


def _annotate(world: World, key: Key, current: Manifest | None) -> None:
    """The Deployment carries the revision of its ReplicaSet."""
    before = world.store.get(key)
    if before is None or current is None:
        return
    wanted = current["metadata"]["annotations"][_REVISION]
    annotations = before["metadata"].get("annotations") or {}
    if annotations.get(_REVISION) != wanted:
        metadata = {**before["metadata"], "annotations": {**annotations, _REVISION: wanted}}
        world.store.put(key, {**before, "metadata": metadata})


def _status(world: World, key: Key, manifest: Manifest, sets: list[Manifest], current: Manifest | None) -> Manifest:
    want = manifest["spec"]["replicas"]
    there = sum(each["status"].get("replicas", 0) for each in sets if "status" in each)
    available = sum(map(_available, sets))
    updated = (current or {}).get("status", {}).get("replicas", 0)
    counts = {
        "replicas": there,
        "updatedReplicas": updated,
        "readyReplicas": available,
        "availableReplicas": available,
        "unavailableReplicas": max(want - available, there - available, 0),
    }
    done = updated == there == available == want
    status = {
        "observedGeneration": manifest["metadata"]["generation"],
        "terminatingReplicas": 0,
        **{name: count for name, count in counts.items() if count},
    }
    known = {each["type"]: each for each in manifest.get("status", {}).get("conditions") or ()}
    minimum = available >= want - _limits(manifest)[1]
    conditions = [
        _condition(
            known, "Available", minimum, "MinimumReplicasAvailable" if minimum else "MinimumReplicasUnavailable"
        ),
        _progressing(world, key, manifest, known, current, done, status),
    ]
    return {**status, "conditions": [each for each in conditions if each]}


def _progressing(
    world: World,
    key: Key,
    manifest: Manifest,
    known: dict[str, Manifest],
    current: Manifest | None,
    done: bool,
    status: Manifest,
) -> Manifest | None:
    deadline = manifest["spec"]["progressDeadlineSeconds"]
    name = (current or {"metadata": {"name": manifest["metadata"]["name"]}})["metadata"]["name"]
    if deadline == _ENDLESS:
        return None
    if done:
        said = f'ReplicaSet "{name}" has successfully progressed.'
        return _condition(known, "Progressing", True, "NewReplicaSetAvailable", said)
    before = known.get("Progressing", {})
    moved = any(manifest.get("status", {}).get(each, 0) != status.get(each, 0) for each in _MOVING)
    stands = before.get("reason") in ("ReplicaSetUpdated", "ProgressDeadlineExceeded") and not moved
    since = before.get("lastUpdateTime") if stands else now()
    if world.seconds_since(str(since)) >= deadline:
        said = f'ReplicaSet "{name}" has timed out progressing.'
        return _condition(known, "Progressing", False, "ProgressDeadlineExceeded", said, str(since))
    world.look_later(key, deadline + 1.0)
    said = f'ReplicaSet "{name}" is progressing.'
    return _condition(known, "Progressing", True, "ReplicaSetUpdated", said, str(since))


#: Of a status: what changes when a rollout makes progress.
_MOVING: Final = ("observedGeneration", "updatedReplicas", "availableReplicas", "replicas")


def _condition(
    known: dict[str, Manifest], kind: str, true: bool, reason: str, message: str = "", updated: str = ""
) -> Manifest:
    default = f"Deployment {'has' if true else 'does not have'} minimum availability."
    condition = {"type": kind, "status": str(true), "reason": reason, "message": message or default}
    before = known.get(kind, {})
    if all(before.get(name) == value for name, value in condition.items()) and not updated:
        return before
    changed = now() if before.get("status") != str(true) else before["lastTransitionTime"]
    return {**condition, "lastUpdateTime": updated or now(), "lastTransitionTime": changed}


def _available(replica_set: Manifest) -> int:
    return int(replica_set.get("status", {}).get("availableReplicas", 0))


def _revision(replica_set: Manifest) -> int:
    return int((replica_set["metadata"].get("annotations") or {}).get(_REVISION, 0))


def _pods(world: World, replica_set: Manifest) -> list[tuple[Key, Manifest]]:
    return world.owned(replica_set, PODS)
