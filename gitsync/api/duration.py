"""Durations as Go writes them: ``1h30m``, ``5m``, ``500ms``; seconds inside gitsync."""

from __future__ import annotations

import re
from functools import lru_cache

from gitsync.api.identity import Manifest
from gitsync.text import shorten

#: What the API's fields take (Flux's validation): no sign, no bare 0, nothing smaller than a millisecond.
DURATION_PATTERN = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$"
#: Sources' timeouts leave out hours.
TIMEOUT_PATTERN = r"^([0-9]+(\.[0-9]+)?(ms|s|m))+$"

_UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")
_LONGEST = 2**63  # Go counts nanoseconds in an int64
_MAX_TEXT = 64


@lru_cache(maxsize=1024)
def parse_duration(text: str) -> float:
    """Seconds of a Go duration (``time.ParseDuration``): a sign, then numbers with units h, m, s, ms, us, ns; or ``0``.

    Raises: ValueError for anything else, and for more than Go can hold (292 years).
    """
    problem = ValueError(f"not a duration: {shorten(text, _MAX_TEXT)!r}")
    body = text[1:] if text[:1] in ("+", "-") else text
    if body == "0":
        return 0.0
    if not body or len(body) > _MAX_TEXT:
        raise problem
    total, end = 0.0, 0
    for part in _PART.finditer(body):
        if part.start() != end:
            raise problem
        total += float(part[1]) * _UNITS[part[2]]
        end = part.end()
    if end != len(body) or total >= _LONGEST:
        raise problem
    return (-total if text[0] == "-" else total) / 1e9


def interval_of(manifest: Manifest, default: float) -> float:
    """Seconds of an object's ``spec.interval``; ``default`` where it has none, or none that can be read."""
    try:
        return parse_duration(manifest["spec"]["interval"])
    except (KeyError, TypeError, ValueError):
        return default


def format_duration(seconds: float) -> str:
    """As Go prints it (``Duration.String``): ``5m0s``, ``1h0m0s``, ``1.5s``, ``300ms``, ``0s``; to the nanosecond."""
    nanos = round(seconds * 1e9)
    sign = "-" if nanos < 0 else ""
    nanos = abs(nanos)
    if not nanos:
        return "0s"
    if nanos < 10**9:
        unit = next(unit for unit in ("ms", "µs", "ns") if nanos >= _UNITS[unit])
        return f"{sign}{_decimal(nanos, _UNITS[unit])}{unit}"
    minutes, rest = divmod(nanos, _UNITS["m"])
    hours, minutes = divmod(minutes, 60)
    text = f"{_decimal(rest, _UNITS['s'])}s"
    if hours or minutes:
        text = f"{minutes}m{text}"
    return f"{sign}{hours}h{text}" if hours else sign + text


def _decimal(value: int, unit: int) -> str:
    whole, fraction = divmod(value, unit)
    digits = f"{fraction:0{len(str(unit)) - 1}d}".rstrip("0")
    return f"{whole}.{digits}" if digits else str(whole)
