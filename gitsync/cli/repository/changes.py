"""How ``gitsync plan`` and ``gitsync diff`` show what changes, object by object."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from gitsync.cli.common.output import colours, one_line, write
from gitsync.text import BOLD, CYAN, GREEN, RED, counted, listed, painted, printable

if TYPE_CHECKING:
    from gitsync.preview.dryrun import ObjectPreview

_COLOURS = {"+": GREEN, "-": RED, "@": CYAN, " ": ""}
_MARKS = {"create": "+", "change": "~", "delete": "-", "hand over": ">", "keep": "=", "unknown": "?"}

#: The name of a version among those of a definition, as differences are written.
_VERSION = re.compile(r"^  (?:  |- )name: (\S+)$")


def write_changes(objects: Iterable[ObjectPreview]) -> None:
    """To stdout: a heading for each object, and the lines that differ."""
    write(changes_text(objects, colour=colours(sys.stdout)))


def changes_text(objects: Iterable[ObjectPreview], *, colour: bool) -> str:
    """What ``write_changes`` writes, without credentials. A CustomResourceDefinition that comes or goes as a whole is
    one line: they have thousands each, which nobody reads."""
    from gitsync.logs import redact

    lines = []
    for item in objects:
        lines.append(_heading(item, colour))
        shown = () if _is_whole_definition(item) else item.diff
        lines += [painted(printable(redact(str(line))), _COLOURS[line.kind] if colour else "") for line in shown]
        if shown:
            lines.append("")
    return "".join(f"{line}\n" for line in lines)


def _heading(item: ObjectPreview, colour: bool) -> str:
    notes = [f"kustomization {item.kustomization}"] if item.kustomization else []
    notes += [f"release {item.release}"] if item.release else []
    notes += [note for note in (item.origin, item.why) if note]
    notes += [_in_short(item)] if _is_whole_definition(item) else []
    to = f" to {item.to}" if item.to else ""
    text = f"{_MARKS[item.verb]} {item.verb} {item.key}{to}" + (f"  ({', '.join(notes)})" if notes else "")
    return painted(one_line(text), BOLD if colour else "")


def _is_whole_definition(item: ObjectPreview) -> bool:
    """Whether a CustomResourceDefinition comes or goes."""
    is_definition = item.key.group == "apiextensions.k8s.io" and item.key.kind == "CustomResourceDefinition"
    return is_definition and item.verb in ("create", "delete") and bool(item.diff)


def _in_short(item: ObjectPreview) -> str:
    """``versions v1beta1, v1: 1,234 lines, all of them with -o json``."""
    lines = [line.text for line in item.diff if line.kind != "@"]
    begin = lines.index("  versions:") + 1 if "  versions:" in lines else len(lines)
    versions = [found[1] for line in lines[begin:] if (found := _VERSION.match(line))]
    named = f"version{'s' if len(versions) > 1 else ''} {listed(versions)}: " if versions else ""
    return f"{named}{counted(len(lines), 'line')}, all of them with -o json"


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
