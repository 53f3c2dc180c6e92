"""Reading fields that may be missing or, in a custom resource, anything: what does not fit reads as absent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gitsync.api.identity import Manifest


def section(manifest: Any, *path: str) -> dict[str, Any]:
    """The map at ``path``; {} when there is none."""
    for name in path:
        if not isinstance(manifest, dict):
            return {}
        manifest = manifest.get(name)
    return manifest if isinstance(manifest, dict) else {}


def maps(manifest: Any, *path: str) -> list[dict[str, Any]]:
    """The maps in the list at ``path``; [] when there is none."""
    found = section(manifest, *path[:-1]).get(path[-1])
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def text(manifest: Any, *path: str) -> str:
    """The string at ``path``; "" when there is none."""
    found = section(manifest, *path[:-1]).get(path[-1])
    return found if isinstance(found, str) else ""


def number(manifest: Any, *path: str, default: int = 0) -> int:
    """The integer at ``path``; ``default`` when there is none."""
    found = section(manifest, *path[:-1]).get(path[-1])
    return found if isinstance(found, int) and not isinstance(found, bool) else default


def condition(manifest: Manifest, kind: str) -> dict[str, Any]:
    """The status condition of this type; {} when there is none."""
    return next((item for item in maps(manifest, "status", "conditions") if item.get("type") == kind), {})


def first_true(manifest: Manifest, *kinds: str) -> dict[str, Any]:
    """The first status condition of one of these types whose status is True; {} when there is none."""
    found = maps(manifest, "status", "conditions")
    return next((item for item in found if item.get("type") in kinds and item.get("status") == "True"), {})


def says(found: dict[str, Any]) -> str:
    """A condition's reason and message as one text: ``InstallFailed: timed out``."""
    return ": ".join(part for part in (text(found, "reason"), text(found, "message")) if part)
