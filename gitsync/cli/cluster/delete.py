"""``gitsync delete``: remove a release or a source from the cluster."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from gitsync.api.identity import ObjectKey
from gitsync.api.impliedchart import implied_by
from gitsync.api.kinds import NOTIFICATION_GROUP
from gitsync.cli.common.durations import Timeout, Wait, seconds
from gitsync.cli.common.kinds import CHART, KINDS, RELEASE, Kind
from gitsync.cli.common.liveobject import LiveObject, connected, find, warn
from gitsync.cli.common.output import write
from gitsync.cli.common.verbs import Name, Namespace, Verb
from gitsync.cli.common.waiting import until_gone
from gitsync.live.requests import origin_of
from gitsync.settings import Settings

verb = Verb(
    "delete",
    """Delete a release or a source from the cluster; asks first.

    Example: gitsync delete helmrelease backend""",
    """Delete a source.

    Example: gitsync delete source helm podinfo""",
)
app = verb.app

Silent = Annotated[bool, typer.Option("--silent", "-s", help="Do not ask.")]


@verb.of(*KINDS)
def delete(
    settings: Settings,
    kind: Kind,
    name: Name,
    namespace: Namespace = "default",
    silent: Silent = False,
    wait: Wait = True,
    patience: Timeout = "5m",
) -> None:
    """Not a coroutine, since it asks: while an event loop runs, Ctrl-C would not end the question."""
    live = asyncio.run(_look(settings, kind.key(namespace, name)))
    if not silent:
        typer.confirm(f"Delete {live.key}?", abort=True, err=True)
    asyncio.run(_delete(settings, live, seconds(patience) if wait else None))


async def _look(settings: Settings, key: ObjectKey) -> LiveObject:
    async with connected(settings) as cluster:
        live = await find(cluster, key)
    if origin := origin_of(live.manifest):
        # The agent watches the kinds that it reconciles. It misses others when it next compares the cluster with Git.
        when = "within ten minutes" if key.group == NOTIFICATION_GROUP else "at once"
        warn(f"{key} comes from Git and will be put back {when}: remove it from {origin}")
    if key.kind == CHART.kind and (release := implied_by(live.manifest)) is not None:
        warn(f"{key} was made for {release}, and will be made again")
    if key.kind == RELEASE.kind and live.is_suspended:
        warn(f"{key} is suspended: what it installed stays in the cluster")
    return live


async def _delete(settings: Settings, seen: LiveObject, patience: float | None) -> None:
    async with connected(settings) as cluster:
        uid = seen.manifest["metadata"]["uid"]
        await cluster.delete(seen.key, uid=uid)
        if patience is None:
            write(f"{seen.key} is being deleted\n")
            return
        await until_gone(cluster, seen.key, uid, patience)
        write(f"{seen.key} is deleted\n")
