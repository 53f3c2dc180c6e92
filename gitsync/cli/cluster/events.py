"""``gitsync events``: what has happened to releases and sources lately."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import typer

from gitsync.api.identity import Manifest, group_of
from gitsync.cli.common.kinds import KINDS, kind_of
from gitsync.cli.common.liveobject import connected
from gitsync.cli.common.options import CONTEXT
from gitsync.cli.common.output import as_json, one_line, say, table, write
from gitsync.cli.common.verbs import Namespace, cluster_settings
from gitsync.live.columns import human_duration
from gitsync.live.events import last_seen
from gitsync.settings import Settings

app = typer.Typer(add_completion=False, rich_markup_mode="rich", context_settings=CONTEXT)

Format = Literal["table", "json"]
For = Annotated[str, typer.Option("--for", metavar="KIND/NAME", help="Of one object only, of any kind.")]
Everywhere = Annotated[bool, typer.Option("--all-namespaces", "-A", help="Look in all namespaces.")]
Output = Annotated[Format, typer.Option("--output", "-o", help="A table, or JSON.")]

_HEADERS = ["LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"]
_NAMES = {kind.kind.lower(): kind.kind for kind in KINDS}


@app.command("events")
@cluster_settings
async def events(
    settings: Settings,
    about: For = "",
    namespace: Namespace = "default",
    all_namespaces: Everywhere = False,
    output: Output = "table",
) -> None:
    """Show what has happened to releases and sources lately, the last event last.

    Kubernetes keeps events for an hour. With --for they may be of any object, such as Pod/redis-master-0.

    Example: gitsync events --for HelmRelease/redis -n default
    """
    kind, _, name = about.partition("/")
    if about and not (kind and name):
        raise typer.BadParameter(f"{about!r} is not KIND/NAME", param_hint="--for")
    kind, namespace = _NAMES.get(kind.lower(), kind), "" if all_namespaces else namespace
    fields = f"involvedObject.kind={kind},involvedObject.name={name}" if name else ""
    async with connected(settings) as cluster:
        found = await cluster.list("", "Event", namespace=namespace, fields=fields)
    wanted = sorted((event for event in found if name or _is_ours(event)), key=last_seen)
    if output == "json":
        write(as_json([_data(event) for event in wanted]))
    elif wanted:
        rows = [_HEADERS, *(_row(event) for event in wanted)]
        if not namespace:
            spaces = ["NAMESPACE", *(event["metadata"]["namespace"] for event in wanted)]
            rows = [[space, *row] for space, row in zip(spaces, rows, strict=True)]
        write(table(rows))
    else:
        say(f"no events in {f'namespace {namespace}' if namespace else 'any namespace'}")


def _is_ours(event: Manifest) -> bool:
    about = event["involvedObject"]
    return kind_of(group_of(about.get("apiVersion", "")), about.get("kind", "")) is not None


def _data(event: Manifest) -> dict[str, Any]:
    about = event["involvedObject"]
    return {
        "lastSeen": last_seen(event).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "count": (event.get("series") or {}).get("count") or event.get("count") or 1,
        "type": event.get("type", ""),
        "reason": event.get("reason", ""),
        "object": f"{about.get('kind', '')}/{about.get('name', '')}",
        "namespace": event["metadata"]["namespace"],
        "message": event.get("message", ""),
    }


def _row(event: Manifest) -> list[str]:
    data = _data(event)
    age = human_duration((datetime.now(UTC) - last_seen(event)).total_seconds())
    times = f" (x{data['count']})" if data["count"] > 1 else ""
    cells = (age + times, data["type"], data["reason"], data["object"], data["message"])
    return [one_line(str(cell)) for cell in cells]
