"""``gitsync reconcile``: look at a release or a source now, not at its next interval."""

from __future__ import annotations

from typing import Annotated

import typer

from gitsync.api.helmrelease import HelmRelease
from gitsync.cli.common.durations import Timeout, seconds
from gitsync.cli.common.kinds import RELEASE, SOURCES, kind_of
from gitsync.cli.common.objects import LiveObject, ask, find, warn
from gitsync.cli.common.verbs import Verb
from gitsync.cli.common.waiting import answered
from gitsync.errors import ReleaseError

verb = Verb(
    "reconcile",
    """Reconcile a release or a source now, and wait for what comes of it.

    Example: gitsync reconcile helmrelease redis""",
    """Read a chart repository now.

    Example: gitsync reconcile source helm bitnami""",
)
app = verb.app

Force = Annotated[bool, typer.Option("--force", help="Install or upgrade once more, also when nothing differs.")]
Reset = Annotated[bool, typer.Option("--reset", help="Forget the failures so far, so that it is tried again.")]
WithSource = Annotated[bool, typer.Option("--with-source", help="Read its chart repository first.")]


@verb.one(RELEASE)
async def release(
    live: LiveObject,
    force: Force = False,
    reset: Reset = False,
    with_source: WithSource = False,
    patience: Timeout = "5m",
) -> int:
    """Reconcile a HelmRelease now, and wait until the agent has: exit code 0 when it is ready, else 1.

    Example: gitsync reconcile helmrelease redis -n default --with-source
    """
    _refuse_suspended(live)
    wanted = HelmRelease.parse(live.manifest).source if with_source else None
    if wanted is not None and kind_of(wanted.group, wanted.kind) not in SOURCES:
        warn(f"{wanted} cannot be asked for: the agent looks at what it syncs by itself")
    elif wanted is not None and await source(await find(live.cluster, wanted), patience):
        return 1
    return 0 if await answered(live, await ask(live, force=force, reset=reset), seconds(patience)) else 1


@verb.one(*SOURCES)
async def source(live: LiveObject, patience: Timeout = "5m") -> int:
    """Have a source read now."""
    _refuse_suspended(live)
    return 0 if await answered(live, await ask(live), seconds(patience)) else 1


def _refuse_suspended(live: LiveObject) -> None:
    """Nobody would answer. Raises: ReleaseError."""
    key, kind = live.key, kind_of(live.key.group, live.key.kind)
    if live.is_suspended and kind is not None:
        hint = f"gitsync resume {kind.words} {key.name} -n {key.namespace}"
        raise ReleaseError(f"{key} is suspended", key=key, hint=hint)
