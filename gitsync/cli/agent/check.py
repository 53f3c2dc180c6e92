"""``gitsync check``: what is missing for an agent, and how to fix it."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from gitsync.cli.common.liveobject import connected
from gitsync.cli.common.options import CONTEXT, with_settings
from gitsync.cli.common.output import as_json, colours, one_line, write
from gitsync.errors import GitsyncError
from gitsync.settings import Settings
from gitsync.text import GREEN, RED, YELLOW, painted

if TYPE_CHECKING:
    from gitsync.install.checks import Finding

app = typer.Typer(add_completion=False, rich_markup_mode="rich", context_settings=CONTEXT)

Pre = Annotated[bool, typer.Option("--pre", help="Before an installation: only what must be there already.")]
Sources = Annotated[
    bool, typer.Option("--sources/--no-sources", help="Try whether the servers of sources can be reached.")
]
Format = Literal["text", "json"]
Output = Annotated[Format, typer.Option("--output", "-o", help="Lines to read, or JSON.")]

#: Settings about releases, which change nothing of what the agent itself needs.
_ACCESS_ELSEWHERE = (
    "allow_remote_bases",
    "default_service_account",
    "default_kubeconfig_service_account",
    "cross_namespace_refs",
    "sops_age_secret",
    "insecure_kubeconfig_exec",
    "insecure_kubeconfig_tls",
)
_MARKS = {"ok": ("✔", GREEN), "warning": ("!", YELLOW), "failed": ("✗", RED)}


@app.command("check")
@with_settings(
    "Repository", "Git credentials", "Cluster", "Access", leave_out=("state_dir", "interval", *_ACCESS_ELSEWHERE)
)
async def check(settings: Settings, pre: Pre = False, sources: Sources = True, output: Output = "text") -> int:
    """Look at everything that an agent needs: programs, the API server, rights, definitions, the repository, sources.

    Says of each thing what is wrong and how to fix it. Exit code 1 when something is missing that an agent cannot run
    without.

    Example: gitsync check --repo https://git.example/fleet.git --branch main
    """
    found = []
    async for finding in _findings(settings, pre, sources):
        found.append(finding)
        if output == "text":
            write(_line(finding))
    if output == "json":
        write(as_json([asdict(finding) for finding in found]))
    return int(any(finding.result == "failed" for finding in found))


async def _findings(settings: Settings, pre: bool, sources: bool) -> AsyncIterator[Finding]:
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
            if sources and not pre:
                from gitsync.install import reach

                async for finding in reach.sources(cluster, settings.watch_namespace, settings.default_service_account):
                    yield finding
    except GitsyncError as error:
        yield checks.of_error("cluster", error)


async def _repository(settings: Settings) -> Finding:
    import tempfile
    from pathlib import Path

    from gitsync.agent.parts import open_mirror
    from gitsync.git import redacted_url
    from gitsync.install.checks import Finding, of_error

    try:
        with tempfile.TemporaryDirectory(prefix="gitsync-check-") as scratch:
            async with open_mirror(settings, Path(scratch)) as mirror:
                head, source = await mirror.head(), mirror.source
    except GitsyncError as error:
        return of_error("repository", error)
    return Finding("repository", "ok", f"{redacted_url(source.url)} is at {head[:7]} ({source.wanted})")


def _line(finding: Finding) -> str:
    mark, colour = _MARKS[finding.result]
    text = f"{painted(mark, colour if colours(sys.stdout) else '')} {one_line(f'{finding.what}: {finding.text}')}\n"
    return text + (f"  {one_line(finding.hint)}\n" if finding.hint else "")
