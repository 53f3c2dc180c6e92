"""Bodies, decoded within bounds. Pure."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import parse_qs

import orjson

from gitsync.depth import is_deeper
from gitsync.web.receivers.delivery import Delivery
from gitsync.weight import json_weight

#: Bytes of JSON that are decoded: those of the services have some thousand, and decoding takes eight times as much.
MAX_JSON: Final = 1 << 20
#: Bytes of memory that a decoded body may take: real ones take some hundred thousand.
MAX_WEIGHT: Final = 12 << 20
#: Levels of a body: those of the services have less than ten.
_MAX_LEVELS: Final = 100
_FORM: Final = "application/x-www-form-urlencoded"


def decoded(raw: bytes) -> dict[str, Any] | None:
    """The JSON object that a text is; None when it is none, is nested too deep, or too much."""
    if len(raw) > MAX_JSON or json_weight(raw) > MAX_WEIGHT:
        return None
    try:
        value = orjson.loads(raw)
    except ValueError:
        return None
    return value if isinstance(value, dict) and not is_deeper(value, _MAX_LEVELS) else None


def payload(delivery: Delivery) -> bytes:
    """The JSON of a delivery: its body, or the field ``payload`` of a form, in which GitHub and Gitea may send it. Of a
    form that is too large there is none."""
    if delivery.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        return delivery.body
    if len(delivery.body) > MAX_JSON:
        return b""
    try:
        fields = parse_qs(delivery.body.decode(), max_num_fields=16)
    except ValueError:
        return b""
    return fields.get("payload", [""])[0].encode()
