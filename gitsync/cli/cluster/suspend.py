"""``gitsync suspend``: have the agent leave a release or a source alone."""

from __future__ import annotations

import asyncio

from gitsync.cli.common.kinds import RELEASE, REPOSITORY, All, Names, Namespace, chosen, cluster_settings, kinds_app
from gitsync.settings import Settings

app, sources = kinds_app()


@app.callback()
def suspend() -> None:
    """Suspend releases or sources: the agent leaves them alone until resumed.

    Example: gitsync suspend helmrelease redis
    """


@sources.callback()
def suspend_source() -> None:
    """Suspend chart repositories.

    Example: gitsync suspend source helm bitnami
    """


@app.command("helmrelease")
@cluster_settings
def helm_releases(
    settings: Settings, names: Names = None, namespace: Namespace = "default", everything: All = False
) -> None:
    """Suspend HelmReleases: no install, no upgrade, and no uninstall when one is deleted.

    Where Git itself says spec.suspend, Git puts it back; a warning names the file.

    Example: gitsync suspend helmrelease redis backend -n default
    """
    from gitsync.cli.cluster import suspension

    asyncio.run(suspension.suspend(settings, RELEASE, namespace, chosen(names, everything)))


@sources.command("helm")
@cluster_settings
def helm_repositories(
    settings: Settings, names: Names = None, namespace: Namespace = "default", everything: All = False
) -> None:
    """Suspend HelmRepositories: their indexes are not read again.

    Example: gitsync suspend source helm bitnami -n default
    """
    from gitsync.cli.cluster import suspension

    asyncio.run(suspension.suspend(settings, REPOSITORY, namespace, chosen(names, everything)))
