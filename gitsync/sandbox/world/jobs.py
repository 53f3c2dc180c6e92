"""Jobs: pods until enough of them have succeeded, or too many failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gitsync.sandbox.objects.metadata import now
from gitsync.sandbox.objects.objectstore import Key
from gitsync.sandbox.world.replicas import PODS, create_pod, is_active, is_ready
from gitsync.sandbox.world.world import World

if TYPE_CHECKING:
    from gitsync.api.identity import Manifest


def job(world: World, key: Key) -> None:
    """Starts what is missing, counts what has ended."""
    manifest = world.store.get(key)
    if manifest is None or "deletionTimestamp" in manifest["metadata"]:
        return
    spec, status = manifest["spec"], manifest.get("status") or {}
    if any(each["type"] in ("Complete", "Failed") for each in status.get("conditions") or ()):
        if "ttlSecondsAfterFinished" in spec:
            _expire(world, key, spec["ttlSecondsAfterFinished"], status)
        return
    pods = world.owned(manifest, PODS)
    phases = [pod["status"].get("phase") for _, pod in pods]
    succeeded, failed = phases.count("Succeeded"), phases.count("Failed")
    active = [(at, pod) for at, pod in pods if is_active(pod)]
    end = _end(spec, succeeded, failed)
    if end or spec.get("suspend"):
        for at, _ in active:
            world.delete(at)
        active = []
    else:
        missing = min(spec["parallelism"], spec.get("completions", spec["parallelism"]) - succeeded) - len(active)
        for _ in range(missing):
            create_pod(world, manifest, spec["template"])
        active = [(at, pod) for at, pod in world.owned(manifest, PODS) if is_active(pod)]
    ready = sum(is_ready(pod) for _, pod in active)
    counts = {"active": len(active), "succeeded": succeeded, "failed": failed}
    world.change(
        key,
        status={
            **({} if spec.get("suspend") else {"startTime": status.get("startTime") or now()}),
            **{name: count for name, count in counts.items() if count},
            "ready": ready,
            "terminating": 0,
            "uncountedTerminatedPods": {},
            **(_ended(end) if end else _suspended(spec, status)),
        },
    )


def _end(spec: Manifest, succeeded: int, failed: int) -> str:
    """Complete, Failed, or "" while it goes on. A Job without completions ends with its first success."""
    if failed > spec["backoffLimit"]:
        return "Failed"
    return "Complete" if succeeded >= spec.get("completions", 1) else ""


def _ended(end: str) -> Manifest:
    time = now()
    if end == "Failed":
        reason, message = "BackoffLimitExceeded", "Job has reached the specified backoff limit"
        kinds = ("FailureTarget", "Failed")
    else:
        reason, message = "CompletionsReached", "Reached expected number of succeeded pods"
        kinds = ("SuccessCriteriaMet", "Complete")
    conditions = [
        {
            "type": kind,
            "status": "True",
            "reason": reason,
            "message": message,
            "lastProbeTime": time,
            "lastTransitionTime": time,
        }
        for kind in kinds
    ]
    return {"conditions": conditions, **({"completionTime": time} if end == "Complete" else {})}


def _suspended(spec: Manifest, status: Manifest) -> Manifest:
    before = [each for each in status.get("conditions") or () if each["type"] == "Suspended"]
    wanted = "True" if spec.get("suspend") else "False"
    if wanted == "False" and not before:
        return {}
    if before and before[0]["status"] == wanted:
        return {"conditions": before}
    said = ("JobSuspended", "Job suspended") if wanted == "True" else ("JobResumed", "Job resumed")
    condition = {"type": "Suspended", "status": wanted, "reason": said[0], "message": said[1]}
    return {"conditions": [{**condition, "lastProbeTime": now(), "lastTransitionTime": now()}]}


def _expire(world: World, key: Key, seconds: int, status: Manifest) -> None:
    """A Job with a time to live goes that long after its end."""
    end = max(each["lastTransitionTime"] for each in status["conditions"])
    if world.seconds_since(end) >= seconds:
        world.delete(key)
    else:
        world.look_later(key, seconds + 1.0)
