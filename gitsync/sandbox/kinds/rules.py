"""What makes an object of Kubernetes' own kinds invalid, in the real server's words. Pure.

The rules are those that charts and repositories break: required fields, enumerations, names, labels, immutable fields.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from gitsync.sandbox.failures import Cause
from gitsync.sandbox.kinds.catalog import Resource
from gitsync.sandbox.kinds.schema import Type

if TYPE_CHECKING:
    from gitsync.api.identity import Manifest


_LABEL: Final = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN: Final = rf"{_LABEL}(\.{_LABEL})*"
_LABEL_VALUE: Final = r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?"
_WORDS: Final = "must consist of lower case alphanumeric characters"
_SUBDOMAIN_SAID: Final = (
    f"a lowercase RFC 1123 subdomain {_WORDS}, '-' or '.', and must start and end with an alphanumeric character "
    f"(e.g. 'example.com', regex used for validation is '{_SUBDOMAIN}')"
)
_LABEL_SAID: Final = (
    f"a lowercase RFC 1123 label {_WORDS} or '-', and must start and end with an alphanumeric character "
    f"(e.g. 'my-name',  or '123-abc', regex used for validation is '{_LABEL}')"
)
_VALUE_SAID: Final = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    f"'{_LABEL_VALUE}')"
)
_IMMUTABLE: Final[Mapping[str, tuple[str, ...]]] = {
    "Deployment": ("spec.selector",),
    "DaemonSet": ("spec.selector",),
    "ReplicaSet": ("spec.selector",),
    "Job": ("spec.selector", "spec.template", "spec.completions", "spec.completionMode"),
    "Secret": ("type",),
    "RoleBinding": ("roleRef",),
    "ClusterRoleBinding": ("roleRef",),
    "StorageClass": ("provisioner", "parameters", "volumeBindingMode", "reclaimPolicy"),
}
#: A StatefulSet's spec is immutable but for these.
_STATEFUL: Final = (
    *("replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit"),
    *("persistentVolumeClaimRetentionPolicy", "minReadySeconds"),
)
_CLAIM: Final = ("resources", "volumeAttributesClassName", "volumeName", "storageClassName")


_SECRETS: Final[Mapping[str, tuple[str, ...]]] = {
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
}


def broken(manifest: Manifest, before: Manifest | None, resource: Resource) -> Iterator[Cause]:
    """What is wrong with an object that is to be written in the place of ``before``."""
    yield from _metadata(manifest, resource)
    if resource.custom:
        return
    for name, below in resource.type.fields.items():
        if name not in ("metadata", "status") and name in manifest:
            yield from _shape(manifest[name], below, name)
        elif name != "metadata" and name in (resource.type.schema.get("required") or ()):
            yield _required(name)
    yield from _workload(manifest)
    if manifest["kind"] == "CustomResourceDefinition":
        yield from _definition(manifest)
    if manifest["kind"] == "Secret":
        yield from _secret(manifest)
    if before is not None:
        yield from _changed(manifest, before)


def invalid_value(path: str, value: Any, said: str) -> Cause:
    """A value that is refused."""
    return Cause("FieldValueInvalid", path, f"Invalid value: {json.dumps(value, separators=(',', ':'))}: {said}")


def _required(path: str, said: str = "") -> Cause:
    return Cause("FieldValueRequired", path, "Required value" + (f": {said}" if said else ""))


def _metadata(manifest: Manifest, resource: Resource) -> Iterator[Cause]:
    metadata = manifest["metadata"]
    name = metadata["name"]
    if resource.group == "rbac.authorization.k8s.io":
        pass  # any name that can stand in a path
    elif resource.plural in ("namespaces", "services"):
        if not re.fullmatch(_LABEL, name) or len(name) > 63:
            yield invalid_value("metadata.name", name, _LABEL_SAID)
    elif not re.fullmatch(_SUBDOMAIN, name) or len(name) > 253:
        yield invalid_value("metadata.name", name, _SUBDOMAIN_SAID)
    yield from _labels(metadata.get("labels") or {}, "metadata.labels")
    for owner in metadata.get("ownerReferences") or ():
        for field in ("apiVersion", "kind", "name", "uid"):
            if not owner.get(field):
                yield invalid_value(f"metadata.ownerReferences.{field}", "", "must not be empty")


def _labels(labels: Mapping[str, str], path: str) -> Iterator[Cause]:
    for value in labels.values():
        if len(value) > 63:
            yield Cause("FieldValueTooLong", path, f"Invalid value: {json.dumps(value)}: must be no more than 63 bytes")
        elif not re.fullmatch(_LABEL_VALUE, value):
            yield invalid_value(path, value, _VALUE_SAID)


def _shape(value: Any, of: Type, path: str) -> Iterator[Cause]:
    """Required fields and enumerations, as the recorded schema has them."""
    if isinstance(value, dict):
        for name in of.schema.get("required") or ():
            if value.get(name) is None or value.get(name) == "":
                yield _required(f"{path}.{name}")
        for name, item in value.items():
            below = of.field(name)
            if below is not None:
                yield from _shape(item, below, f"{path}.{name}" if name in of.fields else f"{path}[{name}]")
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from _shape(item, of.items, f"{path}[{place}]")
    elif of.schema.get("enum") and value not in of.schema["enum"]:
        known = ", ".join(json.dumps(each) for each in of.schema["enum"] if each)
        yield Cause(
            "FieldValueNotSupported", path, f"Unsupported value: {json.dumps(value)}: supported values: {known}"
        )


def _workload(manifest: Manifest) -> Iterator[Cause]:
    kind, spec = manifest["kind"], manifest.get("spec") or {}
    path, pod = (
        ("spec", spec) if kind == "Pod" else ("spec.template.spec", (spec.get("template") or {}).get("spec") or {})
    )
    for field in ("containers", "initContainers"):
        for place, container in enumerate(pod.get(field) or ()):
            if not container.get("image"):
                yield _required(f"{path}.{field}[{place}].image")
    if kind in ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"):
        labels = (spec.get("template") or {}).get("metadata", {}).get("labels") or {}
        wanted = (spec.get("selector") or {}).get("matchLabels") or {}
        if "selector" in spec and not wanted.items() <= labels.items():
            said = "`selector` does not match template `labels`"
            yield invalid_value("spec.template.metadata.labels", labels, said)
        if _restarts(spec) not in (None, "Always"):
            yield _unsupported_restart(spec, "spec.template.spec.restartPolicy", '"Always"')
    elif kind == "Job" and _restarts(spec) == "Always":
        yield _required("spec.template.spec.restartPolicy", 'valid values: "OnFailure", "Never"')
    if isinstance(spec.get("replicas"), int) and spec["replicas"] < 0:
        yield invalid_value("spec.replicas", spec["replicas"], "must be greater than or equal to 0")


def _definition(manifest: Manifest) -> Iterator[Cause]:
    name, spec = manifest["metadata"]["name"], manifest.get("spec") or {}
    if name != f"{(spec.get('names') or {}).get('plural')}.{spec.get('group')}":
        yield invalid_value("metadata.name", name, 'must be spec.names.plural+"."+spec.group')


def _secret(manifest: Manifest) -> Iterator[Cause]:
    """What a type of Secret must hold."""
    data = manifest.get("data") or {}
    for name in _SECRETS.get(manifest["type"], ()):
        if name not in data:
            yield _required(f"data[{name}]")
        elif name.endswith("json") and not _is_json(data[name]):
            yield Cause("FieldValueInvalid", f"data[{name}]", 'Invalid value: "<secret contents redacted>": not JSON')


def _is_json(encoded: str) -> bool:
    try:
        json.loads(base64.b64decode(encoded))
    except ValueError:
        return False
    return True


def _restarts(spec: Manifest) -> str | None:
    policy: str | None = ((spec.get("template") or {}).get("spec") or {}).get("restartPolicy")
    return policy


def _unsupported_restart(spec: Manifest, path: str, known: str) -> Cause:
    return Cause(
        "FieldValueNotSupported", path, f"Unsupported value: {json.dumps(_restarts(spec))}: supported values: {known}"
    )


def _changed(manifest: Manifest, before: Manifest) -> Iterator[Cause]:
    kind = manifest["kind"]
    for path in _IMMUTABLE.get(kind, ()):
        value = _at(manifest, path)
        if value != _at(before, path) and _at(before, path) is not None:
            yield invalid_value(path, value, "cannot change roleRef" if path == "roleRef" else "field is immutable")
    if kind == "StatefulSet" and _others(manifest, _STATEFUL) != _others(before, _STATEFUL):
        named = ", ".join(f"'{name}'" for name in _STATEFUL[:-1])
        said = f"updates to statefulset spec for fields other than {named} and '{_STATEFUL[-1]}' are forbidden"
        yield Cause("FieldValueForbidden", "spec", f"Forbidden: {said}")
    if kind == "PersistentVolumeClaim" and _others(manifest, _CLAIM) != _others(before, _CLAIM):
        said = (
            "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
        )
        yield Cause("FieldValueForbidden", "spec", f"Forbidden: {said}")
    if kind == "Service":
        old, new = _at(before, "spec.clusterIP"), _at(manifest, "spec.clusterIP")
        if old and old != new and _at(manifest, "spec.type") != "ExternalName":
            yield invalid_value("spec.clusterIPs[0]", [new], "may not change once set")
    if kind in ("ConfigMap", "Secret") and before.get("immutable"):
        for name in ("data", "binaryData"):
            if manifest.get(name) != before.get(name):
                said = "field is immutable when `immutable` is set"
                yield Cause("FieldValueForbidden", name, f"Forbidden: {said}")


def _at(manifest: Manifest, path: str) -> Any:
    value: Any = manifest
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _others(manifest: Manifest, names: tuple[str, ...]) -> Manifest:
    return {name: value for name, value in (manifest.get("spec") or {}).items() if name not in names}
