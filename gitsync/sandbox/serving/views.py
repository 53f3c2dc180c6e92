"""How objects are shown: whole, only their metadata, or as the rows of a table for ``kubectl get``. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from gitsync.sandbox.failures import Failure
from gitsync.sandbox.kinds.catalog import Resource
from gitsync.sandbox.serving.columns import COLUMNS, Column

if TYPE_CHECKING:
    from gitsync.api.identity import Manifest


_META: Final = "meta.k8s.io/v1"
_NAME: Final = {"name": "Name", "type": "string", "format": "name", "description": "", "priority": 0}
_AGE: Final = {"name": "Age", "type": "string", "format": "", "description": "", "priority": 0}
_STEP: Final = re.compile(
    r"\.((?:[A-Za-z0-9_-]|\\.)+)|\['([^']+)'\]|\[\?\(@\.(\w+)\s*==\s*[\"']([^\"']*)[\"']\)\]|\[(\d+)\]"
)


class View:
    """What an Accept header asks for. ``include`` is the ``includeObject`` of tables."""

    def __init__(self, accept: str, resource: Resource, include: str = "") -> None:
        """Raises: Failure 406 for what cannot be given."""
        self._resource = resource
        self._kind = _asked(accept)
        self._include = include
        self._headed = False

    def one(self, manifest: Manifest) -> Manifest:
        """An object, or an event's object."""
        if self._kind == "Table":
            table = self._table([manifest], {"resourceVersion": manifest["metadata"].get("resourceVersion", "")})
            # Of a watch only the first event names the columns.
            table["columnDefinitions"] = None if self._headed else table["columnDefinitions"]
            self._headed = True
            return table
        return _metadata_only(manifest) if self._kind.startswith("Partial") else manifest

    def many(self, manifests: Sequence[Manifest], metadata: Manifest) -> Manifest:
        """A list."""
        if self._kind == "Table":
            return self._table(manifests, metadata)
        if self._kind.startswith("Partial"):
            items = [_metadata_only(manifest) for manifest in manifests]
            return {"kind": "PartialObjectMetadataList", "apiVersion": _META, "metadata": metadata, "items": items}
        resource = self._resource
        if resource.custom:
            metadata = {"continue": "", **metadata}
        items = [
            {**manifest, "apiVersion": resource.api_version}
            if resource.custom
            else {name: value for name, value in manifest.items() if name not in ("apiVersion", "kind")}
            for manifest in manifests
        ]
        kind = f"{resource.kind}List"
        return {"kind": kind, "apiVersion": resource.api_version, "metadata": metadata, "items": items}

    def bookmark(self, version: int, annotations: Mapping[str, str]) -> Manifest:
        """The object of a BOOKMARK event."""
        metadata: Manifest = {"resourceVersion": str(version)}
        if annotations:
            metadata["annotations"] = dict(annotations)
        manifest = {"kind": self._resource.kind, "apiVersion": self._resource.api_version, "metadata": metadata}
        if self._kind == "Table":
            return {**self._table([], {"resourceVersion": str(version)}), "rows": [{"cells": [], "object": manifest}]}
        return _metadata_only(manifest) if self._kind.startswith("Partial") else manifest

    def _table(self, manifests: Sequence[Manifest], metadata: Manifest) -> Manifest:
        columns = self._columns()
        definitions = [_NAME, *(column.definition for column in columns)]
        if not self._resource.custom or not self._resource.columns:
            definitions.append(_AGE)
        rows = [
            {"cells": self._cells(each, columns, len(definitions)), "object": self._row_object(each)}
            for each in manifests
        ]
        return {
            "kind": "Table",
            "apiVersion": _META,
            "metadata": metadata,
            "columnDefinitions": definitions,
            "rows": rows,
        }

    def _columns(self) -> Sequence[Column]:
        if not self._resource.custom:
            return COLUMNS.get(self._resource.kind, ())
        return [_printer_column(each) for each in self._resource.columns]

    def _cells(self, manifest: Manifest, columns: Sequence[Column], count: int) -> list[Any]:
        cells = [manifest["metadata"]["name"], *(column.cell(manifest) for column in columns)]
        return cells if len(cells) == count else [*cells, age(manifest["metadata"].get("creationTimestamp"))]

    def _row_object(self, manifest: Manifest) -> Manifest | None:
        if self._include == "None":
            return None
        return manifest if self._include == "Object" else _metadata_only(manifest)


def age(timestamp: Any) -> str:
    """How long ago, as duration.HumanDuration of apimachinery says it."""
    if not isinstance(timestamp, str):
        return "<unknown>"
    try:
        then = datetime.fromisoformat(timestamp)
    except ValueError:
        return "<invalid>"
    seconds = int((datetime.now(UTC) - then).total_seconds())
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if seconds < 120:
        return f"{max(seconds, 0)}s"
    if minutes < 10:
        return f"{minutes}m{seconds % 60}s" if seconds % 60 else f"{minutes}m"
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return f"{hours}h{minutes % 60}m" if minutes % 60 else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    if hours < 192:
        return f"{days}d{hours % 24}h" if hours % 24 else f"{days}d"
    return f"{days}d"


def _asked(accept: str) -> str:
    """The kind that the first acceptable entry asks for, "" for objects as they are."""
    for entry in accept.split(",") if accept else ["*/*"]:
        media, *rest = (part.strip() for part in entry.split(";"))
        if media in ("application/json", "application/*", "*/*"):
            asked = dict(part.partition("=")[::2] for part in rest)
            kind = asked.get("as", "")
            if kind in ("", "PartialObjectMetadata", "PartialObjectMetadataList") or (
                kind == "Table" and asked.get("v") == "v1"
            ):
                return kind
    raise Failure(406, "NotAcceptable", "only the following media types are accepted: application/json")


def _metadata_only(manifest: Manifest) -> Manifest:
    return {"kind": "PartialObjectMetadata", "apiVersion": _META, "metadata": manifest["metadata"]}


def _printer_column(column: Mapping[str, Any]) -> Column:
    """An additionalPrinterColumn of a CRD."""
    kind = column["type"]

    def cell(manifest: Manifest) -> Any:
        value = at_path(manifest, column["jsonPath"])
        if kind == "date":
            return age(value) if value is not None else None
        if kind == "string" and value is not None:
            return str(value)
        return value

    return Column(column["name"], cell, kind, int(column.get("priority") or 0), column.get("format") or "")


def at_path(manifest: Manifest, path: str) -> Any:
    """What a CRD's JSON path leads to, None for nothing. Of JSON path it knows names, places and ``[?(@.a=="b")]``."""
    value: Any = manifest
    for step in re.finditer(_STEP, path):
        text = step[0]
        if text.startswith("."):
            value = value.get(text[1:].replace("\\.", ".")) if isinstance(value, dict) else None
        elif step[2]:
            value = value.get(step[2]) if isinstance(value, dict) else None
        elif step[3]:
            items = value if isinstance(value, list) else ()
            value = next((item for item in items if isinstance(item, dict) and str(item.get(step[3])) == step[4]), None)
        else:
            value = value[int(step[5])] if isinstance(value, list) and int(step[5]) < len(value) else None
    return value
