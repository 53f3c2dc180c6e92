"""CustomResourceDefinition."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gitsync.health.fields import maps, says, text
from gitsync.health.verdict import READY, Health, failed, progressing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gitsync.api.identity import Manifest


def custom_resource_definition(manifest: Manifest, pods: Sequence[Manifest]) -> Health:
    """Established is ready; names that are taken, or any other reason than Installing for not being established, are
    failed (kstatus; Helm goes on after a name conflict, and then fails at the first object of the kind).
    """
    for found in maps(manifest, "status", "conditions"):
        kind, status, reason = text(found, "type"), text(found, "status"), text(found, "reason")
        if (kind, status) == ("NamesAccepted", "False"):
            return failed(reason or "NamesNotAccepted", f"names not accepted: {says(found)}")
        if (kind, status) == ("Established", "True"):
            return READY
        if (kind, status) == ("Established", "False") and reason != "Installing":
            return failed(reason or "NotEstablished", f"not established: {says(found)}")
    return progressing("Installing", "not established yet")
