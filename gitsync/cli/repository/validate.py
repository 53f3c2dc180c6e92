"""``gitsync validate``: a repository checked without a cluster."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from gitsync.cli.common.options import CONTEXT, with_settings
from gitsync.settings import Settings

if TYPE_CHECKING:
    from gitsync.cli.repository.checkout import Tree
    from gitsync.cli.repository.checks import Check, ManifestProblem
    from gitsync.manifests import Desired
    from gitsync.preview.order import CommitOrder

app = typer.Typer(add_completion=False, rich_markup_mode="rich", context_settings=CONTEXT)

Format = Literal["text", "json", "github", "gitlab", "sarif"]
Target = Annotated[
    str, typer.Argument(metavar="[TARGET]", help="A directory, or a repository's URL.", show_default="this directory")
]
Output = Annotated[
    Format,
    typer.Option(
        "--output", "-o", help="Lines as compilers write them, JSON, or the format of a service that shows them."
    ),
]
WithCharts = Annotated[bool, typer.Option("--charts/--no-charts", help="Ask chart repositories for the charts.")]

_LEFT_OUT = (
    "repo",
    "interval",
    "verify_keys",
    "default_service_account",
    "default_kubeconfig_service_account",
    "insecure_kubeconfig_exec",
    "insecure_kubeconfig_tls",
)


@app.command("validate")
@with_settings("Repository", "Git credentials", "Access", leave_out=_LEFT_OUT)
def validate(settings: Settings, target: Target = "", output: Output = "text", charts: WithCharts = True) -> None:
    """Check a repository without a cluster, as before a merge.

    Reads the working tree of a directory, or with a URL, --branch, --tag or --commit that commit of a repository, and
    checks syntax, fields, dependencies (cycles, missing ones) and whether the charts can be had. Problems are printed
    as file:line:column, or in the format of a service (docs/pipelines.md). Exit code 0 when there is no error, else 1;
    warnings are what could not be checked.

    Example:

        gitsync validate clusters/prod
    """
    raise typer.Exit(asyncio.run(_validate(settings, target, output, charts)))


async def _validate(settings: Settings, target: str, output: Format, with_charts: bool) -> int:
    from gitsync.cli.common.output import say, write
    from gitsync.cli.repository.annotations import FORMATS
    from gitsync.cli.repository.checkout import open_tree
    from gitsync.cli.repository.checks import (
        access_problems,
        claim_problems,
        expression_problems,
        graph_problems,
        kind_problems,
        manifest_problems,
        patch_problems,
    )
    from gitsync.preview.order import CommitOrder
    from gitsync.release.access import AccessRules

    async with open_tree(target, settings) as tree:
        desired, whole = await tree.whole(settings)
        order = CommitOrder(desired, whole.brought_by)
        rules = AccessRules(cross_namespace_refs=settings.cross_namespace_refs)
        found: dict[Check, Iterable[ManifestProblem]] = {
            "manifests": manifest_problems(desired),
            "dependencies": graph_problems(order),
            "access": access_problems(desired, rules),
            "patches": patch_problems(order),
            "release-names": claim_problems(desired),
            "kinds": kind_problems(desired),
            "expressions": await expression_problems(desired),
            "charts": await _chart_problems(settings, desired, tree.url) if with_charts else (),
        }
        problems = [replace(problem, check=check) for check, some in found.items() for problem in some]
    problems.sort(key=lambda problem: (problem.origin.path, problem.origin.line, problem.origin.column))
    errors = sum(problem.severity == "error" for problem in problems)
    if output == "json":
        _print_json(problems, errors, order, tree)
    elif output != "text":
        write(FORMATS[output](list(dict.fromkeys(problems))))  # a base is wrong in each Kustomization in the same way
    else:
        _print_text(problems, errors, order, tree)
        if why := whole.why_no_releases(desired):
            say(why)
    return 1 if errors else 0


async def _chart_problems(settings: Settings, desired: Desired, url: str) -> list[ManifestProblem]:
    from gitsync.cli.common.output import progress
    from gitsync.cli.repository.checks import ChartChecks, own_artifacts
    from gitsync.sources.commit import Brought, sources_of_commit
    from gitsync.sources.helm import ChartRepositories
    from gitsync.text import counted

    repositories = ChartRepositories(settings.state_dir / "charts", settings.source_timeout_limit)
    try:
        with progress(f"checking the charts of {counted(len(desired.helm_releases), 'release')}"):
            artifacts = await own_artifacts(desired, settings.name, url)
            locator = sources_of_commit(Brought.of(desired), artifacts, repositories).locator
            return await ChartChecks(desired, repositories, locator).problems()
    finally:
        await repositories.close()


def _print_json(problems: list[ManifestProblem], errors: int, order: CommitOrder, tree: Tree) -> None:
    from gitsync.cli.common.output import as_json, write

    desired = order.desired
    counts = {"files": desired.files, "objects": len(desired.objects)}
    counts |= {"kustomizations": len(order.kustomizations), "releases": len(desired.helm_releases)}
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


def _print_text(problems: list[ManifestProblem], errors: int, order: CommitOrder, tree: Tree) -> None:
    from gitsync.cli.common.output import one_line, say, write
    from gitsync.text import counted

    # A base or a component is in many Kustomizations, and wrong in each in the same way.
    lines = Counter(one_line(problem.line(tree)) for problem in problems)
    write("".join(f"{line} [{number} times]\n" if number > 1 else f"{line}\n" for line, number in lines.items()))
    found = f"{counted(errors, 'error')}, {counted(len(problems) - errors, 'warning')}"
    desired, kustomizations = order.desired, len(order.kustomizations)
    looked_at = [counted(desired.files, "file"), counted(len(desired.objects), "object")]
    looked_at += [counted(kustomizations, "Kustomization")] if kustomizations else []
    looked_at.append(counted(len(desired.helm_releases), "release"))
    say(f"{', '.join(looked_at)}: {found}")
