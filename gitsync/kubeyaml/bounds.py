"""What is checked before goyaml sees a document: its bounds and its keys, in one pass over libyaml's events."""

from __future__ import annotations

from typing import Any, NamedTuple

from yaml import events as yaml_events

from gitsync.errors import YamlError
from gitsync.kubeyaml.goyaml import GoyamlRefusal, is_text, tagged_key
from gitsync.kubeyaml.libyaml import error_at, events, is_merge_key, probable_cause
from gitsync.kubeyaml.limits import MAX_BYTES, MAX_DEPTH, MAX_NODES, MAX_ODD_KEYS
from gitsync.text import shorten

_SCALAR = yaml_events.ScalarEvent
_ALIAS = yaml_events.AliasEvent
_STARTS = (yaml_events.MappingStartEvent, yaml_events.SequenceStartEvent)
_ENDS = (yaml_events.MappingEndEvent, yaml_events.SequenceEndEvent)
_MAX_KEY_SHOWN = 63
_NULLS = ("", "~", "null", "Null", "NULL")


class Root(NamedTuple):
    """A document's root: ``kind`` is mapping, sequence, scalar, or "" for nothing and null; ``start`` is the index of
    its first character."""

    kind: str
    start: int


def check_bounds(text: str, *, unique_keys: bool, first_line: int = 1) -> Root:
    """The root of the document ``text``, after its bounds are checked, each alias counted as what it stands for.
    ``first_line`` is what messages count lines from; the errors' own places count within ``text``.

    Raises: YamlError for what is no YAML, is over a bound, has a second document after the first, or, when
    ``unique_keys``, has the same key twice in a mapping.
    """
    walk = _Walk(text, unique_keys, first_line)
    for event in events(text, first_line=first_line):
        kind = type(event)
        if kind is _SCALAR:
            walk.scalar(event)
        elif kind in _ENDS:
            walk.close()
        elif kind in _STARTS:
            walk.open(event)
        elif kind is _ALIAS:
            walk.alias(event)
        elif kind is yaml_events.DocumentStartEvent:
            walk.document(event)
    return walk.root


class _Size:
    """What an anchor stands for: how many nodes, characters of scalars and levels, known once it is complete."""

    __slots__ = ("chars", "complete", "event", "levels", "nodes")

    def __init__(self, event: Any) -> None:
        self.event = event
        self.complete = False
        self.nodes = self.chars = self.levels = 0


class _Frame:
    """A mapping or list that is open. ``keys`` is None for a list; ``at_key`` tells that a key is due."""

    __slots__ = ("at_key", "chars", "keys", "levels", "nodes", "size")

    def __init__(self, is_mapping: bool, walk: _Walk, size: _Size | None) -> None:
        self.keys: dict[str, Any] | None = {} if is_mapping else None
        self.at_key = is_mapping
        self.nodes = walk.nodes
        self.chars = walk.chars
        self.levels = 0
        self.size = size


class _Walk:
    def __init__(self, text: str, unique_keys: bool, first_line: int) -> None:
        self.text = text
        self.first_line = first_line
        self.unique_keys = unique_keys
        self.root = Root("", 0)
        self.nodes = self.chars = 0
        self._documents = self._odd_keys = 0
        self._frames: list[_Frame] = []
        self._anchors: dict[str, _Size] = {}

    def document(self, event: Any) -> None:
        self._documents += 1
        if self._documents > 1:
            hint = "write a line of --- between documents; kubectl would silently leave this one out"
            raise self._error("a second document without a separator", event, hint=hint)

    def scalar(self, event: Any) -> None:
        self.nodes += 1
        self.chars += len(event.value)
        if self.nodes > MAX_NODES:
            self._bound(event)
        if event.anchor is not None:
            size = self._anchors[event.anchor] = _Size(event)
            size.complete, size.nodes, size.chars = True, 1, len(event.value)
        if not self._frames:
            if not event.implicit[0] or event.value not in _NULLS:
                self.root = Root("scalar", event.start_mark.index)
            return
        frame = self._frames[-1]
        if frame.at_key:
            frame.at_key = False
            if self.unique_keys and frame.keys is not None:
                self._key(frame.keys, event, event)
        elif frame.keys is not None:
            frame.at_key = True

    def open(self, event: Any) -> None:
        is_mapping = type(event) is yaml_events.MappingStartEvent
        self.nodes += 1
        self._bound(event)
        if self._frames:
            self._not_a_key(event)
        else:
            self.root = Root("mapping" if is_mapping else "sequence", event.start_mark.index)
        size = None
        if event.anchor is not None:
            size = self._anchors[event.anchor] = _Size(event)
        self._frames.append(_Frame(is_mapping, self, size))
        self._bound_levels(event, 0)

    def close(self) -> None:
        frame = self._frames.pop()
        if self._frames:
            self._frames[-1].levels = max(self._frames[-1].levels, frame.levels + 1)
        if frame.size is not None:
            frame.size.complete = True
            frame.size.nodes = self.nodes - frame.nodes + 1
            frame.size.chars = self.chars - frame.chars
            frame.size.levels = frame.levels + 1

    def alias(self, event: Any) -> None:
        size = self._anchors.get(event.anchor)
        if size is None:
            raise self._error("an alias of an anchor that is not defined above it", event)
        if not size.complete:
            raise self._error("an alias inside of what it stands for", event)
        self.nodes += size.nodes
        self.chars += size.chars
        self._bound(event)
        self._bound_levels(event, size.levels)
        if not self._frames:
            return
        frame = self._frames[-1]
        frame.levels = max(frame.levels, size.levels)
        if frame.at_key and type(size.event) is _SCALAR:
            frame.at_key = False
            if self.unique_keys and frame.keys is not None:
                self._key(frame.keys, size.event, event)
        else:
            self._not_a_key(event)

    def _not_a_key(self, event: Any) -> None:
        frame = self._frames[-1]
        if frame.at_key:
            hint = probable_cause(self.text, event.start_mark.index)
            raise self._error("a mapping or a list as a key", event, hint=hint)
        frame.at_key = frame.keys is not None

    def _key(self, keys: dict[str, Any], scalar: Any, place: Any) -> None:
        if is_merge_key(scalar):  # Kubernetes takes several in one mapping
            return
        name = scalar.value
        if scalar.tag is not None or (scalar.implicit[0] and not is_text(name)):
            self._odd_keys += 1
            if self._odd_keys > MAX_ODD_KEYS:
                raise self._error(f"more than {MAX_ODD_KEYS:,} unquoted keys that are numbers or such", place)
            try:
                name = tagged_key(scalar.tag or "", name)
            except GoyamlRefusal:
                raise self._error("a key that is neither text, a whole number nor a boolean", place) from None
        if name in keys:
            first = self.first_line + self.text.count("\n", 0, keys[name].start_mark.index)
            raise self._error(f"the key {shorten(name, _MAX_KEY_SHOWN)!r} is given twice, first on line {first}", place)
        keys[name] = place

    def _bound(self, event: Any) -> None:
        if self.nodes > MAX_NODES:
            raise self._error(f"more than {MAX_NODES:,} keys and values", event, hint=self._size_hint())
        if self.chars > MAX_BYTES:
            limit = MAX_BYTES // 1024 // 1024
            raise self._error(f"more than {limit} MiB of values", event, hint=self._size_hint())

    def _bound_levels(self, event: Any, below: int) -> None:
        if len(self._frames) + below > MAX_DEPTH:
            raise self._error(f"nested more than {MAX_DEPTH} levels deep", event)

    def _size_hint(self) -> str:
        return "aliases count as what they stand for" if self._anchors else "split the file"

    def _error(self, message: str, event: Any, *, hint: str = "") -> YamlError:
        return error_at(self.text, event.start_mark.index, message, hint=hint)
