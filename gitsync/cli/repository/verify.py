"""``gitsync verify``: a commit applied for real, to a sandbox."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from gitsync.cli.common.durations import Timeout, seconds
from gitsync.cli.common.options import CONTEXT, with_settings
from gitsync.cli.common.output import as_json, colours, progress, say, write
from gitsync.cli.repository import verify_report
from gitsync.cli.repository.diff import commit_id
from gitsync.errors import SettingsError
from gitsync.settings import Settings

app = typer.Typer(add_completion=False, rich_markup_mode="rich", context_settings=CONTEXT)

Format = Literal["text", "markdown", "json"]
New = Annotated[str, typer.Argument(metavar="COMMIT", help="A branch, tag or commit.", show_default=True)]
Base = Annotated[str, typer.Option("--base", metavar="COMMIT", help="What is synced before, so that this is a change.")]
Output = Annotated[Format, typer.Option("--output", "-o", help="text, markdown (for a comment), or json.")]
Junit = Annotated[Path | None, typer.Option("--junit", metavar="PATH", help="Write a JUnit report there, too.")]


_LEFT_OUT = ("branch", "tag", "commit", "interval", "once", "verify_keys")


@app.command("verify")
@with_settings("Repository", "Git credentials", "Sync", leave_out=_LEFT_OUT)
async def verify(
    settings: Settings,
    commit: New = "HEAD",
    base: Base = "",
    output: Output = "text",
    junit: Junit = None,
    patience: Timeout = "2m",
) -> int:
    """Try a commit out: sync it to a sandbox, as before a merge, and say what becomes ready, and in which order.

    With [bold]--base[/] that commit is synced first, and what the other one changes is shown as well. Images are not
    pulled: every pod starts, so what is tried is manifests, charts, values, order and hooks. Values and logins out of
    Secrets that are not in the repository are missing here, too.

    Without [bold]--repo[/] it reads the repository of this directory. Exit code 0 when everything becomes ready.

    Example:

        gitsync verify HEAD --base origin/main --path clusters/prod -o markdown
    """
    from gitsync.cli.repository.checkout import with_own_repository
    from gitsync.preview import verify as verification
    from gitsync.preview.compose import commit_difference

    if junit is not None and not junit.parent.is_dir():
        raise _unwritable(junit, "there is no such directory")
    settings = await asyncio.to_thread(with_own_repository, settings)
    new = await commit_id(settings, commit)
    old = await commit_id(settings, base) if base else ""
    with progress(f"syncing {new[:7]} to a sandbox"):
        result = await verification.verify(settings, new, old, seconds(patience))
    changes = await commit_difference(settings, old, new) if old else None
    match output:
        case "text":
            write(verify_report.as_text(result, changes, colour=colours(sys.stdout)))
        case "markdown":
            write(verify_report.as_markdown(result, changes))
        case "json":
            write(as_json(verify_report.as_data(result, changes)))
    if junit is not None:
        try:
            await asyncio.to_thread(junit.write_text, verify_report.as_junit(result), "utf-8")
        except OSError as error:
            raise _unwritable(junit, error.strerror or str(error)) from None
        say(f"wrote {junit}")
    return 0 if result.passed else 1


def _unwritable(path: Path, why: str) -> SettingsError:
    return SettingsError(f"cannot write {path}: {why}", hint="--junit names a file in a directory that is there")
