"""Namespace. It is ready once it exists; only one that is being deleted has something to tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gitsync.health.fields import maps, text

if TYPE_CHECKING:
    from gitsync.api.identity import Manifest


def what_remains(manifest: Manifest) -> str:
    """Why a Namespace that is being deleted still stands, in its controller's words; "" when it does not say."""
    texts = [
        text(item, "message")
        for item in maps(manifest, "status", "conditions")
        if item.get("status") == "True" and item.get("type") != "NamespaceDeletionDiscoveryFailure"
    ]
    return "; ".join(part for part in texts if part)
