"""``gitsync log``: commits and what they did to the cluster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from gitsync.cli.common.options import CONTEXT, with_settings
from gitsync.cli.common.output import as_json, one_line, print_error, write
from gitsync.live.commits import RecordedCommit, by_commit
from gitsync.settings import Settings
from gitsync.text import counted

if TYPE_CHECKING:
    from gitsync.preview.compose import Journals
    from gitsync.sync.storage.history import JournalEntry

app = typer.Typer(add_completion=False, rich_markup_mode="rich", context_settings=CONTEXT)

Format = Literal["text", "json"]
Output = Annotated[Format, typer.Option("--output", "-o", help="Text, or JSON.")]
Most = Annotated[int, typer.Option("--max-count", "-n", min=1, help="How many commits to show, newest first.")]
Name = Annotated[str, typer.Option("--name", help="The sync to show.", show_default="gitsync")]
Through = Annotated[
    str, typer.Option("--kustomization", metavar="NAMESPACE/NAME", help="Only what was done through this one.")
]
Commit = Annotated[str, typer.Argument(metavar="[COMMIT]", help="Only this commit, by its id or its beginning.")]


@app.command("log")
@with_settings("Cluster")
async def log(
    settings: Settings,
    commit: Commit = "",
    most: Most = 10,
    name: Name = "",
    kustomization: Through = "",
    output: Output = "text",
) -> int:
    """Show commits and what they did to the cluster, through which Kustomizations, newest first; the record is kept in
    the cluster.

    Exit code 1 when the record does not have the commit that is asked for.

    Example:

        gitsync log -n 3
    """
    from gitsync.preview.compose import read_journals

    settings = settings.model_copy(update={"name": name} if name else {})
    recorded = _recorded(await read_journals(settings), kustomization)
    found = [item for item in recorded if item.first.commit.startswith(commit)][:most]
    if commit and not found:
        there = f"it has {counted(len(recorded), 'commit')}: gitsync log -n {len(recorded)}" if recorded else ""
        print_error(f"error: {_recorder(settings, kustomization)} has recorded no commit {commit}", there)
        return 1
    if output == "json":
        write(as_json([_data(item) for item in found]))
    elif found:
        write("\n".join("".join(f"{line}\n" for line in _lines(item)) for item in found))
    else:
        print_error(f"{_recorder(settings, kustomization)} has recorded no commit yet")
    return 0


def _recorded(journals: Journals, kustomization: str) -> Sequence[RecordedCommit]:
    """The recorded commits of the sync and its Kustomizations, or of one Kustomization alone."""
    through = journals.kustomizations
    if kustomization:
        return by_commit((), {kustomization: through.get(kustomization, ())})
    return by_commit(journals.root, through)


def _recorder(settings: Settings, kustomization: str) -> str:
    sync = f"sync {settings.name} in namespace {settings.namespace}"
    return f"{sync}, through Kustomization {kustomization}," if kustomization else sync


def _data(item: RecordedCommit) -> dict[str, Any]:
    through = {name: asdict(entry) for name, entry in item.through.items()}
    if item.root is not None:
        return {**asdict(item.root), "kustomizations": through}
    first = item.first
    return {"commit": first.commit, "author": first.author, "subject": first.subject, "kustomizations": through}


def _lines(item: RecordedCommit) -> Iterator[str]:
    first, root = item.first, item.root
    when = datetime.fromtimestamp(first.time, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    yield one_line(f"commit {first.commit[:7]}  {when}" + (f"  {_ended(root)}" if root is not None else ""))
    yield "  " + one_line(f"{first.author}: {first.subject}")
    if root is not None:
        yield f"  {_counts(root)}"
        if root.result == "held" and root.why:
            yield "  " + one_line(f"held until it is confirmed: {root.why}")
        yield from _changes(root)
    for name, entry in item.through.items():
        yield "  " + one_line(f"through kustomization {name}: {_ended(entry)}, {_counts(entry)}")
        yield from _changes(entry)


def _ended(entry: JournalEntry) -> str:
    why = f" ({entry.why})" if entry.result == "superseded" and entry.why else ""
    return f"{entry.result} in {entry.took:.1f}s{why}"


def _counts(entry: JournalEntry) -> str:
    return ", ".join(f"{number} {name}" for name, number in entry.counts.items() if number) or "nothing to do"


def _changes(entry: JournalEntry) -> Iterator[str]:
    for change in entry.changes:
        notes = ", ".join(note for note in (change.origin, change.why) if note)
        yield f"    {change.verb:<8} " + one_line(change.object + (f"  ({notes})" if notes else ""))
    if entry.more:
        yield f"    and {entry.more} more"
