"""``gitsync plan``: what the head of the repository would do to the cluster."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from gitsync.cli.common.options import CONTEXT, with_settings
from gitsync.cli.common.output import as_json, one_line, print_error, progress, write
from gitsync.cli.repository.changes import change_data, write_changes
from gitsync.settings import Settings
from gitsync.text import counted

if TYPE_CHECKING:
    from gitsync.preview.dryrun import Effect
    from gitsync.preview.plan import Preview

app = typer.Typer(add_completion=False, rich_markup_mode="rich", context_settings=CONTEXT)

#: The effects that are changes, in the order in which the summary counts them.
_CHANGING: tuple[Effect, ...] = ("create", "change", "delete", "hand over")
Format = Literal["text", "json"]
Output = Annotated[Format, typer.Option("--output", "-o", help="Differences to read, or JSON.")]


@app.command("plan")
@with_settings("Repository", "Git credentials", "Cluster", "Sync", "Access", leave_out=("interval", "once"))
async def plan(settings: Settings, output: Output = "text") -> int:
    """Show what the repository would change in the cluster, down to what Kustomizations and releases bring; change
    nothing.

    The API server is asked for every object what would come out of it (a dry run), and the difference to what is there
    now is shown; values of Secrets are masked. Exit code 0 when nothing would change, 2 when something would, 1 when
    something stands in the way.

    Example:

        gitsync plan --repo https://git.example/fleet.git --branch main --path clusters/prod
    """
    from gitsync.preview.compose import preview

    with progress("comparing the repository with the cluster"):
        result = await preview(settings)
    if output == "json":
        write(as_json(_data(result)))
    else:
        _print(result)
    return result.exit_code


def _print(result: Preview) -> None:
    write_changes(result.objects)
    write(_summary(result) + "\n")
    if result.no_releases:
        write(one_line(f"There is {result.no_releases}.") + "\n")
    for release, text in result.drifted.items():
        write(one_line(f"Drift: {release.namespaced_name}: {text}.") + "\n")
    if result.prune_skipped:
        write(f"Nothing would be deleted: {result.prune_skipped}.\n")
    for name, why in result.unpruned.items():
        write(one_line(f"Kustomization {name} would delete nothing of what left Git: {why}.") + "\n")
    if result.held:
        write(f"The commit would be held until it is confirmed: {result.held}.\n")
    for problem in result.problems:
        print_error(f"{problem.place}: {problem.message}", problem.hint)


def _summary(result: Preview) -> str:
    verbs = Counter(item.verb for item in result.objects)
    commit = result.commit
    said = f"commit {commit.short} by {commit.author}: {commit.subject}"
    kept = [f"{verbs['keep']} kept"] if verbs["keep"] else []
    if not result.changing and not result.problems:
        counts = ", ".join([*kept, f"{result.unchanged} objects are as they should be"])
        return one_line(f"{said} changes nothing ({counts}).")
    changes = [f"{verbs[verb]} to {verb}" for verb in _CHANGING if verbs[verb]]
    changes += [f"{verbs['unknown']} that the API server refuses"] if verbs["unknown"] else []
    problems = [counted(len(result.problems), "problem")] if result.problems else []
    return one_line(f"{said}: {', '.join([*problems, *changes, *kept, f'{result.unchanged} unchanged'])}.")


def _data(result: Preview) -> dict[str, Any]:
    commit = result.commit
    return {
        "commit": {"id": commit.id, "author": commit.author, "subject": commit.subject},
        "objects": [change_data(item) for item in result.objects],
        "unchanged": result.unchanged,
        "drifted": [
            {"namespace": key.namespace, "name": key.name, "message": text} for key, text in result.drifted.items()
        ],
        "held": result.held,
        "no_releases": result.no_releases,
        "prune_skipped": result.prune_skipped,
        "unpruned": dict(result.unpruned),
        "problems": [asdict(problem) for problem in result.problems],
    }
