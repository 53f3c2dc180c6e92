"""``gitsync validate``: a repository checked without a cluster."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from gitsync.cli.common.options import CONTEXT, with_settings
from gitsync.settings import Settings

if TYPE_CHECKING:
    from gitsync.cli.repository.checkout import Tree
    from gitsync.cli.repository.checks import Problem
    from gitsync.manifests import Desired

app = typer.Typer(add_completion=False, rich_markup_mode="rich", context_settings=CONTEXT)

Format = Literal["text", "json"]
Target = Annotated[
    str, typer.Argument(metavar="[TARGET]", help="A directory, or a repository's URL.", show_default="this directory")
]
Output = Annotated[Format, typer.Option("--output", "-o", help="Lines as compilers write them, or JSON.")]
WithCharts = Annotated[bool, typer.Option("--charts/--no-charts", help="Ask chart repositories for the charts.")]

_LEFT_OUT = (
    "repo",
    "interval",
    "default_service_account",
    "insecure_kubeconfig_exec",
    "insecure_kubeconfig_tls",
)


@app.command("validate")
@with_settings("Repository", "Git credentials", "Access", leave_out=_LEFT_OUT)
def validate(settings: Settings, target: Target = "", output: Output = "text", charts: WithCharts = True) -> None:
    """Check a repository without a cluster, as before a merge.

    Reads the working tree of a directory, or with a URL, --branch, --tag or --commit that commit of a repository, and
    checks syntax, fields, dependencies (cycles, missing ones) and whether the charts can be had. Problems are printed
    as file:line:column. Exit code 0 when there is no error, else 1; warnings are what could not be checked.

    Example:

        gitsync validate clusters/prod
    """
    raise typer.Exit(asyncio.run(_validate(settings, target, output, charts)))


async def _validate(settings: Settings, target: str, output: Format, with_charts: bool) -> int:
    from gitsync.cli.repository.checkout import open_tree
    from gitsync.cli.repository.checks import (
        access_problems,
        claim_problems,
        expression_problems,
        graph_problems,
        manifest_problems,
    )
    from gitsync.release.access import AccessRules

    async with open_tree(target, settings) as tree:
        desired = await tree.desired(settings)
        rules = AccessRules(cross_namespace_refs=settings.cross_namespace_refs)
        problems = [*manifest_problems(desired), *graph_problems(desired), *access_problems(desired, rules)]
        problems += [*claim_problems(desired), *await expression_problems(desired)]
        if with_charts:
            problems += await _chart_problems(settings, desired)
    problems.sort(key=lambda problem: (problem.origin.path, problem.origin.line, problem.origin.column))
    errors = sum(problem.severity == "error" for problem in problems)
    if output == "json":
        _print_json(problems, errors, desired, tree)
    else:
        _print_text(problems, errors, desired, tree)
    return 1 if errors else 0


async def _chart_problems(settings: Settings, desired: Desired) -> list[Problem]:
    from gitsync.cli.common.output import progress
    from gitsync.cli.repository.checks import ChartChecks, own_artifacts
    from gitsync.sources.helm import ChartRepositories
    from gitsync.sources.locator import ChartLocator
    from gitsync.sources.repositories import CommitHelmRepositories

    repositories = ChartRepositories(settings.state_dir / "charts")
    try:
        with progress(f"checking the charts of {len(desired.helm_releases)} releases"):
            artifacts = await own_artifacts(desired, settings.name)
            found = CommitHelmRepositories(repositories, desired.helm_repositories)
            return await ChartChecks(desired, repositories, ChartLocator(found, artifacts, repositories)).problems()
    finally:
        await repositories.close()


def _print_json(problems: list[Problem], errors: int, desired: Desired, tree: Tree) -> None:
    from gitsync.cli.common.output import as_json, write

    counts = {"files": desired.files, "objects": len(desired.objects), "releases": len(desired.helm_releases)}
    write(
        as_json(
            {
                "valid": not errors,
                "commit": desired.commit.id or None,
                **counts,
                "problems": [problem.data(tree) for problem in problems],
            }
        )
    )


def _print_text(problems: list[Problem], errors: int, desired: Desired, tree: Tree) -> None:
    from gitsync.cli.common.output import one_line, write

    write("".join(one_line(problem.line(tree)) + "\n" for problem in problems))
    found = f"{_count(errors, 'error')}, {_count(len(problems) - errors, 'warning')}"
    looked_at = ", ".join(
        [
            _count(desired.files, "file"),
            _count(len(desired.objects), "object"),
            _count(len(desired.helm_releases), "release"),
        ]
    )
    print(f"{looked_at}: {found}", file=sys.stderr)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
