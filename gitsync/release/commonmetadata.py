"""``commonMetadata``: labels and annotations that every object of a release has, whatever its chart says. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gitsync.api.identity import Manifest
from gitsync.api.rendering import CommonMetadata
from gitsync.charts import Rendered, reworked


def with_common_metadata(rendered: Rendered, wanted: CommonMetadata) -> Rendered:
    """Everything rendered with ``wanted`` set, hooks included (as helm-controller does with Helm 4). Blocks.

    Labels of pod templates and selectors are left alone.
    """

    def change(objects: Iterable[tuple[str, Manifest]]) -> Iterator[tuple[str, Manifest]]:
        for path, item in objects:
            yield path, _with(item, wanted)

    return reworked(rendered, change)


def _with(item: Manifest, wanted: CommonMetadata) -> Manifest:
    metadata = dict(item["metadata"])
    for field, added in (("labels", wanted.labels), ("annotations", wanted.annotations)):
        if added:
            metadata[field] = {**(metadata.get(field) or {}), **added}
    return {**item, "metadata": metadata}
