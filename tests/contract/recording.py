"""Records what a real API server serves, and by which schemas, for the sandbox to serve the same.

Run as ``python -m tests.contract.recording KUBECONFIG MODULES``, after the test control plane has moved to another
Kubernetes; MODULES is the folder of the Go module cache that holds k8s.io/api and k8s.io/apimachinery of that version
(``$(go env GOMODCACHE)``, filled when the control plane is built).
"""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import sys
from pathlib import Path
from typing import Any

from gitsync.api.builtin import is_builtin
from gitsync.cluster import Cluster
from gitsync.cluster.status import Subject
from gitsync.cluster.transport import Request
from gitsync.sandbox.kinds.catalog import RECORDING

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
#: API groups that only a running cluster needs. Events are served as core/v1 has them.
LEFT_OUT = {
    "authentication.k8s.io",
    "certificates.k8s.io",
    "events.k8s.io",
    "flowcontrol.apiserver.k8s.io",
    "resource.k8s.io",
}
#: Subresources that the sandbox plays.
SUBRESOURCES = {"status"}
UNPLAYED = {"componentstatuses"}
_FIELD = re.compile(r"^  (optional|repeated|map<string,) (\S+?)>? (\w+) = (\d+);", re.MULTILINE)
_SCALARS = {"string", "bytes", "bool", "double", "int32", "int64", "uint32", "uint64"}
#: Keys of schemas that do not restrict objects.
_WORDS = {"description", "externalDocs", "example"}


async def record(cluster: Cluster) -> dict[str, Any]:
    """Version, groups in the server's order with their resources, and the schemas of all kinds by name."""
    groups = [
        group
        for path in ("/api", "/apis")
        for group in (await _get(cluster, path, AGGREGATED))["items"]
        if is_builtin(group["metadata"].get("name", "")) and group["metadata"].get("name", "") not in LEFT_OUT
    ]
    schemas: dict[str, Any] = {}
    for group in groups:
        name = group["metadata"].get("name", "")
        for version in group["versions"]:
            path = f"apis/{name}/{version['version']}" if name else f"api/{version['version']}"
            schemas |= (await _get(cluster, f"/openapi/v3/{path}"))["components"]["schemas"]
            version["resources"] = [_of_use(entry) for entry in version["resources"] if _is_played(name, entry)]
    return {
        "version": await _get(cluster, "/version"),
        "groups": [{"metadata": {"name": group["metadata"].get("name", "")}, **_sorted(group)} for group in groups],
        "schemas": {name: _wordless(schema) for name, schema in sorted(schemas.items())},
    }


def write(recorded: dict[str, Any], path: Path = RECORDING) -> None:
    """The same bytes for the same recording."""
    text = json.dumps(recorded, sort_keys=True, separators=(",", ":")).encode()
    path.write_bytes(gzip.compress(text, 9, mtime=0))


def messages(modules: Path, version: str, schemas: dict[str, Any]) -> dict[str, dict[str, tuple[str, str, str]]]:
    """The protobuf messages of the recorded groups, as gitsync.sandbox.kinds.protobuf wants them."""
    found: dict[str, dict[str, tuple[str, str, str]]] = {}
    for module in ("api", "apimachinery"):
        folder = modules / "k8s.io" / f"{module}@v0{version[2:]}"
        for file in sorted(folder.rglob("generated.proto")):
            text = file.read_text()
            package = re.search(r"^package (\S+);", text, re.MULTILINE)
            assert package, file
            for name, body in re.findall(r"^message (\w+) \{\n(.*?)^\}", text, re.MULTILINE | re.DOTALL):
                found[f"{package[1]}.{name}"] = _fields(body, package[1], name, schemas)
    return _reached(found, {_proto_name(name) for name in schemas})


def _fields(body: str, package: str, message: str, schemas: dict[str, Any]) -> dict[str, tuple[str, str, str]]:
    schema = schemas.get(re.sub(r"^k8s\.io", "io.k8s", f"{package}.{message}"), {})
    found = {}
    for label, kind, name, number in _FIELD.findall(body):
        many = "map" if label.startswith("map") else "repeated" if label == "repeated" else ""
        kind = kind.removeprefix(".") if kind.startswith(".") or kind in _SCALARS else f"{package}.{kind}"
        inline = "properties" in schema and name not in schema["properties"]
        found[number] = ("" if inline else name, kind, many)
    return found


def _reached(found: dict[str, Any], names: set[str]) -> dict[str, Any]:
    """The messages of these names, and all messages that they refer to."""
    wanted, reached = {name for name in names if name in found}, {}
    while wanted:
        name = wanted.pop()
        reached[name] = found[name]
        wanted |= {kind for _, kind, _ in found[name].values() if kind in found} - reached.keys()
    return reached


def _proto_name(schema: str) -> str:
    return re.sub(r"^io\.k8s", "k8s.io", schema)


async def _get(cluster: Cluster, path: str, accept: str = "application/json") -> Any:
    return (await cluster._transport.send(Request("GET", path, Subject("get", path), accept=accept))).body


def _sorted(group: dict[str, Any]) -> dict[str, Any]:
    return {"versions": group["versions"]}


def _is_played(group: str, entry: dict[str, Any]) -> bool:
    return entry["resource"] == "selfsubjectaccessreviews" or (
        "list" in entry["verbs"] and entry["resource"] not in UNPLAYED
    )


def _of_use(entry: dict[str, Any]) -> dict[str, Any]:
    kept = [sub for sub in entry.get("subresources", []) if sub["subresource"] in SUBRESOURCES]
    return {**entry, "subresources": kept}


def _wordless(schema: Any) -> Any:
    """A schema without descriptions, with a plain $ref in the place of an allOf of one."""
    if isinstance(schema, list):
        return [_wordless(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    properties = {name: _wordless(each) for name, each in schema.get("properties", {}).items()}
    kept = {name: _wordless(value) for name, value in schema.items() if name not in _WORDS and name != "properties"}
    for part in kept.pop("allOf", ()):
        kept |= part
    return kept | ({"properties": properties} if "properties" in schema else {})


async def _main(kubeconfig: Path, modules: Path) -> None:
    async with await Cluster.connect(kubeconfig=kubeconfig) as cluster:
        recorded = await record(cluster)
    recorded["messages"] = messages(modules, recorded["version"]["gitVersion"], recorded["schemas"])
    write(recorded)


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1]), Path(sys.argv[2])))
