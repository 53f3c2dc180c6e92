"""Reading fields that may be missing or, in a custom resource, anything: what does not fit reads as absent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gitsync.health.model import Health, progressing

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


def says(found: dict[str, Any]) -> str:
    """A condition's reason and message as one text: ``InstallFailed: timed out``."""
    return ": ".join(part for part in (text(found, "reason"), text(found, "message")) if part)


def unobserved(manifest: Manifest, *, strict: bool) -> Health | None:
    """Progressing when the controller has not seen the present generation yet, else None.

    kstatus skips the check where status.observedGeneration is absent. ``strict`` does not: for kinds whose controller
    always writes it, absent means that nobody has looked yet (kstatus' rule for DaemonSets, Helm's for all workloads).
    """
    generation = number(manifest, "metadata", "generation")
    observed = number(manifest, "status", "observedGeneration", default=0 if strict else generation)
    if observed >= generation:
        return None
    return progressing("GenerationNotObserved", f"generation {generation} has not been seen by its controller yet")
