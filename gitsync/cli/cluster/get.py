"""``gitsync get``: what the cluster has, and whether it is ready."""

from __future__ import annotations

from typing import Annotated

import typer

from gitsync.cli.cluster.listing import show, watch_changes
from gitsync.cli.cluster.query import Format, Query
from gitsync.cli.common.kinds import KINDS, SHOWN, SOURCES, Kind
from gitsync.cli.common.liveobject import connected
from gitsync.cli.common.verbs import Namespace, Verb, bound, cluster_settings
from gitsync.settings import Settings

verb = Verb(
    "get",
    """Show releases and sources of the cluster, and whether they are ready.

    Example: gitsync get helmreleases -A""",
    """Show where charts come from.

    Example: gitsync get sources helm -A""",
    plural=True,
)
app = verb.app

Names = Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Only these.", show_default=False)]
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


_EVERYTHING = """Show all sources, HelmReleases, Kustomizations, Providers, Alerts and Receivers.

    Example: gitsync get all -A --status-selector ready=false"""


@verb.of(*SHOWN)
async def get(
    settings: Settings,
    kind: Kind | tuple[Kind, ...],
    names: Names = None,
    namespace: Namespace = "default",
    all_namespaces: Everywhere = False,
    output: Output = "table",
    watch: Watch = False,
    labels: Labels = "",
    status_selector: StatusSelector = "",
    no_header: NoHeader = False,
) -> None:
    """Show the objects of one kind, or of several."""
    where = "" if all_namespaces else namespace
    query = Query(tuple(names or ()), where, output, watch, labels, _condition(status_selector), not no_header)
    async with connected(settings) as cluster:
        await (watch_changes if watch else show)(cluster, kind if isinstance(kind, tuple) else (kind,), query)


# Sources first: they are what releases wait for.
_ALL = (*SOURCES, *(kind for kind in KINDS if not kind.is_source))
app.command("all")(cluster_settings(bound(get, _EVERYTHING, kind=_ALL, names=None)))
verb.sources.command("all", hidden=True)(cluster_settings(bound(get, "Show the sources of all kinds.", kind=SOURCES)))


def _condition(text: str) -> tuple[str, str]:
    """``ready=false``, as ``flux get`` takes it. Raises: typer.BadParameter."""
    kind, equals, status = text.lower().partition("=")
    if text and not (kind and equals and status in ("true", "false", "unknown")):
        raise typer.BadParameter("TYPE=STATUS, as ready=false", param_hint="--status-selector")
    return kind, status
