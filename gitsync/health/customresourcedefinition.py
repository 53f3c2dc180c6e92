"""CustomResourceDefinition."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gitsync.health.fields import condition, says, text
from gitsync.health.model import READY, Health, failed, progressing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gitsync.api.identity import Manifest


def custom_resource_definition(manifest: Manifest, pods: Sequence[Manifest]) -> Health:
    """Established is ready; names that are taken, or any other reason than Installing for not being established, are
    failed (kstatus; Helm goes on after a name conflict, and then fails at the first object of the kind).
    """
    names = condition(manifest, "NamesAccepted")
    if text(names, "status") == "False":
        return failed(text(names, "reason") or "NamesNotAccepted", f"names not accepted: {says(names)}")
    established = condition(manifest, "Established")
    if text(established, "status") == "True":
        return READY
    if text(established, "status") == "False" and text(established, "reason") != "Installing":
        return failed(text(established, "reason") or "NotEstablished", f"not established: {says(established)}")
    return progressing("Installing", "not established yet")
