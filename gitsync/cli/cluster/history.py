"""``gitsync history``: the revisions of a release, out of Helm's own records."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import typer

from gitsync.api.helmrelease import HelmRelease
from gitsync.cli.common.kinds import RELEASE
from gitsync.cli.common.liveobject import LiveObject
from gitsync.cli.common.output import as_json, one_line, print_error, table, write
from gitsync.cli.common.verbs import Verb
from gitsync.live.elsewhere import cluster_of
from gitsync.live.records import read_records
from gitsync.release.desired import ref_of
from gitsync.release.storage.record import Record

verb = Verb(
    "history",
    """Show the revisions of a release, oldest first, as helm history does.

    Example: gitsync history helmrelease redis""",
)
app = verb.app

Format = Literal["table", "json"]
Output = Annotated[Format, typer.Option("--output", "-o", help="A table, or JSON as helm history has it.")]

_HEADERS = ["REVISION", "UPDATED", "STATUS", "CHART", "APP VERSION", "DESCRIPTION"]


@verb.one(RELEASE)
async def history(live: LiveObject, output: Output = "table") -> None:
    """Show the revisions of a HelmRelease, and the commits that brought them. With spec.kubeConfig they are read from
    that cluster.

    Example: gitsync history helmrelease redis -n default
    """
    release = HelmRelease.parse(live.manifest)
    ref = ref_of(release)
    async with cluster_of(live.cluster, release) as cluster:
        records = await read_records(cluster, ref)
    if output == "json":
        write(as_json([_data(record) for record in records]))
    elif records:
        write(table([_HEADERS, *map(_row, records)]))
    else:
        print_error(f"{live.key} has no revision yet: nothing was installed as {ref}")


def _data(record: Record) -> dict[str, Any]:
    return {
        "revision": record.version,
        "updated": record.last_deployed,
        "status": record.status,
        "chart": f"{record.chart_name}-{record.chart_version}",
        "app_version": str((record.chart.get("metadata") or {}).get("appVersion") or ""),
        "description": record.description,
    }


def _row(record: Record) -> list[str]:
    cells = _data(record) | {"updated": _time(record.last_deployed)}
    return [one_line(str(cell)) for cell in cells.values()]


def _time(text: str) -> str:
    try:
        return datetime.fromisoformat(text).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    except (ValueError, OverflowError):
        return text
