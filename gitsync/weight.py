"""What bytes become once they are decoded."""

from __future__ import annotations

from typing import Final

#: From so many bytes on JSON is weighed at all: less can do no harm.
_LIGHT: Final = 1 << 20
#: What CPython takes for a dict and for a list with little in it, and for an item, in bytes.
_DICT, _LIST, _ITEM = 232, 72, 16


def json_weight(raw: bytes) -> int:
    """About the bytes of memory that JSON comes to: a text of ``{"a":0}`` takes thirty times its length.

    Braces inside of texts count as little as can be told without decoding: there, what follows them is escaped.
    """
    if len(raw) < _LIGHT:
        return len(raw)
    dicts = raw.count(b"{") - raw.count(b"{\\")
    lists = raw.count(b"[") - raw.count(b"[\\")
    return len(raw) + _DICT * dicts + _LIST * lists + _ITEM * raw.count(b",")
