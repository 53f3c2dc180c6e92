"""``gitsync uninstall``: take the agent out of a cluster."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from gitsync.cli.common.liveobject import connected
from gitsync.cli.common.options import CONTEXT, with_settings
from gitsync.cli.common.output import write
from gitsync.settings import Settings
from gitsync.text import counted, listed

app = typer.Typer(add_completion=False, rich_markup_mode="rich", context_settings=CONTEXT)

Crds = Annotated[bool, typer.Option("--crds", help="Delete the definitions too, and with them every HelmRelease.")]
KeepNamespace = Annotated[
    bool, typer.Option("--keep-namespace", help="Leave the namespace, with inventory and journal.")
]
Silent = Annotated[bool, typer.Option("--silent", "-s", help="Do not ask.")]


@app.command("uninstall")
@with_settings("Cluster")
def uninstall(
    settings: Settings, crds: Crds = False, keep_namespace: KeepNamespace = False, silent: Silent = False
) -> None:
    """Take the agent out of the cluster, with its rights, its settings and its namespace, and say what stays.

    Whatever releases installed stays, and so do Helm's records of it: helm goes on with them, and so does gitsync when
    it is installed again.

    Example: gitsync uninstall --keep-namespace
    """
    if not silent:
        where = f"namespace {settings.namespace} of {asyncio.run(_address(settings))}"
        typer.confirm(f"Remove gitsync from {where}?", abort=True, err=True)
    asyncio.run(_uninstall(settings, crds, keep_namespace))


async def _address(settings: Settings) -> str:
    """The API server's address, which the question names: so one sees that it is the right cluster."""
    async with connected(settings) as cluster:
        return cluster.address


async def _uninstall(settings: Settings, crds: bool, keep_namespace: bool) -> None:
    from gitsync.install import uninstaller

    async with connected(settings) as cluster:
        left = await uninstaller.uninstall(
            cluster,
            settings.namespace,
            crds=crds,
            keep_namespace=keep_namespace,
            say=lambda text: write(f"{text}\n"),
        )
    if not left.removed:
        write(f"gitsync is not installed in namespace {settings.namespace}\n")
    if left.namespace:
        write(f"namespace {settings.namespace} stays: {left.namespace}\n")
    write("what releases installed stays, with Helm's records of it: helm list --all-namespaces\n")
    if left.definitions:
        objects = listed([counted(count, kind) for kind, count in left.objects.items()], len(left.objects))
        with_them = f", with {objects}" if objects else ""
        write(f"{left.definitions} definitions stay{with_them}; {_why(crds, listed(left.flux))}\n")


def _why(crds: bool, controllers: str) -> str:
    if controllers:
        return f"Flux serves them ({controllers})"
    return "gitsync uninstall --crds deletes them" if not crds else ""
