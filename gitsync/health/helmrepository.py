"""HelmRepository."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gitsync.api.identity import group_of
from gitsync.api.names import HELM_REPOSITORY, SOURCE_GROUP
from gitsync.health.fields import maps, text

if TYPE_CHECKING:
    from gitsync.api.identity import Manifest

#: What is to be said of one.
MERE_CONFIGURATION = "says how a registry is reached: there is nothing to read"


def is_mere_configuration(manifest: Manifest) -> bool:
    """Whether it is a HelmRepository of type oci to which nobody has written conditions, nor ever may: Flux only reads
    its address and credentials. To kstatus it is in progress until then, by the status that its CRD gives it.
    """
    kind = group_of(text(manifest, "apiVersion")), text(manifest, "kind")
    by_type, by_url = text(manifest, "spec", "type") == "oci", text(manifest, "spec", "url").startswith("oci://")
    is_registry = kind == (SOURCE_GROUP, HELM_REPOSITORY) and (by_type or by_url)
    return is_registry and not maps(manifest, "status", "conditions")
