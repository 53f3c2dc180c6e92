"""JSON that a registry sends. Pure."""

from __future__ import annotations

from typing import Any

import orjson

from gitsync.weight import json_weight

#: What an answer may come to in memory, in bytes: text of ``[[],[],`` takes twenty times its length.
_HEAVIEST = 32 * 1024 * 1024


def decoded(data: bytes | bytearray) -> Any:
    """Raises: ValueError, also for what would take too much memory."""
    text = bytes(data)
    if json_weight(text) > _HEAVIEST:
        raise ValueError("it would take too much memory")
    return orjson.loads(text)
