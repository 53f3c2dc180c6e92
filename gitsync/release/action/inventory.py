"""``status.inventory``: the objects of a release in the cluster, without hooks, as helm-controller writes it. Pure."""

from __future__ import annotations

import base64
from collections.abc import Iterable

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.inventory import inventory_id
from gitsync.api.status import ResourceInventory, ResourceRef
from gitsync.charts import parse_objects
from gitsync.release.storage.record import Record, RecordError, secret_name

CRD = "CustomResourceDefinition"


def inventory(objects: Iterable[Manifest]) -> ResourceInventory:
    """``namespace_name_group_kind`` and version of every object, in the order given, each once."""
    entries = {}
    for manifest in objects:
        key = ObjectKey.of(manifest)
        entries[inventory_id(key)] = manifest["apiVersion"].rpartition("/")[2]
    return ResourceInventory(entries=tuple(ResourceRef(id=name, v=version) for name, version in entries.items()))


def crds_of(record: Record) -> list[Manifest]:
    """The CustomResourceDefinitions of the chart's own ``crds/`` folder; a record does not have those of subcharts.

    Raises: RecordError, RenderError when that cannot be read.
    """
    files = record.chart.get("files") or ()
    try:
        texts = [base64.b64decode(file["data"]).decode() for file in files if file["name"].startswith("crds/")]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        name = secret_name(record.name, record.version)
        raise RecordError(f"the chart in release record {name} has files that cannot be read", secret=name) from error
    return [item for text in texts for item in parse_objects(text) if item["kind"] == CRD]
