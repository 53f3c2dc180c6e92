"""Namespace."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gitsync.health.fields import maps, text
from gitsync.health.model import READY, Health, progressing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gitsync.api.identity import Manifest


def namespace(manifest: Manifest, pods: Sequence[Manifest]) -> Health:
    """Active is ready; before it has a phase it is being made. (kstatus and Argo CD have no rule for it.)"""
    phase = text(manifest, "status", "phase")
    return READY if phase == "Active" else progressing("NamespaceNotActive", f"phase {phase or 'unknown'}")


def what_remains(manifest: Manifest) -> str:
    """Why a Namespace that is being deleted still stands, in its controller's words; "" when it does not say."""
    texts = [
        text(item, "message")
        for item in maps(manifest, "status", "conditions")
        if item.get("status") == "True" and item.get("type") != "NamespaceDeletionDiscoveryFailure"
    ]
    return "; ".join(part for part in texts if part)
