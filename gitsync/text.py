"""Texts for people: shortened, listed, without what Secrets hold. Pure, and below all rooms."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

#: What stands in place of something that may be secret inside a quotation.
MASK = "…"
#: Shorter values are no secrets, and hiding them would make every message unreadable.
_SHORTEST_SECRET = 3
#: The same of keys, and those that are names of fields.
_SHORTEST_SECRET_KEY = 6
_FIELD_NAME = re.compile(r"[A-Za-z._/-]+")
_DIGITS = 18
#: What steers a terminal, ends a line, turns text around or takes no place: Unicode's Cc, Cf, Cs, Zl and Zp.
_STEERING = (
    "\x00-\x1f\x7f-\x9f\u00ad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\ud800-\udfff\ufeff\ufff0-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e007f"
)
_CONTROL = re.compile(f"[{_STEERING}]")
#: Colours of a terminal, by what they are for: the only escape codes that are ever written for people.
RESET, BOLD, DIM = "\x1b[0m", "\x1b[1m", "\x1b[2m"
RED, GREEN, YELLOW, CYAN = "\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[36m"
#: Those, and the ends of lines and the tabs of a text of several lines; or one character that is to be escaped.
_OURS = re.compile(rf"(\x1b\[(?:[012]|3[1236])m|[\n\t])|[{_STEERING}]")
_QUOTED = re.compile(r""""(?:[^"\\]|\\.)*"|'[^'\n]*'|`[^`]*`""", re.DOTALL)


def shorten(text: str, limit: int) -> str:
    """``text`` in at most ``limit`` characters; of a longer one the beginning, and ``...``."""
    return text if len(text) <= limit else text[: limit - 3].rstrip() + "..."


def shorten_middle(text: str, limit: int) -> str:
    """``text`` on one line, in about ``limit`` characters: of a longer one both ends. For complaints that quote much,
    or name a chain of calls: they say what and why there."""
    text = " ".join(text.split())
    return text if len(text) <= limit else f"{text[: limit // 2]} ... {text[-limit // 2 :]}"


def printable(text: str) -> str:
    """``text`` with everything that would steer a terminal or end a line written as an escape, ``\\u001b``."""
    return _CONTROL.sub(_escaped, text)


def printable_lines(text: str) -> str:
    """The same of a finished text of several lines: line ends, tabs and our own colours stay."""
    return _OURS.sub(lambda match: match[1] or _escaped(match), text)


def painted(text: str, style: str) -> str:
    """``text`` in a colour; as it is without one."""
    return f"{style}{text}{RESET}" if style and text else text


def _escaped(match: re.Match[str]) -> str:
    return json.dumps(match[0])[1:-1]


def listed(items: Iterable[object], most: int = 3, separator: str = ", ") -> str:
    """A few for one line: ``a, b, c and 4 more``. "" for none."""
    found = list(items)
    more = f" and {len(found) - most} more" if len(found) > most else ""
    return separator.join(map(str, found[:most])) + more


def counted(number: int, what: str) -> str:
    """``1 file``, ``2 files``, ``2 repositories``."""
    many = f"{what[:-1]}ies" if re.search(r"[^aeiou]y\Z", what) else f"{what}s"
    return f"{number} {what if number == 1 else many}"


def whole_number(text: str) -> int | None:
    """What digits say, at most 18 of them; None of anything else: of thousands Python makes no number, and not of all
    that Unicode has for a digit."""
    return int(text) if len(text) <= _DIGITS and text.isascii() and text.isdigit() else None


def mask_quoted(text: str, hides: Callable[[str, str], bool]) -> str:
    """``text`` with a mask for each quotation of which ``hides(quoted, plain)`` says so: it gets the quotation as it
    stands there, and without the backslashes of its escapes."""

    def masked(match: re.Match[str]) -> str:
        quoted = match[0]
        plain = quoted.replace('\\"', '"').replace("\\n", "\n").replace("\\\\", "\\")
        return MASK if hides(quoted, plain) else quoted

    return _QUOTED.sub(masked, text)


def leaves(value: Any) -> Iterator[str]:
    """Every scalar in a tree of values, as text, but for what is too short to be a secret."""
    if isinstance(value, dict):
        for below in value.values():
            yield from leaves(below)
    elif isinstance(value, list):
        for below in value:
            yield from leaves(below)
    elif value is not None and not isinstance(value, bool):
        text = str(value).strip()
        if len(text) >= _SHORTEST_SECRET:
            yield text


def unusual_keys(value: Any) -> Iterator[str]:
    """Every key in a tree of values that is no name such as a program has for a field: with a digit in it, or with more
    than letters, dots, slashes, dashes and underscores."""
    if isinstance(value, dict):
        for key, below in value.items():
            text = str(key).strip()
            if len(text) >= _SHORTEST_SECRET_KEY and not _FIELD_NAME.fullmatch(text):
                yield text
            yield from unusual_keys(below)
    elif isinstance(value, list):
        for below in value:
            yield from unusual_keys(below)
