"""From an event with fields to a line of text for programs: pure functions, so that the look of a line is easy to test.

Whatever a value holds, a line stays one line: control characters, terminal escapes and the marks that turn text around
are written as ``\\u001b``; values are bounded in length and number; a value whose ``str()`` fails becomes a note of
that.
"""

from __future__ import annotations

import json
import math
import re
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import lru_cache
from itertools import islice
from typing import Any

from pydantic import SecretBytes, SecretStr

from gitsync.api.duration import format_duration
from gitsync.api.identity import CommitInfo, ObjectKey
from gitsync.errors import GitsyncError
from gitsync.logs.context import commit_context
from gitsync.logs.redact import redact
from gitsync.logs.secrets import MASK
from gitsync.text import printable

#: Fields that hold seconds: numbers in JSON, ``1.4s`` in text.
DURATIONS = frozenset({"took", "waited", "interval", "timeout", "delay", "retry_in", "age"})
COMMIT = ("commit", "author", "subject")
COUNTS = (
    "files",
    "objects",
    "releases",
    "created",
    "taken_over",
    "changed",
    "deleted",
    "unchanged",
    "failed",
    "waiting",
    "suspended",
)

_RANK = {
    **{name: 1 + i for i, name in enumerate(COMMIT)},
    **dict.fromkeys(COUNTS, 10),
    **{"took": 11, "waited": 11, "error": 20, "hint": 21, "traceback": 22},
}

MAX_VALUE = 2_000
MAX_TRACEBACK = 16_000
MAX_ITEMS = 50
_MAX_LENGTHS = {"subject": 120, "author": 80, "traceback": MAX_TRACEBACK}
#: Nothing longer is even searched for credentials; far above what is ever shown.
_MAX_SEARCHED = 65_536
_MAX_DEPTH = 4

_SENSITIVE = re.compile(
    r"(?:pass(?:word|wd|phrase)|token|authorization|api_?key|private_?key|client_?secret|cookie|credentials)$",
    re.IGNORECASE,
)
_BARE = re.compile(r"[\w!#$%&'()*+,\-./:;<>?@\[\]^`{|}~]+")


@dataclass(frozen=True, slots=True)
class Line:
    """One event, ready to be written: ``fields`` are in order, hold JSON values only, and no credentials."""

    time: float
    level: str
    event: str
    fields: dict[str, Any]


def make_line(level: str, event: object, fields: Mapping[str, Any], *, now: float, error: BaseException | None) -> Line:
    """Redact, bound and order. ``error`` is the exception a line is logged with (``exc_info``)."""
    expanded: dict[str, Any] = {}
    for name, value in fields.items():
        if isinstance(value, CommitInfo):
            expanded |= commit_context(value)
        else:
            expanded[name] = value
    if error is not None:
        expanded.setdefault("error", error)
        if not isinstance(error, GitsyncError):
            expanded["traceback"] = "".join(traceback.format_exception(error, limit=-20))
    _add_hint(expanded)
    names = sorted(expanded, key=lambda name: _RANK.get(name, 0))
    plain = {name: _field(name, expanded[name]) for name in names if expanded[name] is not None}
    return Line(now, level, _text(event, 500), plain)


def json_line(line: Line) -> str:
    """One JSON object; durations stay numbers of seconds."""
    data = {"time": timestamp(line.time), "level": line.level, "msg": line.event, **line.fields}
    return printable(json.dumps(data, ensure_ascii=False, separators=(",", ":")))


def logfmt_line(line: Line) -> str:
    """``time=... level=info msg="..." key=value``, quoted as JSON strings where quotes are needed."""
    head = f"time={timestamp(line.time)} level={line.level} msg={quoted(line.event)}"
    return head + "".join(f" {name}={quoted(shown(name, value))}" for name, value in line.fields.items())


def shown(name: str, value: Any) -> str:
    """A field's value as text: durations in Go's way, lists with commas, the rest as JSON writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        if name in DURATIONS:
            return format_duration(round(value, 1 if abs(value) >= 1 else 3))
        return f"{value:.6g}" if isinstance(value, float) else str(value)
    if isinstance(value, list):
        return ",".join(shown("", item) for item in value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def timestamp(seconds: float) -> str:
    """RFC 3339 in UTC with milliseconds, ``2026-11-23T06:00:00.123Z``."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _add_hint(fields: dict[str, Any]) -> None:
    error = fields.get("error")
    if isinstance(error, GitsyncError) and error.hint and error.hint not in str(error):
        fields.setdefault("hint", error.hint)
    if not fields.get("hint", True):
        del fields["hint"]


@lru_cache(maxsize=512)
def _is_sensitive(name: str) -> bool:
    return _SENSITIVE.search(name) is not None


def _field(name: str, value: Any) -> Any:
    if _is_sensitive(name):
        return MASK
    if isinstance(value, ObjectKey) and value.kind.lower().endswith(name.lower()):
        # release=default/redis, not release=HelmRelease/default/redis
        return _text(value.namespaced_name, MAX_VALUE)
    return _plain(value, _MAX_LENGTHS.get(name, MAX_VALUE), 0)


def _plain(value: Any, longest: int, depth: int) -> Any:
    """``value`` as JSON, redacted and bounded."""
    if isinstance(value, Enum):
        value = value.value
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        # Milliseconds are enough for whoever reads a duration.
        return round(value, 3) if math.isfinite(value) else str(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, SecretStr | SecretBytes):
        return MASK
    if isinstance(value, str | ObjectKey | BaseException) or depth >= _MAX_DEPTH:
        return _text(value, longest)
    if isinstance(value, Mapping):
        pairs = [(_text(k, 200), v) for k, v in islice(value.items(), MAX_ITEMS)]
        return {k: MASK if _SENSITIVE.search(k) else _plain(v, longest, depth + 1) for k, v in pairs}
    if isinstance(value, list | tuple | set | frozenset):
        return _items(value, len(value), longest, depth)
    return _text(value, longest)


def _items(values: Iterable[Any], count: int, longest: int, depth: int) -> list[Any]:
    items = [_plain(item, longest, depth + 1) for item in islice(values, MAX_ITEMS)]
    return [*items, f"+{count - MAX_ITEMS} more"] if count > MAX_ITEMS else items


def _text(value: object, longest: int) -> str:
    try:
        text = str(value)
        if isinstance(value, BaseException) and not isinstance(value, GitsyncError):
            text = f"{type(value).__name__}: {text}" if text else type(value).__name__
    except Exception as error:  # a foreign __str__ must not cost us the line
        return f"<{type(value).__name__}: {type(error).__name__} in __str__>"
    text = redact(text[:_MAX_SEARCHED])
    return text if len(text) <= longest else f"{text[:longest]}… (+{len(text) - longest} characters)"


def quoted(text: str) -> str:
    """As a value of logfmt: in quotes where it needs them."""
    if _BARE.fullmatch(text):
        return text
    return printable(json.dumps(text, ensure_ascii=False))
