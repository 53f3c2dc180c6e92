"""``gitsync get``: what the cluster has, and whether it is ready."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import typer

from gitsync.api.identity import ObjectKey
from gitsync.cli.lazy import AliasGroup
from gitsync.cli.options import CONTEXT, with_settings
from gitsync.cli.rows import HELM_RELEASES, HELM_REPOSITORIES, Listed
from gitsync.settings import Settings

Format = Literal["table", "wide", "json", "yaml"]

Names = Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Only these.", show_default=False)]
Namespace = Annotated[str, typer.Option("--namespace", "-n", metavar="NAME", help="The namespace to look in.")]
Everywhere = Annotated[bool, typer.Option("--all-namespaces", "-A", help="Look in all namespaces.")]
Output = Annotated[Format, typer.Option("--output", "-o", help="A table, one with more columns, JSON or YAML.")]
Watch = Annotated[bool, typer.Option("--watch", "-w", help="Go on printing what changes, until interrupted.")]

_cluster_settings = with_settings("Cluster", leave_out=("namespace",))


@dataclass(frozen=True, slots=True)
class Query:
    """What was asked for. ``namespace`` is "" for all of them."""

    names: tuple[str, ...]
    namespace: str
    output: Format
    watch: bool

    def wants(self, key: ObjectKey) -> bool:
        return not self.names or key.name in self.names


class _Kinds(AliasGroup):
    aliases: ClassVar[Mapping[str, str]] = {
        "hr": "helmreleases",
        "helmrelease": "helmreleases",
        "helmrepo": "helmrepositories",
        "helmrepos": "helmrepositories",
        "helmrepository": "helmrepositories",
        "source": "sources",
    }


class _Sources(AliasGroup):
    aliases: ClassVar[Mapping[str, str]] = {"helmrepositories": "helm", "helmrepository": "helm"}


app = typer.Typer(
    cls=_Kinds, no_args_is_help=True, add_completion=False, rich_markup_mode="rich", context_settings=CONTEXT
)
sources = typer.Typer(cls=_Sources, no_args_is_help=True, rich_markup_mode="rich", context_settings=CONTEXT)
app.add_typer(sources, name="sources")


@app.callback()
def get() -> None:
    """Show releases and chart repositories of the cluster, and whether they are ready.

    Example: gitsync get helmreleases -A
    """


@app.command("helmreleases")
@_cluster_settings
def helm_releases(
    settings: Settings,
    names: Names = None,
    namespace: Namespace = "default",
    all_namespaces: Everywhere = False,
    output: Output = "table",
    watch: Watch = False,
) -> None:
    """Show HelmReleases (also: hr, helmrelease).

    Example: gitsync get helmreleases -A --watch
    """
    query = Query(tuple(names or ()), "" if all_namespaces else namespace, output, watch)
    asyncio.run(_get(settings, (HELM_RELEASES,), query))


def _helm_repositories(
    settings: Settings,
    names: Names = None,
    namespace: Namespace = "default",
    all_namespaces: Everywhere = False,
    output: Output = "table",
    watch: Watch = False,
) -> None:
    """Show HelmRepositories (also: helmrepo, helmrepository, sources helm).

    Example: gitsync get helmrepositories -n default -o wide
    """
    query = Query(tuple(names or ()), "" if all_namespaces else namespace, output, watch)
    asyncio.run(_get(settings, (HELM_REPOSITORIES,), query))


app.command("helmrepositories")(_cluster_settings(_helm_repositories))
sources.command("helm")(_cluster_settings(_helm_repositories))


@sources.callback()
def get_sources() -> None:
    """Show where charts come from.

    Example: gitsync get sources helm -A
    """


@app.command("all")
@_cluster_settings
def everything(
    settings: Settings,
    namespace: Namespace = "default",
    all_namespaces: Everywhere = False,
    output: Output = "table",
    watch: Watch = False,
) -> None:
    """Show HelmRepositories and HelmReleases.

    Example: gitsync get all -A
    """
    query = Query((), "" if all_namespaces else namespace, output, watch)
    asyncio.run(_get(settings, (HELM_REPOSITORIES, HELM_RELEASES), query))


async def _get(settings: Settings, kinds: tuple[Listed, ...], query: Query) -> None:
    from gitsync.cli.listing import show, watch
    from gitsync.cluster import Cluster

    async with await Cluster.connect(kubeconfig=settings.kubeconfig, context=settings.context or None) as cluster:
        await (watch if query.watch else show)(cluster, kinds, query)
