"""What differs, object by object, as a page shows it: bounded, and without what looks like a secret. Pure.

Secrets come masked, as the commands have them. A page is looked at by more than one person, so that what is called a
secret in other objects (values, variables of containers, texts of ConfigMaps) is masked here as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from gitsync.api.identity import CommitInfo, ObjectKey
from gitsync.web.ui.values import MASK, says_secret

#: Objects of a page, lines of one of them and of all, characters of a line.
MOST_OBJECTS: Final = 300
MOST_LINES: Final = 400
_MOST_IN_ALL: Final = 5000
_MOST_TEXT: Final = 400
#: Kubernetes' own fields, which say where a secret is and not what.
_WHERE: Final = frozenset(
    {
        "secretkeyref",
        "secretref",
        "secretname",
        "secret",
        "secrets",
        "secretkey",
        "imagepullsecrets",
        "serviceaccounttoken",
        "tokenexpirationseconds",
        "tokenrequests",
        "automountserviceaccounttoken",
    }
)
_FIELD: Final = re.compile(
    r"(?P<indent> *(?:- +)*)(?P<name>\"[^\"]*\"|'[^']*'|[^\s:#\"'{\[-][^:]*?):(?: +(?P<value>.*))?"
)
#: ``--password=x``, ``db.password: x``, in the middle of a text.
_INSIDE: Final = re.compile(r"([A-Za-z0-9_.-]+)(\s?[=:]\s?)(?!//)([^\s\"',;&]+)")
_ITEM: Final = re.compile(r"(?P<indent> *- +)(?P<rest>.*)")
#: Kinds in which people write values.
_WITH_VALUES: Final = ("HelmRelease", "Values")
_SAYS_NOTHING: Final = frozenset({"true", "false", "null", "~", "", "''", '""', "{}", "[]"})
#: What follows is below: a block of text, or fields.
_BELOW: Final = re.compile(r"[|>][+-]?\d*|")


class DiffText(Protocol):
    """A line of a difference: removed "-", added "+", around those " ", or a heading "@"."""

    @property
    def kind(self) -> str: ...

    @property
    def text(self) -> str: ...


class ChangedObject(Protocol):
    """What becomes of an object, as ``gitsync plan`` and ``gitsync diff`` have it."""

    @property
    def key(self) -> ObjectKey: ...
    @property
    def verb(self) -> str: ...
    @property
    def diff(self) -> Sequence[DiffText]: ...
    @property
    def origin(self) -> str: ...
    @property
    def release(self) -> str: ...
    @property
    def kustomization(self) -> str: ...
    @property
    def why(self) -> str: ...
    @property
    def to(self) -> str: ...


class Hindrance(Protocol):
    """What stands in the way of a commit: where, what, and what would help."""

    @property
    def place(self) -> str: ...
    @property
    def message(self) -> str: ...
    @property
    def hint(self) -> str: ...


class Differing(Protocol):
    """What differs, and how many objects do not."""

    @property
    def objects(self) -> Sequence[ChangedObject]: ...
    @property
    def unchanged(self) -> int: ...


class Compared(Differing, Protocol):
    """What comes of a commit."""

    @property
    def commit(self) -> CommitInfo: ...
    @property
    def objects(self) -> Sequence[ChangedObject]: ...
    @property
    def problems(self) -> Sequence[Hindrance]: ...
    @property
    def unchanged(self) -> int: ...
    @property
    def held(self) -> str: ...
    @property
    def prune_skipped(self) -> str: ...


@dataclass(frozen=True, slots=True)
class ShownLine:
    """A line as it is shown."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Changed:
    """An object as it is shown; ``more`` lines are left out. ``notes`` say what it comes by and what is unusual."""

    key: ObjectKey
    verb: str
    lines: Sequence[ShownLine]
    more: int
    origin: str
    notes: Sequence[str]


@dataclass(frozen=True, slots=True)
class Problem:
    """What stands in the way."""

    place: str
    message: str
    hint: str


@dataclass(frozen=True, slots=True)
class Changes:
    """What a page shows of a comparison; ``more`` objects are left out. ``notes`` say what holds for all of it."""

    objects: Sequence[Changed]
    more: int
    unchanged: int
    problems: Sequence[Problem] = ()
    notes: Sequence[str] = ()
    commit: CommitInfo | None = None

    @property
    def counts(self) -> Sequence[tuple[str, int]]:
        """How many objects have which verb, in the order of the page."""
        verbs = [item.verb for item in self.objects]
        return [(verb, verbs.count(verb)) for verb in dict.fromkeys(verbs)]


def shown(found: Compared) -> Changes:
    """The part of what comes of a commit that a page shows."""
    problems = [Problem(item.place, item.message, item.hint) for item in found.problems[:MOST_OBJECTS]]
    notes = [f"Nothing is deleted: {found.prune_skipped}."] if found.prune_skipped else []
    notes += [f"The commit is held until it is confirmed: {found.held}."] if found.held else []
    return replace(shown_objects(found), problems=problems, notes=notes, commit=found.commit)


def shown_objects(found: Differing) -> Changes:
    """The part of a comparison that a page shows."""
    left = _MOST_IN_ALL
    objects = []
    for item in found.objects[:MOST_OBJECTS]:
        lines = masked(item.diff, in_values=item.key.kind in _WITH_VALUES)[: min(MOST_LINES, left)]
        left -= len(lines)
        more = len(item.diff) - len(lines)
        objects.append(Changed(item.key, item.verb, lines, more, item.origin, list(_notes(item))))
    return Changes(objects, max(len(found.objects) - MOST_OBJECTS, 0), found.unchanged)


def _notes(item: ChangedObject) -> Iterable[str]:
    if item.to:
        yield f"to {item.to}"
    if item.kustomization:
        yield f"by Kustomization {item.kustomization}"
    if item.release:
        yield f"of release {item.release}"
    if item.why:
        yield item.why


def masked(lines: Iterable[DiffText], *, in_values: bool = False) -> list[ShownLine]:
    """Lines of YAML without what names say to be secret; ``in_values``: they are somebody's values, in which
    Kubernetes' own fields have no special meaning."""
    sides = {"-": _Masking(in_values), "+": _Masking(in_values)}
    found = []
    for line in lines:
        if line.kind == "@":
            sides = {"-": _Masking(in_values), "+": _Masking(in_values)}
            found.append(ShownLine("@", line.text))
            continue
        # A line around the changes is one of both sides.
        texts = [sides[kind].masked(line.text) for kind in (line.kind if line.kind != " " else "-+")]
        found.append(ShownLine(line.kind, texts[-1][:_MOST_TEXT]))
    return found


class _Masking:
    """One side of a difference, line by line from above."""

    def __init__(self, in_values: bool) -> None:
        self._in_values = in_values
        #: How far the field is indented whose whole content is masked.
        self._below: int | None = None
        #: How far the fields are indented of an item with a ``name`` that says secret: its ``value`` is masked.
        self._item: int | None = None

    def masked(self, text: str) -> str:
        found = _FIELD.fullmatch(text)
        indent = len(found["indent"]) if found is not None else len(text) - len(text.lstrip(" "))
        dash = len(text) - len(text.lstrip(" "))
        if self._below is not None and (
            indent > self._below or (text.lstrip().startswith("- ") and dash >= self._below)
        ):
            return self._hidden(text, found)
        self._below = None
        if found is None:
            return _inside(text)
        return self._field(text, found, indent)

    def _field(self, text: str, found: re.Match[str], indent: int) -> str:
        name, value = found["name"].strip("\"'"), found["value"] or ""
        if "-" in found["indent"] or (self._item is not None and indent < self._item):
            self._item = None
        if name == "name" and self._says_secret(value.strip("\"'")):
            self._item = indent
        if not self._says_secret(name) and not (name == "value" and indent == self._item):
            return text if not value else text[: found.start("value")] + _inside(value)
        if _BELOW.fullmatch(value):
            self._below = indent
            return text
        return self._hidden(text, found)

    def _hidden(self, text: str, found: re.Match[str] | None) -> str:
        if found is not None:
            value = found["value"] or ""
            if value in _SAYS_NOTHING or value.startswith("masked:") or _BELOW.fullmatch(value):
                return text
            return text[: found.start("value")] + MASK
        item = _ITEM.fullmatch(text)
        return (item["indent"] if item is not None else " " * (len(text) - len(text.lstrip(" ")))) + MASK

    def _says_secret(self, name: str) -> bool:
        return says_secret(name) and (self._in_values or name.lower() not in _WHERE)


def _inside(text: str) -> str:
    def hidden(match: re.Match[str]) -> str:
        is_secret = says_secret(match[1]) and match[1].lower().lstrip("-") not in _WHERE
        return match[1] + match[2] + MASK if is_secret and match[3] not in _SAYS_NOTHING else match[0]

    return _INSIDE.sub(hidden, text)
