"""Sends the same requests (a story) to the sandbox and to a real API server, and compares the answers."""

from __future__ import annotations

import json
import re
import urllib.parse
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any

from tests.controlplane.cluster import Cluster
from tests.until import ask_until

Json = dict[str, Any]
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
JSON_PATCH = "application/json-patch+json"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
METADATA = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
METADATA_LIST = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"

_CLUSTER_SCOPED = {"Namespace", "CustomResourceDefinition", "ClusterRole", "StorageClass", "PersistentVolume"}
_VOLATILE = {"uid", "resourceVersion", "creationTimestamp", "deletionTimestamp", "time", "lastTransitionTime"}
_RANDOM = {"clusterIP", "clusterIPs", "nodePort", "continue", "lastUpdateTime", "startTime", "volumeName"}
#: Kinds whose status their controllers change while a story runs, each at its own pace.
_MOVING = {
    "Deployment",
    "StatefulSet",
    "DaemonSet",
    "ReplicaSet",
    "Job",
    "PodDisruptionBudget",
    "HorizontalPodAutoscaler",
    "Ingress",
    "PersistentVolumeClaim",
}
#: What follows in the message is Go's own text about a field of a wrong type.
_GO = re.compile(r"(cannot be handled as a \w+: )(?!strict).*")
_SUPPORTED = re.compile(r"(?<=supported values: ).*")
_CONTROLLERS_OWN = {"deployment.kubernetes.io/revision", "deprecated.daemonset.template.generation"}
_AGE = re.compile(r"^\d+s$")
_UID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


class Side:
    """One API server in a story. Its answers are kept in ``told``, except those asked for with ``quietly``."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self.cluster = cluster
        self.namespace = namespace
        self.told: list[Any] = []
        #: Whether the words of refusals are compared, too.
        self.words = True
        #: Whether managedFields are.
        self.owners = True

    @property
    def codes(self) -> list[int]:
        """The status codes of the answers in ``told``, but for watches."""
        return [answer["code"] for answer in self.told if isinstance(answer, dict) and "asked" in answer]

    def create(self, manifest: Json, **query: str) -> Json:
        return self.send("POST", self.collection(manifest), manifest, **query)

    def get(self, manifest: Json, subresource: str = "", accept: str = "application/json") -> Json:
        return self.send("GET", self.path(manifest, subresource), accept=accept)

    def put(self, manifest: Json, subresource: str = "", **query: str) -> Json:
        return self.send("PUT", self.path(manifest, subresource), manifest, **query)

    def apply(self, manifest: Json, manager: str = "contract", subresource: str = "", **query: str) -> Json:
        path = self.path(manifest, subresource)
        return self.send("PATCH", path, manifest, APPLY, fieldManager=manager, **query)

    def patch(self, manifest: Json, patch: Any, kind: str = MERGE, subresource: str = "", **query: str) -> Json:
        return self.send("PATCH", self.path(manifest, subresource), patch, kind, **query)

    def delete(self, manifest: Json, **options: Any) -> Json:
        return self.send("DELETE", self.path(manifest), options or None)

    def list_all(self, manifest: Json, accept: str = "application/json", **query: str) -> Json:
        return self.send("GET", self.collection(manifest), accept=accept, **query)

    def quietly(self, ask: Callable[[], Json]) -> Json:
        """An answer that is not compared."""
        answer = ask()
        self.told.pop()
        return answer

    def watch(self, manifest: Json, events: int, accept: str = "application/json", **query: str) -> list[Json]:
        """The first ``events`` of a watch; they are part of the story."""
        asked = urllib.parse.urlencode({"watch": "1", "timeoutSeconds": "60", **query})
        path = f"/{self.collection(manifest)}?{asked}"
        response = self.cluster.answer("GET", path, {"Accept": accept}, stream=True)
        if response.status >= 400:
            found = [{"type": "ERROR", "object": json.loads(response.read())}]
        else:
            found = [json.loads(line) for line in islice(response, events)]
        response.close()
        self.told.append(self._comparable(found))
        return found

    def until(self, ask: Callable[[], Json], done: Callable[[Json], bool], what: str) -> Json:
        """Ask until ``done`` is true of the answer; that answer is compared."""

        def ask_again() -> Json:
            del self.told[before:]
            return ask()

        before = len(self.told)
        return ask_until(ask_again, done, what)

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        content_type: str = "application/json",
        accept: str = "application/json",
        **query: str,
    ) -> Json:
        """Any request; what comes back is the answer as it is."""
        if method != "GET":
            query.setdefault("fieldManager", "contract")
        asked = "&".join(f"{name}={urllib.parse.quote(value)}" for name, value in query.items())
        response = self.cluster.answer(
            method,
            f"/{path}" + (f"?{asked}" if asked else ""),
            {"Content-Type": content_type, "Accept": accept},
            None if body is None else json.dumps(body).encode(),
        )
        code, answer = response.status, _parsed(response.data)
        warnings = response.headers.getlist("Warning") if code < 400 else []
        if not self.words and code >= 400:
            answer = {**answer, "message": "", "details": _wordless(answer.get("details") or {})}
        self.told.append(self._comparable({"asked": f"{method} {path}", "code": code, "answer": answer, "w": warnings}))
        assert isinstance(answer, dict)
        return answer

    def collection(self, manifest: Json) -> str:
        """The path of a kind's objects in the story's namespace."""
        version, kind = manifest["apiVersion"], manifest["kind"]
        root = f"apis/{version}" if "/" in version else f"api/{version}"
        plural = {"NetworkPolicy": "networkpolicies", "Ingress": "ingresses", "StorageClass": "storageclasses"}.get(
            kind
        )
        namespace = manifest["metadata"].get("namespace", self.namespace)
        place = "" if kind in _CLUSTER_SCOPED else f"/namespaces/{namespace}"
        return f"{root}{place}/{plural or kind.lower() + 's'}"

    def path(self, manifest: Json, subresource: str = "") -> str:
        path = f"{self.collection(manifest)}/{manifest['metadata']['name']}"
        return f"{path}/{subresource}" if subresource else path

    def _comparable(self, value: Any) -> Any:
        if isinstance(value, dict):
            found = {name: self._field(name, item) for name, item in value.items()}
            if "cells" in found:
                found["cells"] = [_AGE.sub("<age>", each) if isinstance(each, str) else each for each in found["cells"]]
            if found.get("columnDefinitions"):
                found["columnDefinitions"] = [{**each, "description": ""} for each in found["columnDefinitions"]]
            found.pop("storageVersionHash", None)
            if found.get("code") == 415:
                found.pop("message", None)
            if found.get("details") == {}:
                del found["details"]
            if "causes" in found:  # some rules of the real one are checked twice
                found["causes"] = [each for at, each in enumerate(found["causes"]) if each not in found["causes"][:at]]
                found["causes"].sort(key=lambda cause: json.dumps(cause, sort_keys=True))
            if len(found.get("details", {}).get("causes", ())) > 1:
                found.pop("message", None)  # their order is not the contract
            if found.get("kind") in _MOVING:
                found.pop("status", None)
            return found
        if isinstance(value, list):
            return [self._comparable(item) for item in value]
        if isinstance(value, str):
            value = _GO.sub(r"\1", value)
            value = _SUPPORTED.sub(lambda match: ", ".join(sorted(match[0].split(", "))), value)
            text = _UID.sub("UID", _MOMENT.sub("TIME", value.replace(self.namespace, "NAMESPACE")))
            return re.sub(r'("?resourceVersion"?: ?"?)\d+', r"\1N", text)
        return value

    def _field(self, name: str, value: Any) -> Any:
        if name in _VOLATILE or name in _RANDOM:
            return value if value in (None, "", "None", ["None"]) else f"<{name}>"
        if name == "annotations" and isinstance(value, dict):
            kept = {key: text for key, text in value.items() if key not in _CONTROLLERS_OWN}
            return kept or "-"
        if name == "managedFields" and not self.owners:
            return "<managedFields>"
        if name == "managedFields" and isinstance(value, list):
            ours = [self._comparable(entry) for entry in value if entry.get("manager", "").startswith("contract")]
            return sorted(ours, key=lambda entry: json.dumps(entry, sort_keys=True))
        return self._comparable(value)


def _wordless(details: Json) -> Json:
    causes = [{**cause, "message": ""} for cause in details.get("causes", ())]
    return {**details, "causes": causes} if causes else details


def _parsed(body: bytes) -> Json:
    try:
        answer: Json = json.loads(body)
    except ValueError:
        return {"text": body.decode()}
    return answer


def differences(one: Any, other: Any, path: str = "") -> list[str]:
    """The places where two answers differ; also where only the sandbox's words are others."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        names = sorted({*one, *other})
        return [
            line for name in names for line in differences(one.get(name, "-"), other.get(name, "-"), f"{path}.{name}")
        ]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = enumerate(zip(one, other, strict=True))
        return [line for place, (a, b) in pairs for line in differences(a, b, f"{path}[{place}]")]
    return [] if one == other else [f"{path}\n  sandbox: {one}\n  real:    {other}"]
