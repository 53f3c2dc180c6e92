"""``gitsync schema``: the JSON schemas by which editors and kubeconform check files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from gitsync.cli.common.options import CONTEXT
from gitsync.cli.common.output import object_as_json, say, write
from gitsync.errors import SettingsError
from gitsync.text import counted, listed

app = typer.Typer(add_completion=False, rich_markup_mode="rich", context_settings=CONTEXT)

#: The file beside those of single kinds that is for all of them.
ALL = "all.json"
Kind = Annotated[str, typer.Argument(metavar="[KIND]", help="A kind, such as HelmRelease.", show_default="all kinds")]
Directory = Annotated[
    Path | None,
    typer.Option("--directory", "-d", help="Write a file for each version of each kind, and all.json, into this one."),
]


@app.command("schema")
def schema(kind: Kind = "", directory: Directory = None) -> None:
    """Print the JSON schema of a kind, for editors and pipelines.

    Of all kinds together when none is named: objects of other kinds pass. With --directory, files are written as
    kubeconform looks for them: GROUP/KIND_VERSION.json.

    Example:

        gitsync schema HelmRelease
    """
    from gitsync.api.checking.jsonschema import any_kind, kind_schemas

    if directory is not None:
        files = {item.file: item.whole() for item in kind_schemas() if kind.lower() in ("", item.kind.lower())}
        _write(directory, files if kind else files | {ALL: any_kind()})
        return
    if not kind:
        write(object_as_json(any_kind()))
        return
    newest = {item.kind.lower(): item for item in reversed(list(kind_schemas()))}
    if kind.lower() not in newest:
        known = listed((item.kind for item in newest.values()), most=len(newest))
        raise SettingsError(f"there is no kind {kind!r}", setting="KIND", hint=f"it is one of {known}")
    write(object_as_json(newest[kind.lower()].whole()))


def _write(directory: Path, files: dict[str, dict[str, Any]]) -> None:
    for name, found in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(object_as_json(found), encoding="utf-8")
    say(f"{counted(len(files), 'schema')} in {directory}")
