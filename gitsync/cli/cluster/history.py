"""``gitsync history``: the revisions of a release, out of Helm's own records."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from gitsync.cli.common.kinds import RELEASE, Name, Namespace, cluster_settings, release_app
from gitsync.settings import Settings

if TYPE_CHECKING:
    from gitsync.api.identity import ObjectKey
    from gitsync.release.storage.record import Record

app = release_app()

Format = Literal["table", "json"]
Output = Annotated[Format, typer.Option("--output", "-o", help="A table, or JSON as helm history has it.")]

_HEADERS = ["REVISION", "UPDATED", "STATUS", "CHART", "APP VERSION", "DESCRIPTION"]


@app.callback()
def history() -> None:
    """Show the revisions of a release, oldest first, as helm history does.

    Example: gitsync history helmrelease redis
    """


@app.command("helmrelease")
@cluster_settings
def helm_release(settings: Settings, name: Name, namespace: Namespace = "default", output: Output = "table") -> None:
    """Show the revisions of a HelmRelease; what a commit brought names that commit.

    Example: gitsync history helmrelease redis -n default
    """
    asyncio.run(_history(settings, RELEASE.key(namespace, name), output))


async def _history(settings: Settings, key: ObjectKey, output: Format) -> None:
    from gitsync.api.helmrelease import HelmRelease
    from gitsync.cli.cluster.revisions import read_records
    from gitsync.cli.common.objects import connected, read
    from gitsync.cli.common.output import as_json, format_row, print_error, widths, write
    from gitsync.release.desired import ref_of

    async with connected(settings) as cluster:
        ref = ref_of(HelmRelease.parse(await read(cluster, key)))
        records = await read_records(cluster, ref)
    if output == "json":
        write(as_json([_data(record) for record in records]))
    elif records:
        rows = [_HEADERS, *map(_row, records)]
        write("".join(format_row(row, widths(rows)) + "\n" for row in rows))
    else:
        print_error(f"{key} has no revision yet: nothing was installed as {ref}")


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
    from gitsync.cli.common.output import one_line

    cells = _data(record) | {"updated": _time(record.last_deployed)}
    return [one_line(str(cell)) for cell in cells.values()]


def _time(text: str) -> str:
    try:
        return datetime.fromisoformat(text).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    except ValueError:
        return text
