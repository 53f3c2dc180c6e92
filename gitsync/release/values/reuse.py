"""``upgrade.preserveValues``: an upgrade that starts from the last revision's values rather than the chart's.

As ``helm upgrade --reuse-values`` (pkg/action/upgrade.go, reuseValues): the values that the last revision was rendered
with take the place of the new chart's defaults, and its own values stay where the new ones have none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gitsync.charts import Chart, Charts
from gitsync.release.desired import DesiredRelease
from gitsync.release.storage.canonical import digest
from gitsync.release.storage.recordstore import RecordStore


async def with_preserved_values(charts: Charts, records: RecordStore, desired: DesiredRelease) -> DesiredRelease:
    """``desired`` with the values of the deployed revision (else the newest) below its own; unchanged when there is
    none. Its digests stay: they are those of what was asked for.

    Raises: NotFound, RecordError, ValuesError, ChartError; WorkerLost.
    """
    known = records.revisions(desired.ref.storage, desired.ref.name)
    deployed = [item for item in known if item.status == "deployed"] or known
    if not deployed:
        return desired
    owner = desired.owner
    record = await records.read(desired.ref.storage, desired.ref.name, deployed[-1].version)
    defaults = await charts.over_defaults(record.config, record.chart.get("values") or {}, owner)
    identity = await asyncio.to_thread(digest, [desired.chart.digest, defaults])

    async def load() -> Chart:
        return await charts.with_values(await desired.chart.load(), defaults, identity, owner)

    chart = replace(desired.chart, digest=identity, load=load)
    return replace(desired, chart=chart, values=coalesce(desired.values, record.config))


def coalesce(values: Mapping[str, Any], below: Mapping[str, Any]) -> dict[str, Any]:
    """``values`` completed by those that only ``below`` has, also inside maps; a null removes the value below
    (CoalesceTables).

    Neither argument is changed.
    """
    result = dict(values)
    for name, lower in below.items():
        if name not in values:
            result[name] = lower
        elif values[name] is None and lower is not None:
            del result[name]
        elif isinstance(lower, dict) and isinstance(values[name], dict):
            result[name] = coalesce(values[name], lower)
    return result
