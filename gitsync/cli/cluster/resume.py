"""``gitsync resume``: have the agent take care of what was suspended."""

from __future__ import annotations

import asyncio

import typer

from gitsync.cli.common.kinds import (
    RELEASE,
    REPOSITORY,
    All,
    Kind,
    Names,
    Namespace,
    Timeout,
    Wait,
    chosen,
    cluster_settings,
    kinds_app,
    seconds,
)
from gitsync.settings import Settings

app, sources = kinds_app()


@app.callback()
def resume() -> None:
    """Resume releases or sources that were suspended, and wait for them.

    Example: gitsync resume helmrelease redis
    """


@sources.callback()
def resume_source() -> None:
    """Resume chart repositories.

    Example: gitsync resume source helm bitnami
    """


@app.command("helmrelease")
@cluster_settings
def helm_releases(
    settings: Settings,
    names: Names = None,
    namespace: Namespace = "default",
    everything: All = False,
    wait: Wait = True,
    timeout: Timeout = "5m",
) -> None:
    """Resume HelmReleases, and wait until they are ready: exit code 0 when all are, else 1.

    Example: gitsync resume helmrelease redis backend -n default
    """
    _resume(settings, RELEASE, namespace, chosen(names, everything), seconds(timeout) if wait else None)


@sources.command("helm")
@cluster_settings
def helm_repositories(
    settings: Settings,
    names: Names = None,
    namespace: Namespace = "default",
    everything: All = False,
    wait: Wait = True,
    timeout: Timeout = "5m",
) -> None:
    """Resume HelmRepositories, and wait until their indexes are read: exit code 0 when all are, else 1.

    Example: gitsync resume source helm bitnami -n default
    """
    _resume(settings, REPOSITORY, namespace, chosen(names, everything), seconds(timeout) if wait else None)


def _resume(settings: Settings, kind: Kind, namespace: str, names: tuple[str, ...], timeout: float | None) -> None:
    from gitsync.cli.cluster import suspension

    raise typer.Exit(asyncio.run(suspension.resume(settings, kind, namespace, names, timeout)))
