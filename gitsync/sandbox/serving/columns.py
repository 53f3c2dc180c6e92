"""The columns of ``kubectl get`` for the kinds that people look at most (printers of k8s.io/kubernetes)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from gitsync.api.identity import Manifest


@dataclass(frozen=True, slots=True)
class Column:
    """``cell`` gives an object's. Those of a ``priority`` above 0 are for ``-o wide``."""

    name: str
    cell: Callable[[Manifest], Any]
    type: str = "string"
    priority: int = 0
    format: str = ""

    @property
    def definition(self) -> Manifest:
        """It as a table names it."""
        return {
            "name": self.name,
            "type": self.type,
            "format": self.format,
            "description": "",
            "priority": self.priority,
        }


def _status(name: str, default: Any = 0) -> Callable[[Manifest], Any]:
    return lambda manifest: (manifest.get("status") or {}).get(name, default)


def _spec(name: str, default: Any = 0) -> Callable[[Manifest], Any]:
    return lambda manifest: (manifest.get("spec") or {}).get(name, default)


def _of(done: str, all_of: Callable[[Manifest], Any]) -> Callable[[Manifest], str]:
    return lambda manifest: f"{_status(done)(manifest)}/{all_of(manifest)}"


def _pod_status(manifest: Manifest) -> str:
    """The reason that a container waits or ended for, else the phase."""
    if "deletionTimestamp" in manifest["metadata"]:
        return "Terminating"
    status = manifest.get("status") or {}
    reason = str(status.get("reason") or status.get("phase") or "")
    for container in status.get("containerStatuses") or ():
        state = container.get("state") or {}
        part = state.get("waiting") or state.get("terminated") or {}
        reason = part.get("reason") or reason
    return reason


def _pod_ready(manifest: Manifest) -> str:
    found = (manifest.get("status") or {}).get("containerStatuses") or ()
    return f"{sum(bool(each.get('ready')) for each in found)}/{len(manifest['spec'].get('containers') or ())}"


def _restarts(manifest: Manifest) -> str:
    found = (manifest.get("status") or {}).get("containerStatuses") or ()
    return str(sum(each.get("restartCount", 0) for each in found))


def _job_status(manifest: Manifest) -> str:
    true = {each["type"] for each in _status("conditions", ())(manifest) if each.get("status") == "True"}
    return next((name for name in ("Complete", "Failed", "Suspended") if name in true), "Running")


def _ports(manifest: Manifest) -> str:
    def one(port: Manifest) -> str:
        outside = f":{port['nodePort']}" if port.get("nodePort") else ""
        return f"{port['port']}{outside}/{port.get('protocol', 'TCP')}"

    return ",".join(map(one, _spec("ports", ())(manifest))) or "<none>"


def _external(manifest: Manifest) -> str:
    spec = manifest.get("spec") or {}
    if spec.get("type") != "LoadBalancer":
        return ",".join(spec.get("externalIPs") or ()) or spec.get("externalName") or "<none>"
    given = (_status("loadBalancer", {})(manifest) or {}).get("ingress") or ()
    return ",".join(each.get("ip") or each.get("hostname") or "" for each in given) or "<pending>"


COLUMNS: Final[Mapping[str, Sequence[Column]]] = {
    "Pod": (
        Column("Ready", _pod_ready),
        Column("Status", _pod_status),
        Column("Restarts", _restarts),
    ),
    "Deployment": (
        Column("Ready", _of("readyReplicas", _spec("replicas"))),
        Column("Up-to-date", _status("updatedReplicas"), "integer"),
        Column("Available", _status("availableReplicas"), "integer"),
    ),
    "ReplicaSet": (
        Column("Desired", _spec("replicas"), "integer"),
        Column("Current", _status("replicas"), "integer"),
        Column("Ready", _status("readyReplicas"), "integer"),
    ),
    "StatefulSet": (Column("Ready", _of("readyReplicas", _spec("replicas"))),),
    "DaemonSet": (
        Column("Desired", _status("desiredNumberScheduled"), "integer"),
        Column("Current", _status("currentNumberScheduled"), "integer"),
        Column("Ready", _status("numberReady"), "integer"),
        Column("Up-to-date", _status("updatedNumberScheduled"), "integer"),
        Column("Available", _status("numberAvailable"), "integer"),
        Column("Node Selector", lambda manifest: "<none>"),
    ),
    "Job": (
        Column("Status", _job_status),
        Column("Completions", _of("succeeded", _spec("completions", 1))),
        Column("Duration", lambda manifest: ""),
    ),
    "Service": (
        Column("Type", _spec("type", "")),
        Column("Cluster-IP", _spec("clusterIP", "<none>")),
        Column("External-IP", _external),
        Column("Port(s)", _ports),
    ),
    "Namespace": (Column("Status", _status("phase", "")),),
    "Secret": (
        Column("Type", lambda manifest: manifest.get("type", "")),
        Column("Data", lambda manifest: len(manifest.get("data") or {}), "string"),
    ),
    "ConfigMap": (
        Column("Data", lambda manifest: len(manifest.get("data") or {}) + len(manifest.get("binaryData") or {})),
    ),
}
