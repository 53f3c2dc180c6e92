"""``gitsync diff``: what differs between two commits, without a cluster."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from gitsync.cli.common.options import CONTEXT, with_settings
from gitsync.cli.common.output import as_json, one_line, print_error, progress, write
from gitsync.cli.repository.changes import change_data, write_changes
from gitsync.settings import Settings

if TYPE_CHECKING:
    from gitsync.preview.plan import Preview

app = typer.Typer(add_completion=False, rich_markup_mode="rich", context_settings=CONTEXT)

Format = Literal["text", "json"]
Output = Annotated[Format, typer.Option("--output", "-o", help="Differences to read, or JSON.")]
Old = Annotated[str, typer.Argument(metavar="OLD", help="A branch, tag or commit.", show_default=False)]
New = Annotated[str, typer.Argument(metavar="NEW", help="Another; HEAD when left out.", show_default=False)]

_DONE = {
    "create": "created",
    "change": "changed",
    "delete": "deleted",
    "hand over": "handed over",
    "keep": "kept",
}
_NAMES = "of a repository elsewhere, commits are named by their whole id"
_COMMIT_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


@app.command("diff")
@with_settings("Repository", "Git credentials", "Sync", leave_out=("branch", "tag", "commit", "interval", "once"))
async def diff(settings: Settings, old: Old, new: New = "HEAD", output: Output = "text") -> int:
    """Show what differs between two commits: manifests, what Kustomizations build of them, and releases rendered.

    Asks no cluster: charts see Helm's defaults where they ask for one, and values of ConfigMaps and Secrets that are
    not in the repository are left out. Without [bold]--repo[/] it reads the repository of this directory, where OLD and
    NEW may be whatever git takes for a commit. Exit code 0 when nothing differs, 2 when something does, 1 when
    something cannot be rendered.

    Example:

        gitsync diff origin/main HEAD --path clusters/prod
    """
    from gitsync.cli.repository.checkout import with_own_repository
    from gitsync.preview.compose import commit_difference

    settings = await asyncio.to_thread(with_own_repository, settings)
    before, after = await commit_id(settings, old), await commit_id(settings, new)
    with progress("rendering both commits"):
        result = await commit_difference(settings, before, after)
    if output == "json":
        problems = [asdict(problem) for problem in result.problems]
        data = {"old": before, "new": after, "objects": list(map(change_data, result.objects)), "problems": problems}
        write(as_json(data))
        return result.exit_code
    write_changes(result.objects)
    write(one_line(f"from {before[:7]} to {after[:7]}: {_counts(result)}") + "\n")
    for problem in result.problems:
        print_error(f"{problem.place}: {problem.message}", problem.hint)
    return result.exit_code


def _counts(result: Preview) -> str:
    verbs = Counter(item.verb for item in result.objects)
    counts = [f"{count} {_DONE.get(verb, verb)}" for verb, count in sorted(verbs.items())]
    return ", ".join([*counts, f"{result.unchanged} unchanged"])


async def commit_id(settings: Settings, revision: str) -> str:
    """The id of what people call a commit. Raises: GitRefused, GitRefMissing, GitUnavailable."""
    from gitsync.agent.parts import open_mirror
    from gitsync.cli.repository.checkout import resolved
    from gitsync.errors import GitRefMissing, GitRefused
    from gitsync.git.reference import GitReference
    from gitsync.git.source import redacted_url

    if _COMMIT_ID.fullmatch(revision):
        return revision
    if (found := await asyncio.to_thread(resolved, settings.repo, revision)) is not None:
        return found
    wanted = {} if revision == "HEAD" else {"branch": revision}
    try:
        GitReference(branch=revision)
    except GitRefused as error:  # HEAD~2, say: of this repository git would have known it
        raise GitRefMissing(f"there is no commit {revision!r} at {redacted_url(settings.repo)}", hint=_NAMES) from error
    for update in (wanted, {"tag": revision}):
        async with open_mirror(settings.model_copy(update=update)) as mirror:
            try:
                return await mirror.head()
            except GitRefMissing as error:
                if "tag" in update:
                    raise GitRefMissing(
                        f"there is no branch, tag or commit {revision!r} at {mirror.source.url}",
                        hint=_NAMES,
                    ) from error
    raise AssertionError("the loop returns or raises")
