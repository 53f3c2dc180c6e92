"""A release's revisions as Helm's records have them, read in the cluster."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from gitsync.api.names import HELM_RECORD_TYPE
from gitsync.release.revision import ReleaseRef, objects_of
from gitsync.release.storage.record import OWNER_SELECTOR, Record, decode

if TYPE_CHECKING:
    from gitsync.api.identity import Manifest
    from gitsync.cluster import Cluster


async def read_records(cluster: Cluster, ref: ReleaseRef) -> list[Record]:
    """Every stored revision, oldest first. Raises: RecordError for one that is damaged, Forbidden."""
    labels = f"{OWNER_SELECTOR},name={ref.name}"
    found = await cluster.list("", "Secret", namespace=ref.storage, labels=labels, fields=f"type={HELM_RECORD_TYPE}")
    records = await asyncio.to_thread(lambda: list(map(decode, found)))
    return sorted(records, key=lambda record: record.version)


async def newest_objects(cluster: Cluster, ref: ReleaseRef) -> list[Manifest]:
    """The objects of the revision that is deployed, else of the newest; none when there is no revision. Namespaces are
    as templates left them. Raises: RecordError, Forbidden.
    """
    records = await read_records(cluster, ref)
    deployed = [record for record in records if record.status == "deployed"]
    shown = (deployed or records)[-1:]
    return [item for record in shown for item in await asyncio.to_thread(objects_of, record)]
