"""Messages between gitsync and a bounded child process: a JSON text, and pieces of bytes beside it.

Never pickle: whoever takes over the child must gain nothing by what it answers.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from typing import Any, Final

import orjson

#: What comes first: whether the text is more than orjson holds, how many bytes it has, and how many all that follows.
HEAD: Final = struct.Struct(">?IQ")


def packed(content: Any, lengths: Sequence[int] = ()) -> list[bytes]:
    """A message as what is to be written before its pieces of bytes, which have these ``lengths``; ``HEAD`` first.

    Raises: TypeError, ValueError, RecursionError.
    """
    message, wide = [content, lengths], False
    try:
        text = orjson.dumps(message)
    except TypeError:  # integers of more than 64 bits, lone surrogates, deep nesting
        text, wide = json.dumps(message).encode(), True
    return [HEAD.pack(wide, len(text), len(text) + sum(lengths)), text]


def unpacked(wide: bool, text: bytes, rest: bytes) -> tuple[Any, list[bytes]]:
    """The content of a message and the pieces beside it. Raises: ValueError, RecursionError."""
    content, lengths = json.loads(text) if wide else orjson.loads(text)
    blobs, begin = [], 0
    for length in lengths:
        blobs.append(rest[begin : begin + length])
        begin += length
    return content, blobs
