"""YAML for reading: the one text of an object that two states of it are compared by, line for line.

Why not a library: ruamel.yaml takes 12 ms for a Deployment (measured; a plan shows hundreds), quotes by YAML 1.2's
rules where Kubernetes reads 1.1 (``yes``, ``0644``), and prints terminal control characters. What is written here is
read back by Kubernetes' own parser as the same value (tests/diff).
"""

from __future__ import annotations

import re
from typing import Any, Final

#: Fields that come first, wherever they stand; the others follow in alphabetical order.
_FIRST: Final = {
    name: place for place, name in enumerate(("apiVersion", "kind", "metadata", "name", "namespace", "spec"))
}
#: Strings that need no quotes under any version of YAML: they begin with a letter or a slash, a colon is followed by
#: something, a space by a word.
#: ``${name}`` is among them, as where kustomize writes it: what is put in its place may be a number.
_PLAIN = re.compile(r"[A-Za-z/$](?:[\w./@+=,()'\"${}-]|:(?=[\w./@+=,()'\"${}-])| (?=[\w/(${]))*+", re.ASCII)
#: Words that some version of YAML does not take for a string.
_RESERVED: Final = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
_ESCAPES: Final = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_DEEPEST: Final = 100


def yaml_lines(value: Any, depth: int = 0) -> list[str]:
    """``value`` (JSON) as lines of block-style YAML in a fixed order. Multi-line strings become literal blocks,
    whatever a terminal might act on is escaped, and what is nested too deeply is left out.
    """
    if depth > _DEEPEST:
        return ['"... (nested too deeply)"']
    if isinstance(value, dict) and value:
        lines = []
        for name in sorted(value, key=_order):
            lines += _entry(_scalar(name), value[name], depth)
        return lines
    if isinstance(value, list) and value:
        return [line for item in value for line in _element(item, depth)]
    if isinstance(value, str) and _fits_block(value):
        return _block(value)
    return [_scalar(value)]


def _order(name: str) -> tuple[int, str]:
    return _FIRST.get(name, len(_FIRST)), name


def _entry(name: str, value: Any, depth: int) -> list[str]:
    """``name: value``"""
    lines = yaml_lines(value, depth + 1)
    if isinstance(value, dict) and value:
        return [f"{name}:", *_indented(lines)]
    if isinstance(value, list) and value:
        return [f"{name}:", *lines]  # as kubectl writes it: the dashes stand under the name
    return [f"{name}: {lines[0]}", *_indented(lines[1:])]


def _element(value: Any, depth: int) -> list[str]:
    """``- value``"""
    lines = yaml_lines(value, depth + 1)
    return [f"- {lines[0]}", *_indented(lines[1:])]


def _indented(lines: list[str]) -> list[str]:
    return [f"  {line}" if line else line for line in lines]


def _fits_block(text: str) -> bool:
    """Whether a string has several lines and a literal block shows it as it is."""
    return (
        "\n" in text
        and text[0] not in " \t\n"
        and all(line.isprintable() for line in text.replace("\t", "").split("\n"))
        and "\ufeff" not in text
    )


def _block(text: str) -> list[str]:
    """A literal block: the header, then the lines."""
    if not text.endswith("\n"):
        return ["|-", *text.split("\n")]
    return ["|+" if text.endswith("\n\n") else "|", *text[:-1].split("\n")]


def _scalar(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value if _PLAIN.fullmatch(value) and value.lower() not in _RESERVED else _quoted(value)
    if isinstance(value, dict):
        return "{}"
    return "[]" if isinstance(value, list) else repr(value)


def _quoted(text: str) -> str:
    if text.isprintable() and "\\" not in text and '"' not in text:
        return f'"{text}"'
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isprintable():
        return character
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
