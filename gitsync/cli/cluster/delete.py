"""``gitsync delete``: remove a release or a source from the cluster."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from gitsync.cli.common.kinds import (
    RELEASE,
    REPOSITORY,
    Name,
    Namespace,
    Timeout,
    Wait,
    cluster_settings,
    kinds_app,
    seconds,
)
from gitsync.settings import Settings

if TYPE_CHECKING:
    from gitsync.api.identity import Manifest, ObjectKey

app, sources = kinds_app()

Silent = Annotated[bool, typer.Option("--silent", "-s", help="Do not ask.")]


@app.callback()
def delete() -> None:
    """Delete a release or a source from the cluster; asks first.

    Example: gitsync delete helmrelease backend
    """


@sources.callback()
def delete_source() -> None:
    """Delete a chart repository.

    Example: gitsync delete source helm podinfo
    """


@app.command("helmrelease")
@cluster_settings
def helm_release(
    settings: Settings,
    name: Name,
    namespace: Namespace = "default",
    silent: Silent = False,
    wait: Wait = True,
    timeout: Timeout = "5m",
) -> None:
    """Delete a HelmRelease; the agent uninstalls its release, unless it is suspended.

    What comes from Git is put back by the agent: remove it there.

    Example: gitsync delete helmrelease backend -n default --silent
    """
    _delete(settings, RELEASE.key(namespace, name), silent, seconds(timeout) if wait else None)


@sources.command("helm")
@cluster_settings
def helm_repository(
    settings: Settings,
    name: Name,
    namespace: Namespace = "default",
    silent: Silent = False,
    wait: Wait = True,
    timeout: Timeout = "5m",
) -> None:
    """Delete a HelmRepository; releases that were installed from it stay.

    Example: gitsync delete source helm podinfo -n default --silent
    """
    _delete(settings, REPOSITORY.key(namespace, name), silent, seconds(timeout) if wait else None)


def _delete(settings: Settings, key: ObjectKey, silent: bool, patience: float | None) -> None:
    """Asking is left to where no event loop runs: Ctrl-C would not end the question there."""
    manifest = asyncio.run(_look(settings, key))
    if not silent:
        typer.confirm(f"Delete {key}?", abort=True, err=True)
    asyncio.run(_remove(settings, key, manifest["metadata"]["uid"], patience))


async def _look(settings: Settings, key: ObjectKey) -> Manifest:
    from gitsync.cli.common.objects import connected, is_suspended, origin_of, read, warn

    async with connected(settings) as cluster:
        manifest = await read(cluster, key)
    if origin := origin_of(manifest):
        warn(f"{key} comes from Git and will be put back: remove it from {origin}")
    if key.kind == RELEASE.kind and is_suspended(manifest):
        warn(f"{key} is suspended: what it installed stays in the cluster")
    return manifest


async def _remove(settings: Settings, key: ObjectKey, uid: str, patience: float | None) -> None:
    from gitsync.cli.common.objects import connected
    from gitsync.cli.common.output import write
    from gitsync.cli.common.waiting import until_gone

    async with connected(settings) as cluster:
        await cluster.delete(key, uid=uid)
        if patience is None:
            write(f"{key} is being deleted\n")
            return
        await until_gone(cluster, key, patience)
        write(f"{key} is deleted\n")
