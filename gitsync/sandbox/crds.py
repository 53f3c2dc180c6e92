"""CustomResourceDefinitions: what kinds they bring, and what their schemas say about an object."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import jsonschema
from jsonschema import validators

from gitsync.api.identity import Manifest
from gitsync.sandbox.catalog import Catalog, Resource
from gitsync.sandbox.failures import Cause
from gitsync.sandbox.rules import invalid_value
from gitsync.sandbox.schema import Type

#: Holds a CRD that is deleted until its objects are gone.
CLEANUP: Final = "customresourcecleanup.apiextensions.k8s.io"
_VERBS: Final = ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"]
_META: Final = "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
_VERSION: Final = re.compile(r"v(\d+)(?:(alpha|beta)(\d+))?")
_MATURITY: Final = {"": 2, "beta": 1, "alpha": 0}


def resources(crd: Manifest, catalog: Catalog) -> list[Resource]:
    """The kinds that a CRD serves, the version that clients prefer first."""
    spec = crd["spec"]
    served = [version for version in spec["versions"] if version.get("served")]
    served.sort(key=lambda version: _priority(version["name"]), reverse=True)
    return [_resource(crd, version, catalog) for version in served]


def complaints(manifest: Manifest, resource: Resource) -> Iterator[Cause]:
    """What a custom resource's schema says against it."""
    for error in _Validator(resource.crd).iter_errors(manifest):
        yield from _causes(error)


def established(crd: Manifest, now: str) -> Manifest:
    """The status of a CRD whose kinds are served."""
    spec = crd["spec"]
    message = {"NamesAccepted": "no conflicts found", "Established": "the initial names have been accepted"}
    reason = {"NamesAccepted": "NoConflicts", "Established": "InitialNamesAccepted"}
    before = {each["type"]: each for each in crd.get("status", {}).get("conditions") or ()}
    conditions = [
        before.get(kind)
        or {
            "type": kind,
            "status": "True",
            "lastTransitionTime": now,
            "reason": reason[kind],
            "message": message[kind],
        }
        for kind in ("NamesAccepted", "Established")
    ]
    stored = [version["name"] for version in spec["versions"] if version.get("storage")]
    versions = list(crd.get("status", {}).get("storedVersions") or ())
    versions += [name for name in stored if name not in versions]
    return {"conditions": conditions, "acceptedNames": spec["names"], "storedVersions": versions}


def terminating(crd: Manifest, finalizers: list[str], now: str) -> Manifest:
    """A CRD that is deleted, and waits for its objects to go."""
    condition = {
        "type": "Terminating",
        "status": "True",
        "lastTransitionTime": now,
        "reason": "InstanceDeletionPending",
        "message": "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
    }
    conditions = [*(crd["status"].get("conditions") or ()), condition]
    metadata = {**crd["metadata"], "deletionTimestamp": now, "finalizers": [*finalizers, CLEANUP]}
    return {**crd, "metadata": metadata, "status": {**crd["status"], "conditions": conditions}}


def _resource(crd: Manifest, version: Mapping[str, Any], catalog: Catalog) -> Resource:
    spec, names = crd["spec"], crd["spec"]["names"]
    schema = (version.get("schema") or {}).get("openAPIV3Schema") or {"x-kubernetes-preserve-unknown-fields": True}
    known = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"$ref": _META}}
    gvk = {"group": spec["group"], "version": version["name"], "kind": names["kind"]}
    typed = {
        "type": "object",
        **schema,
        "properties": {**(schema.get("properties") or {}), **known},
        "x-kubernetes-group-version-kind": [gvk],
    }
    namespaced = spec["scope"] == "Namespaced"
    kind = {"group": gvk["group"], "version": gvk["version"], "kind": gvk["kind"]}
    subresources = [
        {"subresource": name, "responseKind": kind, "verbs": ["get", "patch", "update"]}
        for name in ("status",)
        if name in (version.get("subresources") or {})
    ]
    entry = {
        "resource": names["plural"],
        "responseKind": kind,
        "scope": "Namespaced" if namespaced else "Cluster",
        "singularResource": names["singular"],
        "verbs": _VERBS,
        **({"shortNames": names["shortNames"]} if names.get("shortNames") else {}),
        **({"categories": names["categories"]} if names.get("categories") else {}),
        **({"subresources": subresources} if subresources else {}),
    }
    return Resource(
        group=spec["group"],
        version=version["name"],
        kind=names["kind"],
        plural=names["plural"],
        namespaced=namespaced,
        type=Type(typed, catalog.schemas, native=False),
        entry=entry,
        custom=True,
        columns=tuple(version.get("additionalPrinterColumns") or ()),
        crd=schema,
    )


def _priority(name: str) -> tuple[int, int, int, str]:
    """Stable before beta before alpha, the higher number first (apimachinery's version.CompareKubeAwareVersionStrings)."""
    match = _VERSION.fullmatch(name)
    if match is None:
        return -1, 0, 0, name
    return _MATURITY[match[2] or ""], int(match[1]), int(match[3] or 0), name


def _typed(validator: Any, wanted: Any, instance: Any, schema: Mapping[str, Any]) -> Iterator[Any]:
    if instance is None and schema.get("nullable"):
        return
    yield from jsonschema.Draft4Validator.VALIDATORS["type"](validator, wanted, instance, schema)


def _int_or_string(validator: Any, wanted: Any, instance: Any, schema: Mapping[str, Any]) -> Iterator[Any]:
    if wanted and (isinstance(instance, bool) or not isinstance(instance, int | str)):
        yield jsonschema.ValidationError("int or string", validator="type", validator_value="integer,string")


def _unique_keys(validator: Any, wanted: Any, instance: Any, schema: Mapping[str, Any]) -> Iterator[Any]:
    if isinstance(instance, list) and all(isinstance(item, dict) for item in instance):
        seen: list[Any] = []
        for place, item in enumerate(instance):
            key = {name: item.get(name) for name in wanted}
            if key in seen:
                yield jsonschema.ValidationError("Duplicate", validator="duplicate", instance=key, path=(place,))
            seen.append(key)


def _unique_items(validator: Any, wanted: Any, instance: Any, schema: Mapping[str, Any]) -> Iterator[Any]:
    if wanted == "set" and isinstance(instance, list):
        for place, item in enumerate(instance):
            if item in instance[:place]:
                yield jsonschema.ValidationError("Duplicate", validator="duplicate", instance=item, path=(place,))


#: OpenAPI v3's schemas are JSON schema's draft 4 but for ``nullable`` and Kubernetes' own words.
_Validator = validators.extend(
    jsonschema.Draft4Validator,
    {
        "type": _typed,
        "x-kubernetes-int-or-string": _int_or_string,
        "x-kubernetes-list-map-keys": _unique_keys,
        "x-kubernetes-list-type": _unique_items,
    },
)


def _causes(error: jsonschema.ValidationError) -> Iterator[Cause]:
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path).lstrip(".")
    value, wanted = error.instance, error.validator_value
    if error.validator == "required":
        missing = [name for name in wanted if name not in value]
        # One error each: jsonschema names the field in its message only.
        name = next(name for name in missing if repr(name) in error.message)
        yield Cause("FieldValueRequired", f"{path}.{name}".lstrip("."), "Required value")
    elif error.validator == "enum":
        known = ", ".join(json.dumps(each) for each in wanted)
        said = f"Unsupported value: {json.dumps(value)}: supported values: {known}"
        yield Cause("FieldValueNotSupported", path, said)
    elif error.validator == "type":
        got = _type_name(value)
        said = f'Invalid value: "{got}": {path} in body must be of type {wanted}: "{got}"'
        yield Cause("FieldValueTypeInvalid", path, said)
    elif error.validator == "duplicate":
        yield Cause("FieldValueDuplicate", path, f"Duplicate value: {json.dumps(value, separators=(',', ':'))}")
    elif error.validator == "pattern":
        yield invalid_value(path, value, f"{path} in body should match '{wanted}'")
    elif error.validator == "maxItems":
        yield Cause("FieldValueTooMany", path, f"Too many: {len(value)}: must have at most {wanted} items")
    elif error.validator == "maxLength":
        yield Cause("FieldValueTooLong", path, f"Too long: may not be more than {wanted} bytes")
    elif error.validator in ("minimum", "maximum"):
        than = "greater" if error.validator == "minimum" else "less"
        yield invalid_value(path, value, f"{path} in body should be {than} than or equal to {wanted}")
    else:
        yield invalid_value(path, value, f"{path} in body {error.message}")


def _type_name(value: Any) -> str:
    kinds = ((bool, "boolean"), (int, "integer"), (float, "number"), (str, "string"), (list, "array"), (dict, "object"))
    return next((name for kind, name in kinds if isinstance(value, kind)), "null")
