"""Why a pod is not ready, down to its containers, as `kubectl describe pod` would let a person find out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final

from gitsync.health.fields import condition, maps, number, section, text
from gitsync.health.verdict import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gitsync.api.identity import Manifest

#: What every container says while it starts.
_STARTING: Final = frozenset({"", "ContainerCreating", "PodInitializing"})
#: Ends whose message is the container runtime's. The others' is what the program wrote to its termination log, which
#: may hold anything, a password too: that is left out.
_RUNTIME_ENDS: Final = frozenset({"StartError", "ContainerCannotRun"})
_TEXT_LIMIT: Final = 220


class Weight(IntEnum):
    """How much a finding explains; the heaviest is told."""

    STARTING = 0
    WAITING = 1
    BROKEN = 2


@dataclass(frozen=True, slots=True)
class Finding:
    """Why a pod is not ready: ``reason`` is Kubernetes' word, ``text`` says it in a few words, reason included.
    ``container`` is "" when the whole pod is meant; ``init`` when it is an init container.
    """

    weight: Weight
    reason: str
    text: str
    container: str = ""
    init: bool = False


def is_pod_ready(pod: Manifest) -> bool:
    """Its Ready condition is True."""
    return text(condition(pod, "Ready"), "status") == "True"


def examine(pod: Manifest) -> Finding | None:
    """Why this pod is not ready; None when it is ready or has succeeded."""
    phase = text(pod, "status", "phase")
    if phase == "Succeeded" or (phase == "Running" and is_pod_ready(pod)):
        return None
    found = list(_findings(pod))
    if not found:
        return Finding(Weight.STARTING, "PodNotReady", f"not ready, phase {phase}" if phase else "not started yet")
    return max(found, key=lambda finding: finding.weight)  # the first of the heaviest


def _findings(pod: Manifest) -> Iterator[Finding]:
    if text(pod, "status", "phase") == "Failed" and text(pod, "status", "reason"):
        # Evicted, DeadlineExceeded, NodeShutdown, ...: the kubelet's verdict on the pod as a whole.
        reason, message = text(pod, "status", "reason"), text(pod, "status", "message")
        yield Finding(Weight.BROKEN, reason, _joined(reason, message))
    scheduled = condition(pod, "PodScheduled")
    if text(scheduled, "status") == "False":
        yield _unscheduled(scheduled)
    sidecars = {
        text(item, "name") for item in maps(pod, "spec", "initContainers") if item.get("restartPolicy") == "Always"
    }
    for status in maps(pod, "status", "initContainerStatuses"):
        name = text(status, "name")
        finding = _of_container(status, init=name not in sidecars)
        if finding:
            yield finding
    for status in maps(pod, "status", "containerStatuses"):
        finding = _of_container(status, init=False)
        if finding:
            yield finding
    yield from _unmet_gates(pod)


def _unscheduled(scheduled: dict[str, Any]) -> Finding:
    """The scheduler's message, without what it tried in order to make room."""
    reason = text(scheduled, "reason") or "Unschedulable"
    message = text(scheduled, "message").partition(" preemption:")[0].removesuffix(" no new claims to deallocate,")
    return Finding(Weight.BROKEN, reason, _joined(reason, message))


def _unmet_gates(pod: Manifest) -> Iterator[Finding]:
    """Readiness gates: conditions that something outside the pod has to set."""
    for gate in maps(pod, "spec", "readinessGates"):
        kind = text(gate, "conditionType")
        if text(condition(pod, kind), "status") != "True":
            yield Finding(Weight.WAITING, "ReadinessGatesNotReady", f"readiness gate {kind} is not true")


def _of_container(status: dict[str, Any], *, init: bool) -> Finding | None:
    """What keeps this container from its goal: to be ready or, for an init container, to have ended well."""
    name = text(status, "name")
    state = section(status, "state")
    if "terminated" in state:
        end = section(state, "terminated")
        if number(end, "exitCode") == 0:
            return None
        reason = text(end, "reason") or "Error"
        return Finding(Weight.BROKEN, reason, _ended(end) + _restarts(status), name, init)
    if "running" in state:
        return _running(status, name, init)
    reason = text(state, "waiting", "reason")
    last = section(status, "lastState", "terminated")
    if reason == "CrashLoopBackOff":
        # Its message only repeats the pod's name; how the container ended last is what helps.
        how = f"last exit code {_exit(last)}" if last else "restarting"
        return Finding(Weight.BROKEN, reason, f"{reason}: {how}{_restarts(status)}", name, init)
    if reason in _STARTING:
        return Finding(Weight.STARTING, reason or "ContainerCreating", reason or "ContainerCreating", name, init)
    return Finding(Weight.BROKEN, reason, _joined(reason, text(state, "waiting", "message")), name, init)


def _running(status: dict[str, Any], name: str, init: bool) -> Finding | None:
    if init:
        return Finding(Weight.WAITING, "PodInitializing", "still running", name, init)
    if status.get("ready") is True:
        return None
    last = section(status, "lastState", "terminated")
    if number(last, "exitCode"):
        reason = text(last, "reason") or "Error"
        return Finding(
            Weight.BROKEN, reason, f"running again after exit code {_exit(last)}{_restarts(status)}", name, init
        )
    started = (
        "running, not ready" if status.get("started") is not False else "running, its startup probe has not passed"
    )
    return Finding(Weight.WAITING, "ContainersNotReady", started, name, init)


def _ended(end: dict[str, Any]) -> str:
    message = text(end, "message") if text(end, "reason") in _RUNTIME_ENDS else ""
    return _joined(f"exit code {_exit(end)}", message)


def _exit(end: dict[str, Any]) -> str:
    """``137 (OOMKilled)``"""
    reason = text(end, "reason")
    return f"{number(end, 'exitCode')} ({reason})" if reason else f"{number(end, 'exitCode')}"


def _restarts(status: dict[str, Any]) -> str:
    count = number(status, "restartCount")
    return "" if not count else f", {count} restart{'s' if count > 1 else ''}"


def _joined(reason: str, message: str) -> str:
    return one_line(f"{reason}: {message}" if message else reason, _TEXT_LIMIT)
