"""How ``gitsync plan`` and ``gitsync diff`` show what changes, object by object."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from gitsync.cli.common.output import colours, one_line, write
from gitsync.text import BOLD, CYAN, GREEN, RED, painted, printable

if TYPE_CHECKING:
    from gitsync.preview.dryrun import ObjectPreview

_COLOURS = {"+": GREEN, "-": RED, "@": CYAN, " ": ""}
_MARKS = {"create": "+", "change": "~", "delete": "-", "hand over": ">", "keep": "=", "unknown": "?"}


def write_changes(objects: Iterable[ObjectPreview]) -> None:
    """To stdout: a heading for each object, and the lines that differ."""
    write(changes_text(objects, colour=colours(sys.stdout)))


def changes_text(objects: Iterable[ObjectPreview], *, colour: bool) -> str:
    """What ``write_changes`` writes, without credentials."""
    from gitsync.logs import redact

    lines = []
    for item in objects:
        lines.append(_heading(item, colour))
        lines += [painted(printable(redact(str(line))), _COLOURS[line.kind] if colour else "") for line in item.diff]
        if item.diff:
            lines.append("")
    return "".join(f"{line}\n" for line in lines)


def _heading(item: ObjectPreview, colour: bool) -> str:
    notes = [f"kustomization {item.kustomization}"] if item.kustomization else []
    notes += [f"release {item.release}"] if item.release else []
    notes += [note for note in (item.origin, item.why) if note]
    to = f" to {item.to}" if item.to else ""
    text = f"{_MARKS[item.verb]} {item.verb} {item.key}{to}" + (f"  ({', '.join(notes)})" if notes else "")
    return painted(one_line(text), BOLD if colour else "")


def change_data(item: ObjectPreview) -> dict[str, Any]:
    """As JSON."""
    return {
        "group": item.key.group,
        "kind": item.key.kind,
        "namespace": item.key.namespace,
        "name": item.key.name,
        "action": item.verb,
        "to": item.to,
        "kustomization": item.kustomization,
        "release": item.release,
        "origin": item.origin,
        "why": item.why,
        "diff": [str(line) for line in item.diff],
    }
