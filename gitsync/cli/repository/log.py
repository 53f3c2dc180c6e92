"""``gitsync log``: commits and what they did to the cluster."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from gitsync.cli.common.options import CONTEXT, with_settings
from gitsync.cli.common.output import as_json, one_line, print_error, write
from gitsync.settings import Settings

if TYPE_CHECKING:
    from gitsync.sync.history import JournalEntry

app = typer.Typer(add_completion=False, rich_markup_mode="rich", context_settings=CONTEXT)

Format = Literal["text", "json"]
Output = Annotated[Format, typer.Option("--output", "-o", help="Text, or JSON.")]
Most = Annotated[int, typer.Option("--max-count", "-n", min=1, help="How many commits to show, newest first.")]
Name = Annotated[str, typer.Option("--name", help="The sync to show.", show_default="gitsync")]
Commit = Annotated[str, typer.Argument(metavar="[COMMIT]", help="Only this commit, by its id or its beginning.")]


@app.command("log")
@with_settings("Cluster")
async def log(
    settings: Settings, commit: Commit = "", most: Most = 10, name: Name = "", output: Output = "text"
) -> None:
    """Show commits and what they did to the cluster, newest first; the record is kept in the cluster.

    Example:

        gitsync log -n 3
    """
    from gitsync.preview.compose import journal

    settings = settings.model_copy(update={"name": name}) if name else settings
    entries = [entry for entry in await journal(settings) if entry.commit.startswith(commit)][:most]
    if output == "json":
        write(as_json([asdict(entry) for entry in entries]))
    elif entries:
        write("\n".join(_text(entry) for entry in entries))
    else:
        asked = f"no commit {commit}" if commit else "no commit yet"
        print_error(f"sync {settings.name} in namespace {settings.namespace} has recorded {asked}")


def _text(entry: JournalEntry) -> str:
    when = datetime.fromtimestamp(entry.time, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    counts = ", ".join(f"{number} {name}" for name, number in entry.counts.items() if number)
    lines = [
        f"commit {entry.commit[:7]}  {when}  {entry.result} in {entry.took:.1f}s",
        "  " + one_line(f"{entry.author}: {entry.subject}"),
        f"  {counts or 'nothing to do'}",
    ]
    for change in entry.changes:
        notes = ", ".join(note for note in (change.origin, change.why) if note)
        lines.append(f"    {change.verb:<8} " + one_line(change.object + (f"  ({notes})" if notes else "")))
    if entry.more:
        lines.append(f"    and {entry.more} more")
    return "\n".join(lines) + "\n"
