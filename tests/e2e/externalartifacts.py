"""ExternalArtifacts, as ArtifactGenerators make them."""

from __future__ import annotations

import json
from typing import Any

from tests.controlplane.cluster import Cli


def external(kubectl: Cli, namespace: str) -> dict[str, Any]:
    """The ExternalArtifacts, by name."""
    items = json.loads(kubectl("get", "externalartifacts", "-n", namespace, "-o", "json"))["items"]
    return {item["metadata"]["name"]: item for item in items}
