"""Objects of a release that opt out of drift detection. Pure."""

from __future__ import annotations

from gitsync.api.identity import Manifest
from gitsync.api.names import DRIFT_DETECTION_DISABLED, DRIFT_DETECTION_KEY


def opted_out(*manifests: Manifest) -> bool:
    """Whether a label or annotation of one of these says that drift of the object does not count."""
    for manifest in manifests:
        metadata = manifest.get("metadata") or {}
        for field in ("labels", "annotations"):
            if (metadata.get(field) or {}).get(DRIFT_DETECTION_KEY) == DRIFT_DETECTION_DISABLED:
                return True
    return False
