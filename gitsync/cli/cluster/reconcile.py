"""``gitsync reconcile``: have the agent reconcile an object now, not at its next interval."""

from __future__ import annotations

from typing import Annotated

import typer

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import ObjectKey
from gitsync.api.kustomization import Kustomization
from gitsync.api.names import GIT_REPOSITORY
from gitsync.api.sources import HelmChart
from gitsync.cli.cluster.suspension import resume_command
from gitsync.cli.common.durations import Timeout, seconds
from gitsync.cli.common.kinds import CHART, GENERATOR, KUSTOMIZATION, RECEIVER, RELEASE, SOURCES, kind_of
from gitsync.cli.common.liveobject import LiveObject, ask, find, warn
from gitsync.cli.common.verbs import Verb
from gitsync.cli.common.waiting import answered
from gitsync.errors import ReleaseError

verb = Verb(
    "reconcile",
    """Reconcile a release or a source now, and wait for what comes of it.

    Example: gitsync reconcile helmrelease redis""",
    """Read a source now.

    Example: gitsync reconcile source helm bitnami""",
)
app = verb.app

Force = Annotated[bool, typer.Option("--force", help="Install or upgrade once more, also when nothing differs.")]
Reset = Annotated[bool, typer.Option("--reset", help="Forget the failures so far, so that it is tried again.")]
WithSource = Annotated[bool, typer.Option("--with-source", help="Read its source first.")]


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
    if not await _is_read(live, wanted, patience):
        return 1
    return 0 if await answered(live, await ask(live, force=force, reset=reset), seconds(patience)) else 1


@verb.one(KUSTOMIZATION)
async def kustomization(live: LiveObject, with_source: WithSource = False, patience: Timeout = "5m") -> int:
    """Have a Kustomization built and applied now."""
    _refuse_suspended(live)
    wanted = Kustomization.parse(live.manifest).source if with_source else None
    if not await _is_read(live, wanted, patience):
        return 1
    return 0 if await answered(live, await ask(live), seconds(patience)) else 1


@verb.one(*(kind for kind in SOURCES if kind is not CHART))
async def source(live: LiveObject, patience: Timeout = "5m") -> int:
    """Have a source read now."""
    _refuse_suspended(live)
    return 0 if await answered(live, await ask(live), seconds(patience)) else 1


@verb.one(CHART)
async def chart(live: LiveObject, with_source: WithSource = False, patience: Timeout = "5m") -> int:
    """Have a HelmChart look for its chart now, in what its source had last: exit code 0 when it is there, else 1.

    Example: gitsync reconcile source chart podinfo -n default --with-source
    """
    _refuse_suspended(live)
    if not await _is_read(live, HelmChart.parse(live.manifest).source if with_source else None, patience):
        return 1
    return 0 if await answered(live, await ask(live), seconds(patience)) else 1


@verb.one(GENERATOR, RECEIVER)
async def other(live: LiveObject, patience: Timeout = "5m") -> int:
    """Have an ArtifactGenerator or a Receiver reconciled now."""
    _refuse_suspended(live)
    return 0 if await answered(live, await ask(live), seconds(patience)) else 1


async def _can_be_asked(live: LiveObject, source: ObjectKey) -> bool:
    """Whether ``source`` is an object in the cluster that a request can be put on. The synced repository is none where
    no GitRepository names it."""
    if kind_of(source.group, source.kind) not in SOURCES:
        return False
    return source.kind != GIT_REPOSITORY or await live.cluster.find(source) is not None


async def _is_read(live: LiveObject, wanted: ObjectKey | None, patience: str) -> bool:
    """Have the source ``wanted`` read, where it can be; False when that failed."""
    if wanted is None:
        return True
    if not await _can_be_asked(live, wanted):
        warn(f"{wanted} cannot be asked for: the agent looks at what it syncs by itself")
        return True
    return not await source(await find(live.cluster, wanted), patience)


def _refuse_suspended(live: LiveObject) -> None:
    """The agent would never answer a request about a suspended object. Raises: ReleaseError."""
    if live.is_suspended:
        raise ReleaseError(f"{live.key} is suspended", key=live.key, hint=resume_command(live.key))
