"""What a document says, made of libyaml's events in one pass: its value, within bounds."""

from __future__ import annotations

from sys import intern
from typing import Any, Final, NamedTuple

from yaml import events as yaml_events

from gitsync.errors import YamlError
from gitsync.kubeyaml.libyaml import MERGE, error_at, events, is_merge_key, probable_cause
from gitsync.kubeyaml.limits import MAX_BYTES, MAX_DEPTH, MAX_NODES
from gitsync.kubeyaml.resolve import NULLS, Unresolved, is_text, key_of, value_of
from gitsync.text import shorten

_SCALAR: Final = yaml_events.ScalarEvent
_ALIAS: Final = yaml_events.AliasEvent
_STARTS: Final = (yaml_events.MappingStartEvent, yaml_events.SequenceStartEvent)
_ENDS: Final = (yaml_events.MappingEndEvent, yaml_events.SequenceEndEvent)
_MAX_KEY_SHOWN: Final = 63
#: What Kubernetes' parser allows aliases to be of all that it reads, once there is more of them than a few.
_ALIAS_SHARE, _FEW_STEPS, _FEW_ALIASED = 0.99, 1000, 100


class Composed(NamedTuple):
    """A document: its root's ``kind`` is mapping, sequence, scalar, or "" for nothing and null; ``start`` is its first
    character; ``value`` is None unless it is a mapping or a sequence."""

    kind: str
    start: int
    value: Any


def compose(text: str, *, unique_keys: bool = False, first_line: int = 1, only_first: bool = False) -> Composed:
    """The document ``text``, each alias counted as what it stands for. ``first_line`` is what messages count lines
    from; the errors' own places count within ``text``. ``only_first``: what comes after the first document is not
    looked at, as Helm does it with values.

    Raises: YamlError for what Kubernetes does not take as YAML, is over a bound, has a second document after the first,
    or, when ``unique_keys``, has the same key twice in a mapping; else the last one counts.
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
        elif only_first and kind is yaml_events.DocumentEndEvent:
            break
    walk.finish()
    return Composed(walk.kind, walk.start, walk.value)


class _Anchor:
    """What an anchor stands for, known once it is complete: its value and how many nodes, characters of scalars and
    levels it has. ``more`` is how many more steps than nodes it takes to read it."""

    __slots__ = ("chars", "complete", "event", "levels", "more", "nodes", "value")

    def __init__(self, event: Any) -> None:
        self.event = event
        self.value: Any = None
        self.complete = False
        self.nodes = self.chars = self.levels = self.more = 0


class _Frame:
    """A mapping or list that is open. ``places`` are where the keys of a mapping stand, as far as they are to be
    unique; ``key`` is the one whose value is due, None when a key is, or in a list. ``nodes``, ``chars`` and ``more``
    are those of the document above it; ``levels`` how many there are below it so far."""

    __slots__ = ("anchor", "chars", "event", "is_mapping", "key", "levels", "more", "nodes", "places", "value")

    def __init__(self, event: Any, is_mapping: bool, walk: _Walk, anchor: _Anchor | None) -> None:
        self.event = event
        self.is_mapping = is_mapping
        self.value: Any = {} if is_mapping else []
        self.key: str | None = None
        self.places: dict[str, Any] = {}
        self.nodes, self.chars, self.more = walk.nodes, walk.chars, walk.more
        self.levels = 0
        self.anchor = anchor


class _Walk:
    def __init__(self, text: str, unique_keys: bool, first_line: int) -> None:
        self.text = text
        self.first_line = first_line
        self.unique_keys = unique_keys
        self.kind = ""
        self.start = 0
        self.value: Any = None
        self.nodes = self.chars = 0
        #: Of the steps that Kubernetes' parser takes: one for each node and alias, none for what is merged by.
        self.more = self._aliased = 0
        self._too_many_aliased: Any = None
        self._documents = 0
        self._frames: list[_Frame] = []
        self._anchors: dict[str, _Anchor] = {}

    def document(self, event: Any) -> None:
        self._documents += 1
        if self._documents > 1:
            hint = "write a line of --- between documents; kubectl would silently leave this one out"
            raise self._error("a second document without a separator", event, hint=hint)
        if event.version not in (None, (1, 1)):
            raise self._error("a %YAML directive for another version than 1.1", event)

    def finish(self) -> None:
        """Raises what is only said of a document that is within the bounds."""
        if self._too_many_aliased is not None:
            raise self._error("aliases that stand for too much", self._too_many_aliased)

    def scalar(self, event: Any) -> None:
        self.nodes += 1
        self.chars += len(event.value)
        if self.nodes > MAX_NODES:
            self._bound(event)
        if event.style == '"' and "/" in event.value:
            self._refuse_slashes(event)
        if "?" in event.value and not event.style and self._frames and self._frames[-1].event.flow_style:
            # libyaml takes it; for Kubernetes' parser the question mark begins a key.
            hint = "quote it: Kubernetes' YAML takes no ? in it"
            raise self._error("a question mark in an unquoted text within brackets", event, hint=hint)
        anchor = None
        if event.anchor is not None:
            anchor = self._anchors[event.anchor] = _Anchor(event)
            anchor.complete, anchor.nodes, anchor.chars = True, 1, len(event.value)
        if not self._frames:
            if not event.implicit[0] or event.value not in NULLS:
                self.kind, self.start = "scalar", event.start_mark.index
            return
        frame = self._frames[-1]
        if frame.is_mapping and frame.key is None:
            self._key(frame, event, event)
            return
        value = self._value(event)
        if anchor is not None:
            anchor.value = value
        self._place(frame, value, event)

    def open(self, event: Any) -> None:
        is_mapping = type(event) is yaml_events.MappingStartEvent
        self.nodes += 1
        self._bound(event)
        if self._frames:
            self._not_a_key(event)
        else:
            self.kind, self.start = "mapping" if is_mapping else "sequence", event.start_mark.index
        anchor = None
        if event.anchor is not None:
            anchor = self._anchors[event.anchor] = _Anchor(event)
        frame = _Frame(event, is_mapping, self, anchor)
        if anchor is not None:
            anchor.value = frame.value
        self._frames.append(frame)
        self._bound_levels(event, 0)

    def close(self) -> None:
        frame = self._frames.pop()
        anchor = frame.anchor
        if anchor is not None:
            anchor.complete = True
            anchor.nodes = self.nodes - frame.nodes + 1
            anchor.chars = self.chars - frame.chars
            anchor.more = self.more - frame.more
            anchor.levels = frame.levels + 1
        if self._frames:
            parent = self._frames[-1]
            parent.levels = max(parent.levels, frame.levels + 1)
            self._place(parent, frame.value, frame.event)
        else:
            self.value = frame.value

    def alias(self, event: Any) -> None:
        anchor = self._anchors.get(event.anchor)
        if anchor is None:
            raise self._error("an alias of an anchor that is not defined above it", event)
        if not anchor.complete:
            raise self._error("an alias inside of its own anchor", event)
        self.nodes += anchor.nodes
        self.chars += anchor.chars
        self._bound(event)
        self._bound_levels(event, anchor.levels)
        self._bound_aliases(event, anchor)
        if not self._frames:
            return
        frame = self._frames[-1]
        frame.levels = max(frame.levels, anchor.levels)
        is_scalar = type(anchor.event) is _SCALAR
        if frame.is_mapping and frame.key is None:
            if not is_scalar:
                self._not_a_key(event)
            self._key(frame, anchor.event, event)
            return
        # A scalar that is first a key has no value yet.
        self._place(frame, self._value(anchor.event) if is_scalar else _copied(anchor.value), event)

    def _value(self, event: Any) -> Any:
        text: str = event.value
        is_plain = event.implicit[0]
        if event.tag is None and (not is_plain or is_text(text)):
            return text
        try:
            return value_of(event.tag, is_plain, text)
        except Unresolved as refusal:
            raise self._error(str(refusal), event) from None

    def _key(self, frame: _Frame, scalar: Any, place: Any) -> None:
        """``scalar`` is the key; ``place`` is itself, or its alias, which is never one to merge by."""
        if scalar is place and is_merge_key(scalar):  # Kubernetes takes several in one mapping
            self.more -= 1
            frame.key = MERGE
            return
        name = scalar.value
        if scalar.tag is not None or (scalar.implicit[0] and not is_text(name)):
            try:
                name = key_of(scalar.tag, scalar.implicit[0], name)
            except Unresolved as refusal:
                raise self._error(str(refusal), place) from None
        # One text for each name of a field, however many documents have it: all of them together are mostly a third of
        # what a manifest takes in memory.
        frame.key = name = intern(name)
        if self.unique_keys:
            if name in frame.places:
                first = self.first_line + self.text.count("\n", 0, frame.places[name].start_mark.index)
                shown = shorten(name, _MAX_KEY_SHOWN)
                raise self._error(f"the key {shown!r} is given twice, first on line {first}", place)
            frame.places[name] = place

    def _place(self, frame: _Frame, value: Any, event: Any) -> None:
        key = frame.key
        if not frame.is_mapping:
            frame.value.append(value)
        elif key is MERGE:
            self._merge(frame.value, value, event)
            frame.key = None
        else:
            frame.value[key] = value
            frame.key = None

    def _merge(self, mapping: dict[str, Any], value: Any, event: Any) -> None:
        """What is merged wins over what stands above it, and of a list the first."""
        is_list = isinstance(value, list) and type(event) is not _ALIAS
        self.more -= is_list
        items = reversed(value) if is_list else [value]
        for item in items:
            if not isinstance(item, dict):
                raise self._error("<< takes a mapping or a list of mappings", event)
            mapping.update(_copied(item))

    def _not_a_key(self, event: Any) -> None:
        frame = self._frames[-1]
        if frame.is_mapping and frame.key is None:
            hint = probable_cause(self.text, event.start_mark.index)
            raise self._error("a mapping or a list as a key", event, hint=hint)

    def _refuse_slashes(self, event: Any) -> None:
        """libyaml knows the escape of a slash, which Kubernetes' parser does not."""
        written = self.text[event.start_mark.index : event.end_mark.index]
        # No pattern that repeats a group: that takes memory for each time, which are millions.
        if "\\/" in written.replace("\\\\", ""):
            raise self._error("an escape that Kubernetes' YAML does not know", event)

    def _bound(self, event: Any) -> None:
        if self.nodes > MAX_NODES:
            raise self._error(f"more than {MAX_NODES:,} keys and values", event, hint=self._size_hint())
        if self.chars > MAX_BYTES:
            limit = MAX_BYTES // 1024 // 1024
            raise self._error(f"more than {limit} MiB of values", event, hint=self._size_hint())

    def _bound_levels(self, event: Any, below: int) -> None:
        if len(self._frames) + below > MAX_DEPTH:
            raise self._error(f"nested more than {MAX_DEPTH} levels deep", event)

    def _bound_aliases(self, event: Any, anchor: _Anchor) -> None:
        """As Kubernetes' parser counts what it reads because of aliases, against all that it reads."""
        self.more += anchor.more + 1
        self._aliased += anchor.nodes + anchor.more
        steps = 1 + self.nodes + self.more
        if self._aliased > _FEW_ALIASED and steps > _FEW_STEPS and self._aliased / steps > _ALIAS_SHARE:
            self._too_many_aliased = self._too_many_aliased or event

    def _size_hint(self) -> str:
        return "aliases count as what they stand for" if self._anchors else "split the file"

    def _error(self, message: str, event: Any, *, hint: str = "") -> YamlError:
        return error_at(self.text, event.start_mark.index, message, hint=hint)


def _copied(value: Any) -> Any:
    """The same, to be changed apart."""
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    return [_copied(item) for item in value] if isinstance(value, list) else value
