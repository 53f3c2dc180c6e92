"""Where in a document's text each of its fields is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from yaml import events as yaml_events

from gitsync.errors import YamlError
from gitsync.kubeyaml.jsontext import may_be_json, readable_as_yaml
from gitsync.kubeyaml.libyaml import events, is_merge_key
from gitsync.kubeyaml.limits import MAX_DEPTH
from gitsync.kubeyaml.resolve import Unresolved, key_of

if TYPE_CHECKING:
    from collections.abc import Sequence

_MERGE = "<<\0"  # no key can be called that


class _Node:
    """A value that begins at the character ``index``.

    ``children`` are the values in a mapping, by key, or in a list, each with the character where its key or itself
    begins; None for a scalar. ``merged`` are the values of merge keys.
    """

    __slots__ = ("children", "index", "merged")

    def __init__(self, index: int) -> None:
        self.index = index
        self.children: dict[str, tuple[int, _Node]] | list[tuple[int, _Node]] | None = None
        self.merged: list[_Node] = []


class Positions:
    """The places of a document's fields. Paths are those of the value: ``("spec", "dependsOn", 0)``."""

    def __init__(self, text: str, root: _Node | None) -> None:
        self._text = text
        self._root = root
        self._last = (0, 1)  # a character and its line, from which to count: the next place is most often near

    def find(self, path: Sequence[str | int]) -> tuple[int, int]:
        """Line and column, 1-based: of the key for a mapping's field, of the value for a list's item. For a path that
        is not there, the place of the deepest part of it that is. Fields that came by an alias or a merge key are
        found where they are written."""
        if self._root is None:
            return 1, 1
        node, index = self._root, self._root.index
        for part in path:
            step = _step(node, part)
            if step is None:
                break
            index, node = step
        counted, line = self._last
        line += self._text.count("\n", counted, index) - self._text.count("\n", index, counted)
        self._last = (index, line)
        return line, index - self._text.rfind("\n", 0, index)


def positions(text: str) -> Positions:
    """The places in one document's text. Never raises: what cannot be read as YAML has no places."""
    if may_be_json(text):
        readable = readable_as_yaml(text)
        return Positions(text, _build(readable))
    return Positions(text, _build(text))


def _step(node: _Node, part: str | int) -> tuple[int, _Node] | None:
    children = node.children
    if isinstance(children, dict):
        if str(part) in children:
            return children[str(part)]
        sources = [source for merged in node.merged for source in _merge_sources(merged)]
        return next((found for source in sources if (found := _step(source, part)) is not None), None)
    if children is not None and isinstance(part, int) and 0 <= part < len(children):
        return children[part]
    return None


def _merge_sources(merged: _Node) -> list[_Node]:
    return [node for _, node in merged.children] if isinstance(merged.children, list) else [merged]


def _build(text: str) -> _Node | None:
    builder = _Builder()
    try:
        for event in events(text):
            builder.take(event)
            if builder.depth > MAX_DEPTH:
                break
    except YamlError:
        pass  # what was read so far has its places
    return builder.root


class _Builder:
    """Makes nodes of events. It counts nothing but depth, since ``compose`` has seen the text before."""

    def __init__(self) -> None:
        self.root: _Node | None = None
        self._open: list[_Node] = []
        self._keys: list[tuple[int, str] | None] = []  # per open node, the key whose value is due
        self._anchors: dict[str, _Node] = {}

    @property
    def depth(self) -> int:
        """How many mappings and lists are open."""
        return len(self._open)

    def take(self, event: Any) -> None:
        kind = type(event)
        if kind is yaml_events.AliasEvent:
            target = self._anchors.get(event.anchor)
            if target is None or target in self._open:  # only in texts that cannot be read
                target = _Node(event.start_mark.index)
            self._place(target, event)
        elif kind is yaml_events.ScalarEvent:
            self._place(_Node(event.start_mark.index), event)
        elif kind in (yaml_events.MappingStartEvent, yaml_events.SequenceStartEvent):
            node = _Node(event.start_mark.index)
            node.children = {} if kind is yaml_events.MappingStartEvent else []
            self._place(node, event)
            self._open.append(node)
            self._keys.append(None)
        elif kind in (yaml_events.MappingEndEvent, yaml_events.SequenceEndEvent):
            self._open.pop()
            self._keys.pop()

    def _place(self, node: _Node, event: Any) -> None:
        anchor = event.anchor
        if anchor is not None:
            self._anchors[anchor] = node
        if not self._open:
            self.root = self.root or node
            return
        parent = self._open[-1]
        if isinstance(parent.children, list):
            parent.children.append((event.start_mark.index, node))
        elif parent.children is not None:
            key = self._keys[-1]
            if key is None:
                self._keys[-1] = (event.start_mark.index, _key_name(event))
                return
            self._keys[-1] = None
            if key[1] == _MERGE:
                parent.merged.append(node)
            else:
                parent.children[key[1]] = (key[0], node)


def _key_name(event: Any) -> str:
    if type(event) is not yaml_events.ScalarEvent:
        return ""
    if is_merge_key(event):
        return _MERGE
    try:
        return key_of(event.tag, event.implicit[0], event.value)
    except Unresolved:
        return str(event.value)
