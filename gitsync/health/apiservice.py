"""APIService."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gitsync.health.fields import condition, says, text
from gitsync.health.model import READY, Health, progressing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gitsync.api.identity import Manifest


def api_service(manifest: Manifest, pods: Sequence[Manifest]) -> Health:
    """Available is ready, all else progressing (Argo CD): the service behind it may still come up."""
    available = condition(manifest, "Available")
    if text(available, "status") == "True":
        return READY
    return progressing(text(available, "reason") or "NotAvailable", says(available) or "not available yet")
