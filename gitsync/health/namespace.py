"""Namespace. It is ready once it exists; only one that is being deleted has something to tell."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gitsync.health.fields import maps, text

if TYPE_CHECKING:
    from gitsync.api.identity import Manifest

#: How its controller counts: ``pods. has 1 resource instances, x/y in 2 resource instances``.
_REMAINS = re.compile(r" has (\d+) resource instances")
_HELD = re.compile(r"([^\s,:]+) in (\d+) resource instances")


def is_held_by(manifest: Manifest, finalizer: str) -> bool:
    """Whether nothing is left in a Namespace that is being deleted but objects with this finalizer."""
    remain, held = (_messages(manifest, kind) for kind in ("NamespaceContentRemaining", "NamespaceFinalizersRemaining"))
    by_finalizer = _HELD.findall(held)
    alone = {name for name, _ in by_finalizer} == {finalizer}
    return alone and sum(map(int, _REMAINS.findall(remain))) == sum(int(count) for _, count in by_finalizer)


def _messages(manifest: Manifest, kind: str) -> str:
    conditions = maps(manifest, "status", "conditions")
    return "; ".join(text(it, "message") for it in conditions if (it.get("type"), it.get("status")) == (kind, "True"))


def what_remains(manifest: Manifest) -> str:
    """Why a Namespace that is being deleted still stands, in its controller's words; "" when it does not say."""
    texts = [
        text(item, "message")
        for item in maps(manifest, "status", "conditions")
        if item.get("status") == "True" and item.get("type") != "NamespaceDeletionDiscoveryFailure"
    ]
    return "; ".join(part for part in texts if part)
