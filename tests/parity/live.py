"""What is in a namespace, and in a release record, in a form in which two installs of one chart can be compared.

Left out is what the cluster makes up anew each time: uids, times, addresses, generated names, and every status. The
name of the namespace becomes ``NS``.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
from typing import Any

from tests.controlplane.cluster import Cluster
from tests.controlplane.errors import ApiError
from tests.until import ask_until

Normal = dict[str, Any]

_NAMESPACED = {
    "/api/v1": (
        "configmaps",
        "secrets",
        "serviceaccounts",
        "services",
        "persistentvolumeclaims",
        "pods",
        "podtemplates",
    ),
    "/apis/apps/v1": ("deployments", "statefulsets", "daemonsets"),
    "/apis/batch/v1": ("jobs", "cronjobs"),
    "/apis/networking.k8s.io/v1": ("ingresses", "networkpolicies"),
    "/apis/rbac.authorization.k8s.io/v1": ("roles", "rolebindings"),
    "/apis/policy/v1": ("poddisruptionbudgets",),
    "/apis/autoscaling/v2": ("horizontalpodautoscalers",),
    "/apis/charts.example/v1": ("widgets",),
}
_CLUSTER_WIDE = {"/apis/rbac.authorization.k8s.io/v1": ("clusterroles", "clusterrolebindings")}
_GENERATED = re.compile(r"kube-api-access-[a-z0-9]{5}")
RECORD_TYPE = "helm.sh/release.v1"


def objects(cluster: Cluster, namespace: str) -> dict[str, Normal]:
    """Every object that somebody put there, controllers apart: ``Kind/name`` -> normalised object."""
    found: dict[str, Normal] = {}
    for group, plurals in _NAMESPACED.items():
        for plural in plurals:
            for item in _list(cluster, f"{group}/namespaces/{namespace}/{plural}"):
                metadata = item["metadata"]
                if "ownerReferences" not in metadata and item.get("type") != RECORD_TYPE:
                    found[f"{item['kind']}/{metadata['name']}"] = normal(item, namespace)
    for group, plurals in _CLUSTER_WIDE.items():
        for plural in plurals:
            for item in _list(cluster, f"{group}/{plural}"):
                name = item["metadata"]["name"]
                if namespace in name:
                    found[f"{item['kind']}/{name.replace(namespace, 'NS')}"] = normal(item, namespace)
    return found


def _list(cluster: Cluster, path: str) -> list[dict[str, Any]]:
    def ask() -> list[dict[str, Any]] | None:
        try:
            answer = cluster.request("GET", path)
        except ApiError as error:
            if error.status == 404:  # a kind that no chart has brought yet
                return []
            if error.status == 429:  # a CRD that has just changed
                return None
            raise
        kind = answer["kind"].removesuffix("List")
        return [{**item, "kind": kind} for item in answer["items"]]

    return ask_until(ask, lambda found: found is not None, f"{path} is served") or []


def normal(manifest: dict[str, Any], namespace: str) -> Normal:
    """One object without what is the cluster's own and random."""
    text = json.dumps(manifest).replace(manifest["metadata"]["uid"], "UID").replace(namespace, "NS")
    found: Normal = json.loads(_GENERATED.sub("kube-api-access-XXXXX", text))
    metadata, spec = found["metadata"], found.get("spec", {})
    for field in ("uid", "resourceVersion", "creationTimestamp"):
        metadata.pop(field, None)
    found.pop("status", None)
    # Who owns which fields counts; what controllers note in a status depends on when one looks.
    entries = [entry for entry in metadata.pop("managedFields", ()) if entry.get("subresource") != "status"]
    metadata["managedFields"] = sorted(
        ({key: value for key, value in entry.items() if key != "time"} for entry in entries), key=json.dumps
    )
    if found["kind"] == "Secret":
        for entry in metadata["managedFields"]:
            _as_kept(entry["fieldsV1"])
    if found["kind"] == "Service":
        if spec.get("clusterIP") != "None":
            del spec["clusterIP"], spec["clusterIPs"]
        for port in spec["ports"]:
            port.pop("nodePort", None)
    spec.pop("volumeName", None)
    return found


def _as_kept(fields: dict[str, Any]) -> None:
    """Helm applies stringData as that, gitsync as the data that it is kept as, so that it goes when it is dropped."""
    if strings := fields.pop("f:stringData", None):
        fields.setdefault("f:data", {}).update(strings)


def record(cluster: Cluster, namespace: str, release: str, revision: int) -> dict[str, Any]:
    """The body of a release record, read as Helm reads it: every number of the values is a float to it."""
    secret = cluster.request("GET", _path(namespace, release, revision))
    text = gzip.decompress(base64.b64decode(base64.b64decode(secret["data"]["release"])))
    body: dict[str, Any] = json.loads(text, parse_int=float)
    return body


def tamper(cluster: Cluster, namespace: str, release: str, revision: int) -> None:
    """Somebody edits what a revision's record holds (a ConfigMap ``smuggled`` more), and leaves its annotations."""
    place = _path(namespace, release, revision)
    secret = cluster.request("GET", place)
    body = json.loads(gzip.decompress(base64.b64decode(base64.b64decode(secret["data"]["release"]))))
    body["manifest"] += "---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: smuggled\n"
    packed = base64.b64encode(gzip.compress(json.dumps(body).encode()))
    secret["data"]["release"] = base64.b64encode(packed).decode()
    cluster.request("PUT", place, secret)


def stored(cluster: Cluster, namespace: str, release: str, revision: int) -> Normal:
    """A release record and its Secret, with times made equal and the rest as it is."""
    secret = cluster.request("GET", _path(namespace, release, revision))
    body: Normal = json.loads(json.dumps(record(cluster, namespace, release, revision)).replace(namespace, "NS"))
    for holder in (body["info"], *(hook["last_run"] for hook in body.get("hooks", ()))):
        for field in ("first_deployed", "last_deployed", "deleted", "started_at", "completed_at"):
            if field in holder:
                # A time that is there stays told apart from one that is empty.
                holder[field] = bool(holder[field])
    metadata = secret["metadata"]
    notes = metadata.get("annotations", {})
    return {
        "type": secret["type"],
        "labels": {name: "TIME" if name.endswith("At") else value for name, value in metadata["labels"].items()},
        "managers": sorted({(entry["manager"], entry["operation"]) for entry in metadata["managedFields"]}),
        "foreign annotations": {name: notes[name] for name in notes if not name.startswith("gitsync.dev/")},
        "body": body,
    }


def differences(ours: Any, theirs: Any, path: str = "") -> list[str]:
    """Where two JSON values differ: a line for each place."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        keys = [*ours, *(key for key in theirs if key not in ours)]
        absent = "(absent)"
        return [
            line
            for key in keys
            for line in differences(ours.get(key, absent), theirs.get(key, absent), f"{path}.{key}")
        ]
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        pairs = enumerate(zip(ours, theirs, strict=True))
        return [line for number, (one, other) in pairs for line in differences(one, other, f"{path}[{number}]")]
    return [] if type(ours) is type(theirs) and ours == theirs else [f"{path}: gitsync {ours!r}, helm {theirs!r}"]


def revisions(cluster: Cluster, namespace: str, release: str) -> list[tuple[int, str]]:
    """The stored revisions of a release with their statuses, oldest first."""
    secrets = _list(cluster, f"/api/v1/namespaces/{namespace}/secrets?labelSelector=owner%3Dhelm,name%3D{release}")
    found = [(int(item["metadata"]["labels"]["version"]), item["metadata"]["labels"]["status"]) for item in secrets]
    return sorted(found)


def _path(namespace: str, release: str, revision: int) -> str:
    return f"/api/v1/namespaces/{namespace}/secrets/sh.helm.release.v1.{release}.v{revision}"
