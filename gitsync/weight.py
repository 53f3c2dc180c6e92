"""What bytes become once they are decoded."""

from __future__ import annotations

import json
from typing import Any, Final

import orjson

#: Of UTF-8, the first bytes of characters that take one byte in a text of CPython's, and of those that take two. One
#: that takes more makes each other character of its text take as much.
_NARROW: Final = bytes(range(0xC4))
_WIDE: Final = bytes(range(0xF0))
#: What CPython takes for a dict and for a list with little in it, in bytes; for an item, which may be a number; and for
#: a text, which may be a key.
_DICT, _LIST, _ITEM, _TEXT = 232, 72, 40, 64


def json_weight(raw: bytes) -> int:
    """About the bytes of memory that JSON comes to: a text of ``{"a":0}`` takes thirty times its length.

    What is inside of texts counts as little as can be told without decoding: there, braces and quotes are escaped, or
    what follows them is.
    """
    dicts = raw.count(b"{") - raw.count(b"{\\")
    lists = raw.count(b"[") - raw.count(b"[\\")
    texts = (raw.count(b'"') - raw.count(b'\\"')) // 2
    items = raw.count(b",")
    return len(raw) * _width(raw) + _DICT * dicts + _LIST * lists + _ITEM * items + _TEXT * texts


def object_weight(manifest: Any) -> int:
    """The same of what is decoded already."""
    try:
        raw = orjson.dumps(manifest)
    except TypeError:  # an integer of more than 64 bits, or half of a surrogate pair
        raw = json.dumps(manifest, ensure_ascii=False).encode("utf-8", "surrogatepass")
    return json_weight(raw)


def _width(raw: bytes) -> int:
    """The bytes that a character of its texts may take: a text of a million letters and one smiley has four megabytes.
    Which texts have a wide one is not known before they are decoded."""
    if b"\\ud" in raw or b"\\uD" in raw:
        return 4
    wide = b"" if raw.isascii() else raw.translate(None, _NARROW)
    if wide.translate(None, _WIDE):
        return 4
    return 2 if wide or raw.count(b"\\u") > raw.count(b"\\u00") else 1
