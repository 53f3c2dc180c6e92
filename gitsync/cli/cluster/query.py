"""What ``gitsync get`` was asked for. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gitsync.api.conditions import get_condition
from gitsync.api.identity import Manifest
from gitsync.health.helmrepository import is_mere_configuration

Format = Literal["table", "wide", "json", "yaml"]


@dataclass(frozen=True, slots=True)
class Query:
    """What was asked for. ``namespace`` is "" for all of them, ``labels`` is a label selector; ``condition``
    is a type and a status in lower case, both "" for all. ``header`` is whether tables have one."""

    names: tuple[str, ...]
    namespace: str
    output: Format
    watch: bool
    labels: str = ""
    condition: tuple[str, str] = ("", "")
    header: bool = True

    def wants(self, manifest: Manifest) -> bool:
        """Whether an object is to be shown."""
        if self.names and manifest["metadata"]["name"] not in self.names:
            return False
        kind, wanted = self.condition
        if kind == "ready" and is_mere_configuration(manifest):
            return wanted == "true"
        conditions = (manifest.get("status") or {}).get("conditions") or []
        found = get_condition([{**item, "type": str(item.get("type")).lower()} for item in conditions], kind)
        return not kind or str((found or {"status": "Unknown"}).get("status")).lower() == wanted
