"""``gitsync logs``: the log of the agent in the cluster."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from gitsync.api.identity import ObjectKey
from gitsync.cli.common.durations import seconds
from gitsync.cli.common.liveobject import connected
from gitsync.cli.common.options import CONTEXT, with_settings
from gitsync.cli.common.output import colours, one_line, write
from gitsync.errors import ReleaseError
from gitsync.logs import LEVELS, Console, LogLevel, is_terminal, read_line, width_of
from gitsync.settings import Settings
from gitsync.text import printable

if TYPE_CHECKING:
    from gitsync.cluster import Cluster
    from gitsync.logs import Line

app = typer.Typer(add_completion=False, rich_markup_mode="rich", context_settings=CONTEXT)

Format = Literal["text", "json"]
Follow = Annotated[bool, typer.Option("--follow", "-f", help="Go on with the lines that are yet to come.")]
Tail = Annotated[int, typer.Option("--tail", metavar="LINES", help="How many of the last lines; -1 for all.")]
Since = Annotated[str, typer.Option("--since", metavar="DURATION", help="Lines not older than this, as 10m.")]
Level = Annotated[LogLevel, typer.Option("--level", help="The least important lines that are shown.")]
Release = Annotated[str, typer.Option("--release", metavar="[NAMESPACE/]NAME", help="Lines about this release.")]
Verbose = Annotated[bool, typer.Option("--verbose", help="Say from which file and line of Git an object came.")]
Output = Annotated[Format, typer.Option("--output", "-o", help="Lines to read, or as the agent wrote them.")]


@dataclass(frozen=True, slots=True)
class LineFilter:
    """Which lines are shown: of this level or above, and about this release, if one is named."""

    level: LogLevel
    release: str

    def matches(self, line: Line) -> bool:
        """Whether a line is shown."""
        if line.level in LEVELS and LEVELS.index(line.level) < LEVELS.index(self.level):
            return False
        about = str(line.fields.get("release", ""))
        return not self.release or about == self.release or about.rpartition("/")[2] == self.release


@app.command("logs")
@with_settings("Cluster")
async def logs(
    settings: Settings,
    follow: Follow = False,
    tail: Tail = -1,
    since: Since = "",
    level: Level = "debug",
    release: Release = "",
    verbose: Verbose = False,
    output: Output = "text",
) -> None:
    """Show the log of the agent in the cluster, or its lines about one release.

    Example: gitsync logs --follow --release default/backend
    """
    age = math.ceil(seconds(since, "--since")) if since else None
    lines = None if tail < 0 else tail
    wanted = LineFilter(level, release)
    width = width_of(sys.stdout) if is_terminal(sys.stdout) else None
    console = Console(colour=colours(sys.stdout), width=width, verbose=verbose)
    async with connected(settings) as cluster:
        pod = await _pod(cluster, settings.namespace)
        async for text in cluster.log_lines(pod, tail=lines, since=age, follow=follow):
            _show(text, wanted, output, console)


async def _pod(cluster: Cluster, namespace: str) -> ObjectKey:
    """The agent's pod, the newest if there are several. Raises: ReleaseError when there is none."""
    pods = await cluster.list("", "Pod", namespace=namespace, labels="app.kubernetes.io/name=gitsync")
    if not pods:
        raise ReleaseError(
            f"no agent is running in namespace {namespace}",
            hint="gitsync check says what is missing; an agent that runs elsewhere writes to its own terminal",
        )
    newest = max(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))
    return ObjectKey.of({"apiVersion": "v1", "kind": "Pod", **newest})


def _show(text: str, wanted: LineFilter, output: Format, console: Console) -> None:
    """Print the line ``text`` if it is one of those ``wanted``. One that is not in the agent's format, such as a
    message of Python itself, has neither a level nor a release to be left out by: it is shown as it is."""
    line = read_line(text)
    if line is not None and not wanted.matches(line):
        return
    if line is None:
        if not wanted.release:
            write(one_line(text) + "\n")
    else:
        write((printable(text) if output == "json" else console.text(line)) + "\n")
