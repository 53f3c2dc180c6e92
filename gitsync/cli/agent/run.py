"""``gitsync run``: the agent."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import typer

from gitsync.cli.common.options import CONTEXT, with_settings
from gitsync.settings import Settings

#: Seconds after a signal in which the process ends, whatever hangs; a Deployment gives 30.
LEAVE_AFTER = 25.0

app = typer.Typer(add_completion=False, rich_markup_mode="rich", context_settings=CONTEXT)


@app.command("run")
@with_settings()
async def run(settings: Settings, reload: tuple[Callable[[], Settings], Path | None]) -> int:
    """Sync a Git repository to a cluster, and keep it so.

    Polls the repository, applies what a commit changes in dependency order, waits until it is ready, and deletes what
    left Git. With [bold]--once[/] it ends when the commit is applied: exit code 0 when everything is ready, else 1.
    Stops gracefully on SIGINT and SIGTERM. Without a repository it serves the HelmReleases,
    Kustomizations and sources of the cluster.

    Example:

        gitsync run --repo https://git.example/fleet.git --branch main --path clusters/prod --interval 1m
    """
    signal.signal(signal.SIGTERM, _leave)
    from gitsync import agent

    load, file = reload
    config = agent.ConfigFile(file, load) if file is not None else None
    return await agent.run(settings, config, LEAVE_AFTER)


def _leave(number: int, _frame: FrameType | None) -> None:
    """End at once on SIGTERM, while there is nothing yet, or nothing any more, to stop in order. Without a handler the
    kernel ignores the signal for the first process of a container."""
    os._exit(128 + number)
