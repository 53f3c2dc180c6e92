"""JSON packed into a ConfigMap, and out of it again, bounded. Pure."""

from __future__ import annotations

import base64
import binascii
import gzip
import json
import zlib
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, TypeVar

import orjson

from gitsync.api.identity import Manifest
from gitsync.errors import InventoryError

T = TypeVar("T")


def pack(value: Any) -> str:
    """A value of JSON and dataclasses as text for ``binaryData``."""
    return pack_sized(value)[0]


def pack_sized(value: Any) -> tuple[str, int]:
    """As ``pack``, and how many bytes it will be when it is unpacked.

    Takes time: call it in a thread. Even there it holds up all other threads, for 5 ms a megabyte (with the json module
    it would be 50).
    """
    body = _dump(value)
    return base64.b64encode(gzip.compress(body, 6, mtime=0)).decode(), len(body)


def unpack(config_map: Manifest, key: str, limit: int, build: Callable[[Any], T], *, hint: str) -> T | None:
    """What ``build`` makes of the value under ``key`` of ``binaryData``; None when there is none. Unpacked, it may have
    ``limit`` bytes. Call it in a thread, as ``pack_sized``.

    Raises: InventoryError, with this hint, when it is damaged or larger.
    """
    packed = (config_map.get("binaryData") or {}).get(key)
    if packed is None:
        return None
    name = config_map["metadata"]["name"]
    try:
        unpacker = zlib.decompressobj(wbits=31)
        body = unpacker.decompress(base64.b64decode(packed, validate=True), limit)
        if unpacker.unconsumed_tail:
            raise InventoryError(
                f"the {key} in ConfigMap {name} is too large: unpacked, it is more than {limit} bytes", hint=hint
            )
        return build(_load(body))
    except (binascii.Error, zlib.error, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InventoryError(
            f"ConfigMap {name} does not hold a readable {key} ({type(error).__name__})", hint=hint
        ) from error


def _dump(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:  # half of a surrogate pair, which a text from elsewhere may hold
        return json.dumps(value, separators=(",", ":"), default=asdict).encode()


def _load(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except ValueError:  # the same
        return json.loads(body)
