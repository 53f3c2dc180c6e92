"""CustomResourceDefinitions: what kinds they bring, and their own life. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from gitsync.sandbox.kinds.catalog import Catalog, Resource
from gitsync.sandbox.kinds.schema import Type

if TYPE_CHECKING:
    from gitsync.api.identity import Manifest


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
    """Stable before beta before alpha, the higher number first (apimachinery's pkg/version)."""
    match = _VERSION.fullmatch(name)
    if match is None:
        return -1, 0, 0, name
    return _MATURITY[match[2] or ""], int(match[1]), int(match[3] or 0), name
