"""``commonMetadata``: labels and annotations that every object of a release has, whatever its chart says. Pure."""

from __future__ import annotations

from gitsync.api.identity import Manifest
from gitsync.api.parts.rendering import CommonMetadata


def with_common_metadata(item: Manifest, wanted: CommonMetadata) -> Manifest:
    """The object with ``wanted`` set. Labels of pod templates and selectors are left alone."""
    metadata = dict(item["metadata"])
    for field, added in (("labels", wanted.labels), ("annotations", wanted.annotations)):
        if added:
            metadata[field] = {**(metadata.get(field) or {}), **added}
    return {**item, "metadata": metadata}
