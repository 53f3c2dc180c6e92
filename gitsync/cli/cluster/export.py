"""``gitsync export``: what the cluster has, as YAML for a repository."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gitsync.api.identity import Manifest
from gitsync.api.names import (
    FINALIZER,
    FORCE_AT_ANNOTATION,
    OWNER_ANNOTATION,
    REQUESTED_AT_ANNOTATION,
    RESET_AT_ANNOTATION,
    SYNC_LABEL,
    SYNC_NAMESPACE_LABEL,
)
from gitsync.cli.common.kinds import KINDS
from gitsync.cli.common.liveobject import LiveObject
from gitsync.cli.common.output import as_yaml, write
from gitsync.cli.common.verbs import Verb
from gitsync.diff import normalised

verb = Verb(
    "export",
    """Print releases or sources as YAML that can be committed.

    Example: gitsync export helmrelease --all""",
    """Print sources as YAML that can be committed.

    Example: gitsync export source helm --all""",
)
app = verb.app


@verb.each(*KINDS)
async def export(objects: Sequence[LiveObject]) -> None:
    """Print objects as YAML."""
    for live in objects:
        write("---\n" + as_yaml(bare(live.manifest)))


def bare(manifest: Manifest) -> Manifest:
    """An object as one would write it: without status, the fields that the API server sets, and the annotations, labels
    and finalizers that gitsync and commands such as ``gitsync reconcile`` have put on it.
    """
    left = normalised(manifest, bookkeeping=True)
    metadata: dict[str, Any] = dict(left["metadata"])
    marks = {OWNER_ANNOTATION, REQUESTED_AT_ANNOTATION, FORCE_AT_ANNOTATION, RESET_AT_ANNOTATION}
    metadata["annotations"] = _without(metadata.get("annotations"), marks)
    metadata["labels"] = _without(metadata.get("labels"), {SYNC_LABEL, SYNC_NAMESPACE_LABEL})
    metadata["finalizers"] = [item for item in metadata.get("finalizers") or () if item != FINALIZER]
    return {**left, "metadata": {name: value for name, value in metadata.items() if value}}


def _without(texts: dict[str, str] | None, names: set[str]) -> dict[str, str]:
    return {name: text for name, text in (texts or {}).items() if name not in names}
