"""Defaults of pods, and of the templates of pods (k8s.io/kubernetes, pkg/apis/core/v1/defaults.go)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gitsync.api.identity import Manifest


def fill(manifest: Manifest, **defaults: Any) -> Manifest:
    """Sets what is not there; gives back ``manifest``."""
    for name, value in defaults.items():
        if manifest.get(name) is None:
            manifest[name] = value
    return manifest


def template(spec: Manifest) -> None:
    """The pod template of a workload."""
    found = fill(spec, template={})["template"]
    fill(found, metadata={})
    pod_spec(fill(found, spec={})["spec"])


def pod_spec(spec: Manifest) -> None:
    """A pod's spec, and what is in it."""
    fill(spec, dnsPolicy="ClusterFirst", restartPolicy="Always", schedulerName="default-scheduler", securityContext={})
    fill(spec, terminationGracePeriodSeconds=30)
    account = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if account:
        spec["serviceAccountName"] = spec["serviceAccount"] = account
    for container in (*spec.get("containers", ()), *spec.get("initContainers", ())):
        _container(container)
        for port in container.get("ports", ()) if spec.get("hostNetwork") else ():
            fill(port, hostPort=port.get("containerPort"))
    for volume in spec.get("volumes", ()):
        _volume(volume)


def _container(container: Manifest) -> None:
    image = str(container.get("image") or "")
    fill(container, resources={}, terminationMessagePath="/dev/termination-log", terminationMessagePolicy="File")
    fill(container, imagePullPolicy="Always" if _is_latest(image) else "IfNotPresent")
    for port in container.get("ports", ()):
        fill(port, protocol="TCP")
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        if probe in container:
            found = container[probe]
            fill(found, timeoutSeconds=1, periodSeconds=10, successThreshold=1, failureThreshold=3)
            _handler(found)
            if "grpc" in found:
                fill(found["grpc"], service="")
    for handler in container.get("lifecycle", {}).values():
        if isinstance(handler, dict):
            _handler(handler)
    for variable in container.get("env", ()):
        _field_reference(variable.get("valueFrom") or {})


def _is_latest(image: str) -> bool:
    tag = image.rpartition("/")[2].partition(":")[2]
    return "@" not in image and tag in ("", "latest")


def _handler(handler: Manifest) -> None:
    if "httpGet" in handler:
        fill(handler["httpGet"], path="/", scheme="HTTP")


def _field_reference(source: Manifest) -> None:
    if "fieldRef" in source:
        fill(source["fieldRef"], apiVersion="v1")


def _volume(volume: Manifest) -> None:
    if len(volume) == 1:
        volume["emptyDir"] = {}
    for kind in ("secret", "configMap", "downwardAPI", "projected"):
        if kind in volume:
            fill(volume[kind], defaultMode=0o644)
    if "hostPath" in volume:
        fill(volume["hostPath"], type="")
    for item in volume.get("downwardAPI", {}).get("items", ()):
        _field_reference(item)
    for source in volume.get("projected", {}).get("sources", ()):
        if "serviceAccountToken" in source:
            fill(source["serviceAccountToken"], expirationSeconds=3600)
        for item in source.get("downwardAPI", {}).get("items", ()):
            _field_reference(item)
    claim = volume.get("ephemeral", {}).get("volumeClaimTemplate", {}).get("spec")
    if claim is not None:
        fill(claim, volumeMode="Filesystem")
