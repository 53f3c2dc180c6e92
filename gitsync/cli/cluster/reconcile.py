"""``gitsync reconcile``: look at a release or a source now, not at its next interval."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from gitsync.cli.common.kinds import RELEASE, REPOSITORY, Name, Namespace, Timeout, cluster_settings, kinds_app, seconds
from gitsync.errors import ReleaseError
from gitsync.settings import Settings

if TYPE_CHECKING:
    from gitsync.api.identity import Manifest, ObjectKey
    from gitsync.cluster import Cluster

app, sources = kinds_app()

Force = Annotated[bool, typer.Option("--force", help="Install or upgrade once more, also when nothing differs.")]
Reset = Annotated[bool, typer.Option("--reset", help="Forget the failures so far, so that it is tried again.")]
WithSource = Annotated[bool, typer.Option("--with-source", help="Read its chart repository first.")]


@app.callback()
def reconcile() -> None:
    """Reconcile a release or a source now, and wait for what comes of it.

    Example: gitsync reconcile helmrelease redis
    """


@sources.callback()
def reconcile_source() -> None:
    """Read a chart repository now.

    Example: gitsync reconcile source helm bitnami
    """


@app.command("helmrelease")
@cluster_settings
def helm_release(
    settings: Settings,
    name: Name,
    namespace: Namespace = "default",
    force: Force = False,
    reset: Reset = False,
    with_source: WithSource = False,
    timeout: Timeout = "5m",
) -> None:
    """Reconcile a HelmRelease now, and wait until the agent has: exit code 0 when it is ready, else 1.

    Example: gitsync reconcile helmrelease redis -n default --with-source
    """
    key = RELEASE.key(namespace, name)
    raise typer.Exit(asyncio.run(_release(settings, key, seconds(timeout), force, reset, with_source)))


@sources.command("helm")
@cluster_settings
def helm_repository(settings: Settings, name: Name, namespace: Namespace = "default", timeout: Timeout = "5m") -> None:
    """Read the index of a HelmRepository now: exit code 0 when it is ready, else 1.

    Example: gitsync reconcile source helm bitnami -n default
    """
    raise typer.Exit(asyncio.run(_repository(settings, REPOSITORY.key(namespace, name), seconds(timeout))))


async def _release(
    settings: Settings, key: ObjectKey, patience: float, force: bool, reset: bool, with_source: bool
) -> int:
    from gitsync.api.helmrelease import HelmRelease
    from gitsync.cli.common.objects import connected, warn
    from gitsync.cli.common.waiting import report

    async with connected(settings) as cluster:
        manifest = await _awake(cluster, key)
        source = HelmRelease.parse(manifest).source if with_source else None
        if source is not None and source.kind != REPOSITORY.kind:
            warn(f"{source} cannot be asked for: the agent looks at what it syncs by itself")
        elif source is not None:
            await _awake(cluster, source)
            if not report(await _answer(cluster, source, patience)):
                return 1
        return 0 if report(await _answer(cluster, key, patience, force=force, reset=reset)) else 1


async def _repository(settings: Settings, key: ObjectKey, patience: float) -> int:
    from gitsync.cli.common.objects import connected
    from gitsync.cli.common.waiting import report

    async with connected(settings) as cluster:
        await _awake(cluster, key)
        return 0 if report(await _answer(cluster, key, patience)) else 1


async def _answer(
    cluster: Cluster,
    key: ObjectKey,
    patience: float,
    *,
    force: bool = False,
    reset: bool = False,
) -> Manifest:
    from gitsync.cli.common.objects import ask
    from gitsync.cli.common.waiting import until_answered

    return await until_answered(cluster, key, await ask(cluster, key, force=force, reset=reset), patience)


async def _awake(cluster: Cluster, key: ObjectKey) -> Manifest:
    """The object, which must not be suspended: nobody would answer. Raises: NotFound, ReleaseError."""
    from gitsync.cli.common.kinds import KINDS
    from gitsync.cli.common.objects import is_suspended, read

    manifest = await read(cluster, key)
    if is_suspended(manifest):
        word = KINDS[key.group, key.kind].word
        raise ReleaseError(f"{key} is suspended", key=key, hint=f"gitsync resume {word} {key.name} -n {key.namespace}")
    return manifest
