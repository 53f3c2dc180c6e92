"""What the API server says about itself: versions, groups, resources, schemas. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from gitsync.sandbox.kinds.catalog import Catalog, Resource
from gitsync.sandbox.kinds.schema import Schema

if TYPE_CHECKING:
    from gitsync.api.identity import Manifest


_AGGREGATED: Final = "as=APIGroupDiscoveryList"
_REFERENCE: Final = re.compile(r'"#/components/schemas/([^"]+)"')
#: What a write may be asked; kubectl looks whether fieldValidation is among it.
_PARAMETERS: Final = [
    {"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": True}}
    for name in ("dryRun", "fieldManager", "fieldValidation", "force")
]


def document(path: str, accept: str, catalog: Catalog) -> Manifest | None:
    """The answer to a path of discovery, None for any other path."""
    parts = path.strip("/").split("/")
    match parts:
        case ["version"]:
            return dict(catalog.version)
        case ["api"]:
            return _aggregated(catalog, core=True) if _AGGREGATED in accept else _versions()
        case ["apis"]:
            return _aggregated(catalog, core=False) if _AGGREGATED in accept else _group_list(catalog)
        case ["api", version] if catalog.knows("", version):
            return _resource_list("", version, catalog)
        case ["apis", group] if catalog.knows(group):
            return {"kind": "APIGroup", "apiVersion": "v1", **_group(_find(group, catalog))}
        case ["apis", group, version] if catalog.knows(group, version):
            return _resource_list(group, version, catalog)
        case ["openapi", "v3"]:
            return {"paths": {name: {"serverRelativeURL": f"/openapi/v3/{name}"} for name in _gv_paths(catalog)}}
        case ["openapi", "v3", "api", version]:
            return openapi("", version, catalog)
        case ["openapi", "v3", "apis", group, version]:
            return openapi(group, version, catalog)
    return None


def openapi(group: str, version: str, catalog: Catalog) -> Manifest:
    """The schemas of a version with all that they refer to, and the paths under which its objects are written."""
    wanted = dict(catalog.schema_of(group, version))
    found: dict[str, Schema] = {}
    while wanted:
        name, schema = wanted.popitem()
        found[name] = schema
        for below in _REFERENCE.findall(json.dumps(schema)):
            if below not in found:
                wanted[below] = catalog.schemas[below]
    paths = dict(_path(resource) for resource in catalog.resources(group, version))
    info = {"title": "Kubernetes", "version": catalog.version["gitVersion"]}
    return {"openapi": "3.0.0", "info": info, "paths": paths, "components": {"schemas": found}}


def _path(resource: Resource) -> tuple[str, Manifest]:
    root = f"/apis/{resource.group}/{resource.version}" if resource.group else f"/api/{resource.version}"
    place = "/namespaces/{namespace}" if resource.namespaced else ""
    gvk = {"group": resource.group, "version": resource.version, "kind": resource.kind}
    writes = {
        verb: {"parameters": _PARAMETERS, "x-kubernetes-action": verb, "x-kubernetes-group-version-kind": gvk}
        for verb in ("put", "patch")
    }
    return f"{root}{place}/{resource.plural}/{{name}}", writes


def _gv_paths(catalog: Catalog) -> Iterator[str]:
    for group in catalog.groups:
        name = group["metadata"]["name"]
        for version in group["versions"]:
            yield f"apis/{name}/{version['version']}" if name else f"api/{version['version']}"


def _aggregated(catalog: Catalog, *, core: bool) -> Manifest:
    items = [
        {
            "metadata": {**({"name": name} if (name := group["metadata"]["name"]) else {}), "creationTimestamp": None},
            "versions": [{**version, "freshness": "Current"} for version in group["versions"]],
        }
        for group in catalog.groups
        if (group["metadata"]["name"] == "") is core
    ]
    return {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items}


def _versions() -> Manifest:
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}


def _group_list(catalog: Catalog) -> Manifest:
    groups = [_group(group) for group in catalog.groups if group["metadata"]["name"]]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def _find(name: str, catalog: Catalog) -> Mapping[str, Any]:
    return next(group for group in catalog.groups if group["metadata"]["name"] == name)


def _group(group: Mapping[str, Any]) -> Manifest:
    name = group["metadata"]["name"]
    versions = [{"groupVersion": f"{name}/{each['version']}", "version": each["version"]} for each in group["versions"]]
    return {"name": name, "versions": versions, "preferredVersion": versions[0]}


def _resource_list(group: str, version: str, catalog: Catalog) -> Manifest:
    found: list[Manifest] = []
    for resource in catalog.resources(group, version):
        entry = resource.entry
        optional = {name: entry[name] for name in ("shortNames", "categories") if name in entry}
        base = {"namespaced": resource.namespaced, "kind": resource.kind}
        found.append(
            {
                "name": resource.plural,
                "singularName": entry.get("singularResource", ""),
                **base,
                "verbs": resource.verbs,
                **optional,
            }
        )
        for sub in entry.get("subresources") or ():
            found.append(
                {"name": f"{resource.plural}/{sub['subresource']}", "singularName": "", **base, "verbs": sub["verbs"]}
            )
    name = f"{group}/{version}" if group else version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": name, "resources": found}
