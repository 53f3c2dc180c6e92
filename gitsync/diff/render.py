"""A difference as text: unified YAML, Secrets masked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any, Final, Literal

from gitsync.diff.normalise import normalised
from gitsync.diff.secret import folded, is_secret, mask, mask_whole
from gitsync.diff.yamltext import yaml_lines

if TYPE_CHECKING:
    from gitsync.api.identity import Manifest, ObjectKey

LineKind = Literal["@", " ", "-", "+"]

#: Unchanged lines shown around a change.
CONTEXT: Final = 3
#: Lines between the first and the last that differ, on one side, up to which the lines in between are matched. The
#: largest CRDs stay below it (0.1 s measured); beyond, a text made for it could take minutes.
_MATCHABLE: Final = 10_000

_Opcode = tuple[str, int, int, int, int]


@dataclass(frozen=True, slots=True)
class DiffLine:
    """A line to show: removed ("-"), added ("+"), around those (" "), or a heading ("@"): the object at first, then for
    each stretch its places as diff gives them (``@@ -3,7 +3,8 @@``).
    """

    kind: LineKind
    text: str

    def __str__(self) -> str:
        return self.text if self.kind == "@" else self.kind + self.text


def render_diff(
    before: Manifest | None, after: Manifest | None, key: ObjectKey, *, secret: bool = False
) -> list[DiffLine]:
    """The change from ``before`` to ``after`` (None: not there) as unified YAML; [] when nothing differs. ``secret``:
    no value of it is shown, whatever its kind.

    Left out are what the server sets and our bookkeeping (see ``normalised``) and fields that are null; a Secret's
    values are markers. Lines hold no control characters.
    """
    old, new = _lines(before, secret), _lines(after, secret)
    if old == new:
        return []
    verb = "created" if before is None else "deleted" if after is None else "changed"
    lines = [DiffLine("@", f"{key} {verb}")]
    for stretch in _stretches(_opcodes(old, new)):
        (_, old_from, _, new_from, _), (_, _, old_to, _, new_to) = stretch[0], stretch[-1]
        places = f"-{_range(old_from, old_to)} +{_range(new_from, new_to)}"
        lines.append(DiffLine("@", f"@@ {places} @@"))
        for tag, old_start, old_end, new_start, new_end in stretch:
            if tag == "equal":
                lines += [DiffLine(" ", text) for text in old[old_start:old_end]]
                continue
            lines += [DiffLine("-", text) for text in old[old_start:old_end]]
            lines += [DiffLine("+", text) for text in new[new_start:new_end]]
    return lines


def _lines(manifest: Manifest | None, secret: bool) -> list[str]:
    if manifest is None:
        return []
    shown = normalised(manifest, bookkeeping=True)
    if is_secret(shown):
        shown = folded(shown)
    elif secret:
        return yaml_lines(_without_nulls(mask_whole(shown)))
    free = shown.get("spec")
    values = free.get("values") if isinstance(free, dict) else None
    shown = _without_nulls(mask(shown))
    if isinstance(values, dict) and isinstance(shown.get("spec"), dict):
        shown["spec"]["values"] = values  # of a HelmRelease: null there takes away what the chart sets
    return yaml_lines(shown)


def _without_nulls(value: Any, depth: int = 0) -> Any:
    """A copy without the fields that are null, which is the same as not being there."""
    if depth > 100:  # not shown anyway
        return value
    if isinstance(value, dict):
        return {name: _without_nulls(item, depth + 1) for name, item in value.items() if item is not None}
    return [_without_nulls(item, depth + 1) for item in value] if isinstance(value, list) else value


def _opcodes(old: list[str], new: list[str]) -> list[_Opcode]:
    """How to get from old to new. Equal lines at both ends are put aside first, and a remainder too large to match is
    taken as replaced.
    """
    head = 0
    while head < min(len(old), len(new)) and old[head] == new[head]:
        head += 1
    tail = 0
    while tail < min(len(old), len(new)) - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    inner_old, inner_new = old[head : len(old) - tail], new[head : len(new) - tail]
    if max(len(inner_old), len(inner_new)) > _MATCHABLE:
        inner: list[_Opcode] = [("replace", 0, len(inner_old), 0, len(inner_new))]
    else:
        inner = list(SequenceMatcher(None, inner_old, inner_new).get_opcodes())
    codes: list[_Opcode] = [("equal", 0, head, 0, head)] if head else []
    codes += [(tag, a + head, b + head, c + head, d + head) for tag, a, b, c, d in inner]
    if tail:
        codes.append(("equal", len(old) - tail, len(old), len(new) - tail, len(new)))
    return codes


def _stretches(codes: list[_Opcode]) -> Iterator[list[_Opcode]]:
    """Changes that are near each other together, each with CONTEXT equal lines before and after."""
    stretch: list[_Opcode] = []
    for place, (tag, a, b, c, d) in enumerate(codes):
        if tag != "equal":
            stretch.append((tag, a, b, c, d))
            continue
        is_first, is_last = place == 0, place == len(codes) - 1
        before = 0 if is_last else CONTEXT
        after = 0 if is_first else CONTEXT
        if b - a <= before + after:
            stretch.append((tag, a, b, c, d))
            continue
        if after:
            stretch.append((tag, a, a + after, c, c + after))
            yield stretch
        stretch = [(tag, b - before, b, d - before, d)] if before else []
    if stretch:
        yield stretch


def _range(start: int, end: int) -> str:
    """``3,7``: the first line, counted from 1, and how many; as diff has it, the line before when there are none."""
    return f"{start + 1 if end > start else start},{end - start}"
