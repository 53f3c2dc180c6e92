"""``gitsync sandbox``: a Kubernetes API on this machine, for kubectl, helm and gitsync."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gitsync.cli.common.options import CONTEXT

if TYPE_CHECKING:
    from gitsync.sandbox import Sandbox

app = typer.Typer(add_completion=False, rich_markup_mode="rich", context_settings=CONTEXT)

Where = Annotated[
    Path | None,
    typer.Option("--kubeconfig", metavar="PATH", help="Where to write the kubeconfig (default: a temporary file)."),
]
Port = Annotated[
    int,
    typer.Option("--port", metavar="PORT", min=0, max=65535, help="Where to listen on 127.0.0.1; 0 is a free port."),
]
Delay = Annotated[float, typer.Option("--delay", metavar="SECONDS", help="How long a pod takes to start.", min=0.0)]


@app.command("sandbox")
def sandbox(kubeconfig: Where = None, port: Port = 0, delay: Delay = 1.0) -> None:
    """Run a Kubernetes API on this machine, its state in memory, until Ctrl-C.

    Workloads become ready though nothing runs; an image whose tag has [bold]nonexistent[/] or [bold]missing[/] is never
    pulled. A kubeconfig for it is written, which is removed at the end.

    Example:

        gitsync sandbox --kubeconfig sandbox.yaml
    """
    asyncio.run(_run(kubeconfig, port, delay))


async def _run(kubeconfig: Path | None, port: int, delay: float) -> None:
    from gitsync.cli.common.output import write
    from gitsync.sandbox import Sandbox

    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with Sandbox(kubeconfig=kubeconfig, port=port, delay=delay) as running:
        write(_how_to(running))
        await stop.wait()
    if sys.stderr.isatty():
        write("\n")


def _how_to(running: Sandbox) -> str:
    return f"""\
A sandbox runs at {running.url}; Ctrl-C ends it. In another terminal:

    export KUBECONFIG={running.kubeconfig}
    kubectl get namespaces
    gitsync run --repo https://git.example/fleet.git
"""
