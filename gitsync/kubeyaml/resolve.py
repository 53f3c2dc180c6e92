"""What scalars stand for: the table of Kubernetes' YAML parser (sigs.k8s.io/yaml, which reads by go.yaml.in/yaml/v2 and
makes JSON of it). Pure. That it is the same is held against the original by generated documents."""

from __future__ import annotations

import base64
import binascii
import math
import re
import struct
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any, Final

#: First characters of plain scalars that may be something else than text.
_MAY_RESOLVE: Final = frozenset("yYnNtTfFoO~0123456789+-.")
_TRUE: Final = ("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON")
_FALSE: Final = ("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF")
#: Plain scalars that are null.
NULLS: Final = ("", "~", "null", "Null", "NULL")
_INFINITE: Final = (".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF")
_WORDS: Final[dict[str, bool | float | None]] = {
    **dict.fromkeys(_TRUE, True),
    **dict.fromkeys(_FALSE, False),
    **dict.fromkeys(NULLS),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
    **dict.fromkeys(_INFINITE, math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
}
#: Whole numbers as Go's source code has them, once underscores are gone, by their bases; a sign may be behind ``0b``.
_WHOLE: Final = tuple(
    (base, re.compile(pattern))
    for base, pattern in (
        (10, r"(?P<sign>[+-]?)(?P<digits>0|[1-9][0-9]{0,19})"),
        (8, r"(?P<sign>[+-]?)0[oO]?(?P<digits>[0-7]+)"),
        (16, r"(?P<sign>[+-]?)0[xX](?P<digits>[0-9a-fA-F]+)"),
        (2, r"(?P<sign>[+-]?)0[bB](?P<digits>[01]+)"),
        (2, r"0b(?P<sign>[+-])(?P<digits>[01]+)"),
    )
)
_FRACTION: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
#: One that begins with a dot, where underscores stand between digits only. It never goes back: to remember where it
#: could would take memory for each underscore, of which there may be millions.
_AFTER_A_DOT: Final = re.compile(r"\.[0-9]++(?:_[0-9]++)*+(?:[eE][-+]?[0-9]++(?:_[0-9]++)*+)?")
_CLOCK: Final = r"(?:[01]?[0-9]|2[0-3]):[0-5]?[0-9]:[0-5]?[0-9](?:[.,][0-9]+)?"
_ZONE: Final = r"(?:Z|[+-][0-9]{2}:[0-9]{2})"
_TIME: Final = re.compile(
    rf"(?P<year>[0-9]{{4}})-(?P<month>[0-9]{{1,2}})-(?P<day>[0-9]{{1,2}})(?:[Tt]{_CLOCK}{_ZONE}| {_CLOCK})?"
)
_NO_UTF8: Final = re.compile("[\udc80-\udcff]")

_YAML: Final = "tag:yaml.org,2002:"
_NOT_ITS_TAG: Final = "a value that is not what its tag says"
_NO_KEY: Final = "a key that is neither text, a whole number nor a boolean"
_INT64: Final = 2**63
_UINT64: Final = 2**64


class Unresolved(Exception):
    """A scalar that Kubernetes refuses; the reason quotes nothing of it."""


def is_text(plain: str) -> bool:
    """Whether an unquoted scalar is certain to be read as text, by its first character."""
    return bool(plain) and plain[0] not in _MAY_RESOLVE


def value_of(tag: str | None, is_plain: bool, text: str) -> Any:
    """The JSON value of a scalar: whole numbers of 64 bits with their sign are exact, larger ones become floating point
    numbers. ``is_plain`` is what libyaml says is implicit.

    Raises: Unresolved
    """
    found = _resolved(tag, is_plain, text)
    if type(found) is float:
        if not math.isfinite(found):
            raise Unresolved("infinity and not-a-number, which JSON cannot express")
        return json_number(found)
    return json_number(float(found)) if type(found) is int and found >= _INT64 else found


def key_of(tag: str | None, is_plain: bool, text: str) -> str:
    """What a scalar is called as a key: ``n`` is ``false``, ``0x10`` is ``16``.

    Raises: Unresolved for null and for numbers beyond 64 bits, which cannot be keys.
    """
    found = _resolved(tag, is_plain, text)
    if type(found) is str:
        return found
    if type(found) is bool:
        return "true" if found else "false"
    if type(found) is float:
        return _short_float(found)
    if found is None or found >= _INT64:
        raise Unresolved(_NO_KEY)
    return str(found)


def json_number(value: float) -> int | float:
    """A finite number as it comes out of JSON that Go has written: without a fraction it is whole, of its shortest
    digits and zeros. Beyond 64 bits it stays what it is: the same to an API server, and to all that handles JSON on the
    way there."""
    if not value.is_integer():
        return value
    whole = int(Decimal(repr(value)))
    return whole if -_INT64 <= whole < _UINT64 else value


def _resolved(tag: str | None, is_plain: bool, text: str) -> Any:
    if tag is None:
        return _plain(text) if is_plain else text
    read = _TAGGED.get(tag)
    return text if read is None else read(text)


def _plain(text: str) -> Any:
    """What an unquoted scalar is. Dates are text."""
    if is_text(text):
        return text
    if text in _WORDS:
        return _WORDS[text]
    if text[0] == ".":
        return _fraction(text.replace("_", ""), text) if _AFTER_A_DOT.fullmatch(text) else text
    return _number(text) if text[0] in "+-0123456789" else text


def _number(text: str) -> int | float | str:
    digits = text.replace("_", "")
    for base, pattern in _WHOLE:
        match = pattern.fullmatch(digits)
        if match is not None:
            value = int(match["sign"] + match["digits"], base)
            if -_INT64 <= value < (_UINT64 if not match["sign"] else _INT64):
                return value
    return _fraction(digits, text) if _FRACTION.fullmatch(digits) else text


def _fraction(digits: str, text: str) -> float | str:
    """Text is what would be infinite."""
    value = float(digits)
    return text if math.isinf(value) else value


def _only(kind: type) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        value = _plain(text)
        if kind is float and type(value) is int and value < _INT64:
            return float(value)
        if type(value) is not kind:
            raise Unresolved(_NOT_ITS_TAG)
        return value

    return read


def _binary(text: str) -> str:
    """What the base64 stands for; each byte that is no UTF-8 is Go's replacement character."""
    try:
        data = base64.b64decode(text.replace("\n", "").replace("\r", ""), validate=True)
    except (binascii.Error, ValueError):
        raise Unresolved("!!binary with something else than base64") from None
    return _NO_UTF8.sub("\ufffd", data.decode("utf-8", "surrogateescape"))


def _timestamp(text: str) -> str:
    match = _TIME.fullmatch(text)
    try:
        if match is None:
            raise ValueError
        date(int(match["year"]) or 4, int(match["month"]), int(match["day"]))
    except ValueError:
        raise Unresolved(_NOT_ITS_TAG) from None
    return text


_TAGGED: Final[dict[str, Callable[[str], Any]]] = {
    f"{_YAML}bool": _only(bool),
    f"{_YAML}int": _only(int),
    f"{_YAML}float": _only(float),
    f"{_YAML}null": _only(type(None)),
    f"{_YAML}timestamp": _timestamp,
    f"{_YAML}binary": _binary,
}


def _short_float(value: float) -> str:
    """A key that is a fraction, as Go writes one of 32 bits: the shortest digits that it can be read back from."""
    try:
        single = struct.pack("f", value)
    except OverflowError:
        single = struct.pack("f", math.inf if value > 0 else -math.inf)
    (value,) = struct.unpack("f", single)
    if math.isnan(value):
        return ".nan"
    if math.isinf(value):
        return ".inf" if value > 0 else "-.inf"
    written = (f"{value:.{precision}e}" for precision in range(9))
    shortest = next(text for text in written if struct.pack("f", float(text)) == single)
    exponent = int(shortest.partition("e")[2])
    return shortest if not -5 < exponent < 6 else f"{Decimal(shortest):f}"
