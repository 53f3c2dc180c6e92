"""``gitsync get``: what the cluster has, and whether it is ready."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Annotated, ClassVar

import typer

from gitsync.cli.cluster.query import Format, Query
from gitsync.cli.cluster.rows import HELM_RELEASES, HELM_REPOSITORIES, Listed
from gitsync.cli.common.lazy import AliasGroup
from gitsync.cli.common.options import CONTEXT, with_settings
from gitsync.settings import Settings

Names = Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Only these.", show_default=False)]
Namespace = Annotated[str, typer.Option("--namespace", "-n", metavar="NAME", help="The namespace to look in.")]
Everywhere = Annotated[bool, typer.Option("--all-namespaces", "-A", help="Look in all namespaces.")]
Output = Annotated[Format, typer.Option("--output", "-o", help="A table, one with more columns, JSON or YAML.")]
Labels = Annotated[
    str, typer.Option("--label-selector", "-l", metavar="SELECTOR", help="Only those with these labels.")
]
StatusSelector = Annotated[
    str, typer.Option("--status-selector", metavar="TYPE=STATUS", help="Only those in this condition, as ready=false.")
]
NoHeader = Annotated[bool, typer.Option("--no-header", help="Tables without their first line.")]
Watch = Annotated[bool, typer.Option("--watch", "-w", help="Go on printing what changes, until interrupted.")]

_cluster_settings = with_settings("Cluster", leave_out=("namespace",))


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
    aliases: ClassVar[Mapping[str, str]] = {"all": "helm", "helmrepositories": "helm", "helmrepository": "helm"}


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


def _getter(kind: Listed, text: str) -> Callable[..., None]:
    """The command that shows one kind; ``text`` is its help."""

    def command(
        settings: Settings,
        names: Names = None,
        namespace: Namespace = "default",
        all_namespaces: Everywhere = False,
        output: Output = "table",
        watch: Watch = False,
        labels: Labels = "",
        status_selector: StatusSelector = "",
        no_header: NoHeader = False,
    ) -> None:
        condition = _condition(status_selector)
        where = "" if all_namespaces else namespace
        query = Query(tuple(names or ()), where, output, watch, labels, condition, not no_header)
        asyncio.run(_get(settings, (kind,), query))

    command.__doc__ = text
    return _cluster_settings(command)


_RELEASES_HELP = """Show HelmReleases (also: hr, helmrelease).

    Example: gitsync get helmreleases -A --watch
    """
_REPOSITORIES_HELP = """Show HelmRepositories (also: helmrepo, helmrepository, sources helm).

    Example: gitsync get helmrepositories -n default -o wide
    """
app.command("helmreleases")(_getter(HELM_RELEASES, _RELEASES_HELP))
app.command("helmrepositories")(_getter(HELM_REPOSITORIES, _REPOSITORIES_HELP))
sources.command("helm")(_getter(HELM_REPOSITORIES, _REPOSITORIES_HELP))


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
    labels: Labels = "",
    status_selector: StatusSelector = "",
    no_header: NoHeader = False,
) -> None:
    """Show HelmRepositories and HelmReleases.

    Example: gitsync get all -A --status-selector ready=false
    """
    where = "" if all_namespaces else namespace
    query = Query((), where, output, watch, labels, _condition(status_selector), not no_header)
    asyncio.run(_get(settings, (HELM_REPOSITORIES, HELM_RELEASES), query))


def _condition(text: str) -> tuple[str, str]:
    """``ready=false``, as ``flux get`` takes it. Raises: typer.BadParameter."""
    kind, equals, status = text.lower().partition("=")
    if text and not (kind and equals and status in ("true", "false", "unknown")):
        raise typer.BadParameter("TYPE=STATUS, as ready=false", param_hint="--status-selector")
    return kind, status


async def _get(settings: Settings, kinds: tuple[Listed, ...], query: Query) -> None:
    from gitsync.cli.cluster.listing import show, watch
    from gitsync.cli.common.objects import connected

    async with connected(settings) as cluster:
        await (watch if query.watch else show)(cluster, kinds, query)
