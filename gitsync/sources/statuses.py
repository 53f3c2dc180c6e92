"""Writes what a reconciler reports about an object into its status, as a patch of what differs."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

from gitsync.api.conditions import Said, set_condition
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.names import FIELD_MANAGER, REQUESTED_AT_ANNOTATION
from gitsync.api.status import SourceStatus
from gitsync.errors import GitsyncError, NotFound
from gitsync.logs import redact

if TYPE_CHECKING:
    from gitsync.cluster import Cluster

log = structlog.get_logger(__name__)

S = TypeVar("S", bound=SourceStatus)


async def say(
    cluster: Cluster,
    manifest: Manifest,
    status: type[S],
    said: Sequence[Said],
    keep: Collection[str] = (),
    **fields: Any,
) -> None:
    """These conditions, and of those that were there what is to be ``keep``-ed; ``fields`` are further ones of its
    status. The request that it answers is answered with that."""
    old = status.read(manifest.get("status"))
    generation = manifest["metadata"].get("generation", 0)
    kept = {kind for kind, *_ in said} | set(keep)
    conditions = tuple(item for item in old.conditions if item.type in kept)
    for kind, state, reason, message in said:
        conditions = set_condition(conditions, kind, state, reason, redact(message), generation, datetime.now(UTC))
    if requested := (manifest["metadata"].get("annotations") or {}).get(REQUESTED_AT_ANNOTATION):
        fields["last_handled_reconcile_at"] = requested
    new = old.model_copy(update={**fields, "observed_generation": generation, "conditions": conditions})
    await write(cluster, ObjectKey.of(manifest), old, new)


async def write(cluster: Cluster, key: ObjectKey, old: S, new: S) -> None:
    """Patches the status with what differs. A patch that fails is logged, and is no failure of the object."""
    changed = new.patch_from(old)
    if not changed:
        return
    try:
        await cluster.patch(key, {"status": changed}, manager=FIELD_MANAGER, subresource="status")
    except NotFound:
        return  # deleted meanwhile; the watch will say so
    except GitsyncError as error:
        log.debug("status could not be written", object=str(key), error=error.message)
