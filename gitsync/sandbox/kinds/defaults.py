"""What the API server fills in where an object of Kubernetes' own says nothing (k8s.io/kubernetes, defaults.go of each
group, and what admission and registries add at once).
"""

from __future__ import annotations

import base64
import itertools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from gitsync.sandbox.kinds.poddefaults import fill, pod_spec, template

if TYPE_CHECKING:
    from gitsync.api.identity import Manifest


STORAGE_CLASS: Final = "standard"
_RBAC: Final = "rbac.authorization.k8s.io"
_Rule = Callable[["Defaults", "Manifest"], None]


class Defaults:
    """Gives out cluster IPs and node ports as it goes."""

    def __init__(self) -> None:
        self._addresses = itertools.count(10)
        self._ports = itertools.count(30000)

    def fill_in(self, manifest: Manifest, group: str) -> None:
        """Changes ``manifest``, which has a uid by now."""
        rule = _RULES.get((group, manifest["kind"]))
        if rule is not None:
            rule(self, manifest)

    def pod(self, manifest: Manifest) -> None:
        spec = _section(manifest, "spec")
        pod_spec(spec)
        fill(spec, enableServiceLinks=True, preemptionPolicy="PreemptLowerPriority", priority=0)
        fill(spec, serviceAccountName="default", serviceAccount="default")
        for container in (*spec.get("containers", ()), *spec.get("initContainers", ())):
            resources = container["resources"]
            if "limits" in resources:
                resources["requests"] = {**resources["limits"], **resources.get("requests", {})}
        _section(manifest, "status").setdefault("phase", "Pending")

    def deployment(self, manifest: Manifest) -> None:
        spec = _section(manifest, "spec")
        fill(spec, replicas=1, revisionHistoryLimit=10, progressDeadlineSeconds=600)
        strategy = fill(_section(spec, "strategy"), type="RollingUpdate")
        if strategy["type"] == "RollingUpdate":
            fill(_section(strategy, "rollingUpdate"), maxUnavailable="25%", maxSurge="25%")
        template(spec)

    def replica_set(self, manifest: Manifest) -> None:
        template(fill(_section(manifest, "spec"), replicas=1))

    def stateful_set(self, manifest: Manifest) -> None:
        spec = fill(_section(manifest, "spec"), replicas=1, revisionHistoryLimit=10, podManagementPolicy="OrderedReady")
        strategy = fill(_section(spec, "updateStrategy"), type="RollingUpdate")
        if strategy["type"] == "RollingUpdate":
            fill(_section(strategy, "rollingUpdate"), partition=0)
        fill(_section(spec, "persistentVolumeClaimRetentionPolicy"), whenDeleted="Retain", whenScaled="Retain")
        for claim in spec.get("volumeClaimTemplates", ()):
            fill(claim, apiVersion="v1", kind="PersistentVolumeClaim", status={"phase": "Pending"})
            fill(_section(claim, "spec"), volumeMode="Filesystem")
        template(spec)

    def daemon_set(self, manifest: Manifest) -> None:
        spec = fill(_section(manifest, "spec"), revisionHistoryLimit=10)
        strategy = fill(_section(spec, "updateStrategy"), type="RollingUpdate")
        if strategy["type"] == "RollingUpdate":
            fill(_section(strategy, "rollingUpdate"), maxUnavailable=1, maxSurge=0)
        template(spec)

    def job(self, manifest: Manifest) -> None:
        spec = _section(manifest, "spec")
        if "completions" not in spec:
            fill(spec, **({} if "parallelism" in spec else {"completions": 1}))
        self.job_spec(spec)
        if not spec.get("manualSelector"):
            uid, name = manifest["metadata"]["uid"], manifest["metadata"]["name"]
            labels = {f"{prefix}controller-uid": uid for prefix in ("batch.kubernetes.io/", "")}
            labels |= {f"{prefix}job-name": name for prefix in ("batch.kubernetes.io/", "")}
            fill(spec, selector={"matchLabels": {"batch.kubernetes.io/controller-uid": uid}})
            metadata = _section(_section(spec, "template"), "metadata")
            metadata["labels"] = {**(metadata.get("labels") or {}), **labels}
            if not manifest["metadata"].get("labels"):
                manifest["metadata"]["labels"] = dict(metadata["labels"])

    def job_spec(self, spec: Manifest) -> None:
        fill(spec, parallelism=1, backoffLimit=6, completionMode="NonIndexed", suspend=False, manualSelector=False)
        fill(spec, podReplacementPolicy="TerminatingOrFailed")
        template(spec)

    def cron_job(self, manifest: Manifest) -> None:
        spec = fill(_section(manifest, "spec"), concurrencyPolicy="Allow", suspend=False)
        fill(spec, successfulJobsHistoryLimit=3, failedJobsHistoryLimit=1)
        template(_section(fill(_section(spec, "jobTemplate"), metadata={}), "spec"))

    def service(self, manifest: Manifest) -> None:
        spec = fill(_section(manifest, "spec"), type="ClusterIP", sessionAffinity="None")
        open_outside = spec["type"] in ("NodePort", "LoadBalancer")
        for port in spec.get("ports", ()):
            fill(port, protocol="TCP", targetPort=port.get("port"))
            if open_outside and not port.get("nodePort"):
                port["nodePort"] = next(self._ports)
        _section(manifest, "status").setdefault("loadBalancer", {})
        if spec["type"] == "ExternalName":
            return
        if not spec.get("clusterIP"):
            number = next(self._addresses)
            spec["clusterIP"] = f"10.96.{number // 250}.{number % 250 + 1}"
        fill(spec, clusterIPs=[spec["clusterIP"]])
        if spec["clusterIP"] == "None" and not spec.get("selector"):
            fill(spec, ipFamilies=["IPv4", "IPv6"], ipFamilyPolicy="RequireDualStack")
        fill(spec, ipFamilies=["IPv4"], ipFamilyPolicy="SingleStack")
        fill(spec, internalTrafficPolicy="Cluster")
        if open_outside:
            fill(spec, externalTrafficPolicy="Cluster")
        if spec["type"] == "LoadBalancer":
            fill(spec, allocateLoadBalancerNodePorts=True)

    def secret(self, manifest: Manifest) -> None:
        plain = manifest.pop("stringData", None) or {}
        if plain:
            encoded = {name: base64.b64encode(text.encode()).decode() for name, text in plain.items()}
            manifest["data"] = {**(manifest.get("data") or {}), **encoded}
        fill(manifest, type="Opaque")

    def claim(self, manifest: Manifest) -> None:
        fill(_section(manifest, "spec"), volumeMode="Filesystem", storageClassName=STORAGE_CLASS)
        fill(_section(manifest, "status"), phase="Pending")
        _protect(manifest, "kubernetes.io/pvc-protection")

    def volume(self, manifest: Manifest) -> None:
        fill(_section(manifest, "spec"), persistentVolumeReclaimPolicy="Retain", volumeMode="Filesystem")
        _protect(manifest, "kubernetes.io/pv-protection")

    def namespace(self, manifest: Manifest) -> None:
        _section(manifest["metadata"], "labels")["kubernetes.io/metadata.name"] = manifest["metadata"]["name"]
        if "deletionTimestamp" not in manifest["metadata"]:
            fill(_section(manifest, "spec"), finalizers=["kubernetes"])
        fill(_section(manifest, "status"), phase="Active")

    def network_policy(self, manifest: Manifest) -> None:
        spec = _section(manifest, "spec")
        fill(spec, policyTypes=["Ingress", *(["Egress"] if spec.get("egress") else [])])
        for rule in (*spec.get("ingress", ()), *spec.get("egress", ())):
            for port in rule.get("ports", ()):
                fill(port, protocol="TCP")

    def autoscaler(self, manifest: Manifest) -> None:
        spec = fill(_section(manifest, "spec"), minReplicas=1)
        if manifest["apiVersion"] == "autoscaling/v2" and not spec.get("metrics"):
            target = {"type": "Utilization", "averageUtilization": 80}
            spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]

    def binding(self, manifest: Manifest) -> None:
        fill(_section(manifest, "roleRef"), apiGroup=_RBAC)
        for subject in manifest.get("subjects", ()):
            if subject.get("kind") in ("User", "Group"):
                fill(subject, apiGroup=_RBAC)

    def webhooks(self, manifest: Manifest) -> None:
        for hook in manifest.get("webhooks", ()):
            fill(hook, failurePolicy="Fail", matchPolicy="Equivalent", timeoutSeconds=10)
            fill(hook, namespaceSelector={}, objectSelector={})
            if manifest["kind"] == "MutatingWebhookConfiguration":
                fill(hook, reinvocationPolicy="Never")
            if "service" in hook.get("clientConfig", {}):
                fill(hook["clientConfig"]["service"], port=443)
            for rule in hook.get("rules", ()):
                fill(rule, scope="*")

    def storage_class(self, manifest: Manifest) -> None:
        fill(manifest, reclaimPolicy="Delete", volumeBindingMode="Immediate")

    def priority_class(self, manifest: Manifest) -> None:
        fill(manifest, preemptionPolicy="PreemptLowerPriority")

    def definition(self, manifest: Manifest) -> None:
        spec = _section(manifest, "spec")
        names = _section(spec, "names")
        kind = str(names.get("kind") or "")
        fill(names, singular=kind.lower(), listKind=f"{kind}List")
        fill(spec, conversion={"strategy": "None"})
        stored = [each.get("name") for each in spec.get("versions", ()) if each.get("storage")]
        nothing = {"conditions": None, "acceptedNames": {"plural": "", "kind": ""}, "storedVersions": stored}
        manifest["status"] = manifest.get("status") or nothing


_RULES: Final[Mapping[tuple[str, str], _Rule]] = {
    ("", "Pod"): Defaults.pod,
    ("", "Service"): Defaults.service,
    ("", "Secret"): Defaults.secret,
    ("", "PersistentVolumeClaim"): Defaults.claim,
    ("", "PersistentVolume"): Defaults.volume,
    ("", "Namespace"): Defaults.namespace,
    ("apps", "Deployment"): Defaults.deployment,
    ("apps", "ReplicaSet"): Defaults.replica_set,
    ("apps", "StatefulSet"): Defaults.stateful_set,
    ("apps", "DaemonSet"): Defaults.daemon_set,
    ("batch", "Job"): Defaults.job,
    ("batch", "CronJob"): Defaults.cron_job,
    ("networking.k8s.io", "NetworkPolicy"): Defaults.network_policy,
    ("autoscaling", "HorizontalPodAutoscaler"): Defaults.autoscaler,
    (_RBAC, "RoleBinding"): Defaults.binding,
    (_RBAC, "ClusterRoleBinding"): Defaults.binding,
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"): Defaults.webhooks,
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"): Defaults.webhooks,
    ("storage.k8s.io", "StorageClass"): Defaults.storage_class,
    ("scheduling.k8s.io", "PriorityClass"): Defaults.priority_class,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): Defaults.definition,
}


def _section(manifest: Manifest, name: str) -> Manifest:
    """A part of an object, made where it is missing."""
    if not isinstance(manifest.get(name), dict):
        manifest[name] = {}
    found: Manifest = manifest[name]
    return found


def _protect(manifest: Manifest, finalizer: str) -> None:
    metadata = manifest["metadata"]
    if "deletionTimestamp" not in metadata and finalizer not in metadata.get("finalizers", ()):
        metadata["finalizers"] = [*metadata.get("finalizers", ()), finalizer]
