"""``gitsync export``: what the cluster has, as YAML for a repository."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from gitsync.cli.common.kinds import (
    RELEASE,
    REPOSITORY,
    All,
    Kind,
    Names,
    Namespace,
    chosen,
    cluster_settings,
    kinds_app,
)
from gitsync.settings import Settings

if TYPE_CHECKING:
    from gitsync.api.identity import Manifest

app, sources = kinds_app()


@app.callback()
def export() -> None:
    """Print releases or sources as YAML that can be committed.

    Example: gitsync export helmrelease --all
    """


@sources.callback()
def export_source() -> None:
    """Print chart repositories as YAML that can be committed.

    Example: gitsync export source helm --all
    """


@app.command("helmrelease")
@cluster_settings
def helm_releases(
    settings: Settings, names: Names = None, namespace: Namespace = "default", everything: All = False
) -> None:
    """Print HelmReleases as YAML that can be committed.

    Example: gitsync export helmrelease redis -n default
    """
    asyncio.run(_export(settings, RELEASE, namespace, chosen(names, everything)))


@sources.command("helm")
@cluster_settings
def helm_repositories(
    settings: Settings, names: Names = None, namespace: Namespace = "default", everything: All = False
) -> None:
    """Print HelmRepositories as YAML that can be committed.

    Example: gitsync export source helm bitnami -n default
    """
    asyncio.run(_export(settings, REPOSITORY, namespace, chosen(names, everything)))


async def _export(settings: Settings, kind: Kind, namespace: str, names: tuple[str, ...]) -> None:
    from gitsync.cli.common.objects import connected, read_all
    from gitsync.cli.common.output import as_yaml, write

    async with connected(settings) as cluster:
        for manifest in await read_all(cluster, kind, namespace, names):
            write("---\n" + as_yaml(bare(manifest)))


def bare(manifest: Manifest) -> Manifest:
    """An object as somebody would write it: without status, what the server sets, and what gitsync and requests of
    people have left on it.
    """
    from gitsync.api.names import (
        FINALIZER,
        FORCE_AT_ANNOTATION,
        OWNER_ANNOTATION,
        REQUESTED_AT_ANNOTATION,
        RESET_AT_ANNOTATION,
        SYNC_LABEL,
    )
    from gitsync.diff import normalised

    left = normalised(manifest, bookkeeping=True)
    metadata: dict[str, Any] = dict(left["metadata"])
    marks = {OWNER_ANNOTATION, REQUESTED_AT_ANNOTATION, FORCE_AT_ANNOTATION, RESET_AT_ANNOTATION}
    metadata["annotations"] = _without(metadata.get("annotations"), marks)
    metadata["labels"] = _without(metadata.get("labels"), {SYNC_LABEL})
    metadata["finalizers"] = [item for item in metadata.get("finalizers") or () if item != FINALIZER]
    return {**left, "metadata": {name: value for name, value in metadata.items() if value}}


def _without(texts: dict[str, str] | None, names: set[str]) -> dict[str, str]:
    return {name: text for name, text in (texts or {}).items() if name not in names}
