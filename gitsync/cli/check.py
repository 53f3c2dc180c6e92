"""``gitsync check``: what is missing for an agent, and how to fix it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from gitsync.cli.options import CONTEXT, with_settings
from gitsync.settings import Settings

if TYPE_CHECKING:
    from gitsync.install.checks import Finding

app = typer.Typer(add_completion=False, rich_markup_mode="rich", context_settings=CONTEXT)

Pre = Annotated[bool, typer.Option("--pre", help="Before an installation: only what must be there already.")]
Format = Literal["text", "json"]
Output = Annotated[Format, typer.Option("--output", "-o", help="Lines to read, or JSON.")]

#: Settings about releases, which change nothing of what the agent itself needs.
_ACCESS_ELSEWHERE = (
    "default_service_account",
    "cross_namespace_refs",
    "insecure_kubeconfig_exec",
    "insecure_kubeconfig_tls",
)
_MARKS = {"ok": ("✔", "32"), "warning": ("!", "33"), "failed": ("✗", "31")}


@app.command("check")
@with_settings(
    "Repository", "Git credentials", "Cluster", "Access", leave_out=("state_dir", "interval", *_ACCESS_ELSEWHERE)
)
def check(settings: Settings, pre: Pre = False, output: Output = "text") -> None:
    """Look at everything that an agent needs: programs, the API server, rights, definitions, the repository.

    Says of each thing what is wrong and how to fix it. Exit code 1 when something is missing that an agent cannot run
    without.

    Example: gitsync check --repo https://git.example/fleet.git --branch main
    """
    raise typer.Exit(asyncio.run(_check(settings, pre, output)))


async def _check(settings: Settings, pre: bool, output: Format) -> int:
    from gitsync.cli.output import as_json, write

    found = []
    async for finding in _findings(settings, pre):
        found.append(finding)
        if output == "text":
            write(_line(finding))
    if output == "json":
        write(as_json([asdict(finding) for finding in found]))
    return int(any(finding.result == "failed" for finding in found))


async def _findings(settings: Settings, pre: bool) -> AsyncIterator[Finding]:
    from gitsync.cli.objects import connected
    from gitsync.errors import GitsyncError
    from gitsync.install import checks

    async for finding in checks.programs():
        yield finding
    if settings.repo:
        yield await _repository(settings)
    try:
        async with connected(settings) as cluster:
            async for finding in checks.of_cluster(
                cluster, settings.namespace, settings.watch_namespace, installed=not pre
            ):
                yield finding
    except GitsyncError as error:
        yield checks.of_error("cluster", error)


async def _repository(settings: Settings) -> Finding:
    import tempfile
    from pathlib import Path

    from gitsync.agent.agent import git_source
    from gitsync.errors import GitsyncError
    from gitsync.git import Mirror, redacted_url
    from gitsync.install.checks import Finding, of_error

    try:
        source = git_source(settings)
        with tempfile.TemporaryDirectory(prefix="gitsync-check-") as scratch:
            mirror = Mirror(source, Path(scratch), lambda: source.access)
            try:
                head = await mirror.head()
            finally:
                await mirror.close()
    except GitsyncError as error:
        return of_error("repository", error)
    return Finding("repository", "ok", f"{redacted_url(source.url)} is at {head[:7]} ({source.wanted})")


def _line(finding: Finding) -> str:
    import sys

    from gitsync.cli.output import colours, one_line
    from gitsync.logs import redact

    mark, colour = _MARKS[finding.result]
    if colours(sys.stdout):
        mark = f"\x1b[{colour}m{mark}\x1b[0m"
    text = f"{mark} {one_line(redact(f'{finding.what}: {finding.text}'))}\n"
    return text + (f"  {one_line(redact(finding.hint))}\n" if finding.hint else "")
