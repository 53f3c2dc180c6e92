"""``gitsync ui``: the page, on this machine and with the user's own rights."""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import Annotated

import typer

from gitsync.cli.common.liveobject import connected
from gitsync.cli.common.options import CONTEXT, with_settings
from gitsync.cli.common.output import write
from gitsync.settings import Settings

app = typer.Typer(add_completion=False, rich_markup_mode="rich", context_settings=CONTEXT)

Port = Annotated[
    int,
    typer.Option("--port", metavar="PORT", min=0, max=65535, help="Where to listen on 127.0.0.1; 0 is a free port."),
]
Only = Annotated[
    str,
    typer.Option("--only", metavar="NAMESPACE", help="Show this namespace alone, for users who may see no more."),
]


@app.command("ui")
@with_settings(
    "Repository",
    "Git credentials",
    "Cluster",
    "Sync",
    "Access",
    "Logs",
    leave_out=("commit", "tag", "interval", "once"),
)
async def ui(settings: Settings, port: Port = 0, only: Only = "") -> None:
    """Serve a page that shows what is ready, what waits and why, until Ctrl-C.

    It is served on this machine alone, and does what the kubeconfig's user may see and do. The address
    that is printed holds a key, without which nobody else on this machine gets in. With [bold]--repo[/], and what else
    the agent was given to read it, the page also shows what commits changed.

    Example:

        gitsync ui --port 8080 --repo https://git.example/fleet.git --path clusters/prod
    """
    from gitsync.preview.asking import AskedRepository
    from gitsync.web.ui import Page

    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with connected(settings) as cluster:
        repository = AskedRepository(settings) if settings.repo else None
        page = Page(cluster, (settings.namespace, settings.name), only, repository=repository)
        async with page.serving(port) as address:
            write(f"The page of {cluster.address} is at\n\n    {address}\n\nCtrl-C ends it.\n")
            await stop.wait()
    if sys.stderr.isatty():
        write("\n")
