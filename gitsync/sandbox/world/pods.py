"""Pods, as if somebody ran them: they become ready, or come into the trouble that their image or arguments ask for.

The rules are those of the test control plane (tests/controlplane/kwok/pod-start.yaml): an image whose tag says so is
never pulled; ``--unready``, ``--crashloop``, ``--ready-after=2s`` and ``exit 1`` among a container's words.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from gitsync.sandbox.objects.metadata import now
from gitsync.sandbox.objects.objectstore import Key
from gitsync.sandbox.world.world import World, controller_of

if TYPE_CHECKING:
    from gitsync.api.identity import Manifest


NODE: Final = "sandbox"
_EXIT: Final = re.compile(r"([^\n]*(;|&&) *)?exit 1")
_AFTER: Final = re.compile(r"--ready-after=([\d.]+)(ms|s|m)")
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0}
_UNREADY: Final = ("initializing", "pulling", "crashing", "unready")


def pod(world: World, key: Key) -> None:
    """One that is new is scheduled, and starts after the world's delay."""
    manifest = world.store.get(key)
    if manifest is None or "nodeName" in manifest["spec"]:
        return
    scheduled = {"type": "PodScheduled", "status": "True", "lastTransitionTime": now()}
    status = {**manifest["status"], "conditions": [scheduled]}
    world.change(key, spec={**manifest["spec"], "nodeName": NODE}, status=status)
    uid = manifest["metadata"]["uid"]
    world.later(uid, world.delay + _asked_delay(manifest), lambda: _start(world, uid))


def _start(world: World, uid: str) -> None:
    key = world.store.at(uid)
    manifest = world.store.get(key) if key else None
    if key and manifest:
        world.change(key, status=_status(world, manifest))


def _asked_delay(manifest: Manifest) -> float:
    """``--ready-after`` in seconds."""
    words = (word for each in manifest["spec"].get("containers", ()) for word in _words(each))
    match = next(filter(None, map(_AFTER.fullmatch, words)), None)
    return float(match[1]) * _SECONDS[match[2]] if match else 0.0


def _status(world: World, manifest: Manifest) -> Manifest:
    spec, time = manifest["spec"], now()
    initialized = not any(world.missing.search(each.get("image", "")) for each in spec.get("initContainers", ()))
    fates = {each["name"]: _fate(world, manifest, each, initialized) for each in spec.get("containers", ())}
    phase = _phase(list(fates.values()), spec["restartPolicy"] == "Always")
    unready = [name for name, fate in fates.items() if fate in _UNREADY]
    why = {"Failed": "PodFailed", "Succeeded": "PodCompleted"}.get(phase, "")
    ready: Manifest = {"status": "False" if why or unready else "True", "lastTransitionTime": time}
    if unready:
        ready |= {"message": f"containers with unready status: [{' '.join(unready)}]", "reason": "ContainersNotReady"}
    elif why:
        ready["reason"] = why
    gates = [each["conditionType"] for each in spec.get("readinessGates", ())]
    true = {"status": "True", "lastTransitionTime": time}
    conditions = [
        {"type": "PodScheduled", **true},
        {"type": "Initialized", **true, "status": str(initialized)},
        {"type": "Ready", **ready},
        {"type": "ContainersReady", **ready},
        *({"type": gate, **true} for gate in gates),
    ]
    done = phase in ("Succeeded", "Failed")
    return {
        **manifest["status"],
        "phase": phase,
        "startTime": time,
        "conditions": conditions,
        "initContainerStatuses": [_init(world, each) for each in spec.get("initContainers", ())],
        "containerStatuses": [_container(each, fates[each["name"]], done, manifest) for each in spec["containers"]],
        "hostIP": "10.32.0.1",
        "podIP": "10.64.0.1",
        "podIPs": [{"ip": "10.64.0.1"}],
    }


def _fate(world: World, manifest: Manifest, container: Manifest, initialized: bool) -> str:
    """What becomes of a container."""
    words = _words(container)
    if not initialized:
        return "initializing"
    if world.missing.search(container.get("image", "")):
        return "pulling"
    if controller_of(manifest).get("kind", "Job") == "Job" and any(_EXIT.fullmatch(word) for word in words):
        return "failed"
    return "crashing" if "--crashloop" in words else "unready" if "--unready" in words else "ready"


def _phase(fates: list[str], endless: bool) -> str:
    if any(fate in ("initializing", "pulling") for fate in fates):
        return "Pending"
    if "failed" in fates:
        return "Failed"
    return "Succeeded" if not endless and set(fates) == {"ready"} else "Running"


def _container(container: Manifest, fate: str, done: bool, pod: Manifest) -> Manifest:
    image, time = container.get("image", ""), now()
    ended = {"startedAt": time, "finishedAt": time}
    crash = {"terminated": {"exitCode": 1, "reason": "Error", **ended}}
    where = f"{pod['metadata']['name']}_{pod['metadata']['namespace']}({pod['metadata']['uid']})"
    back_off = f"back-off 40s restarting failed container={container['name']} pod={where}"
    states: dict[str, Any] = {
        "initializing": {"waiting": {"reason": "PodInitializing"}},
        "pulling": {"waiting": {"reason": "ImagePullBackOff", "message": f'Back-off pulling image "{image}"'}},
        "crashing": {"waiting": {"reason": "CrashLoopBackOff", "message": back_off}},
        "failed": crash,
    }
    completed = {"terminated": {"exitCode": 0, "reason": "Completed", **ended}}
    return {
        "name": container["name"],
        "image": image,
        "restartCount": 3 if fate == "crashing" else 0,
        "ready": fate == "ready" and not done,
        "started": fate in ("ready", "unready") and not done,
        "state": states.get(fate) or (completed if done else {"running": {"startedAt": time}}),
        **({"lastState": crash} if fate == "crashing" else {}),
    }


def _init(world: World, container: Manifest) -> Manifest:
    image, time = container.get("image", ""), now()
    missing = world.missing.search(image) is not None
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": f'Back-off pulling image "{image}"'}}
    completed = {"terminated": {"exitCode": 0, "reason": "Completed", "startedAt": time, "finishedAt": time}}
    return {
        "name": container["name"],
        "image": image,
        "restartCount": 0,
        "ready": not missing,
        "started": False,
        "state": waiting if missing else completed,
    }


def _words(container: Manifest) -> list[str]:
    return [*container.get("command", ()), *container.get("args", ())]
