"""Patterns of ``${var#pattern}`` and ``${var%pattern}``: Go's path.Match without its rule about slashes, as Flux's fork
of drone/envsubst has it (fluxcd/pkg, envsubst/path), and what it cuts off by them. Pure; all of it on UTF-8.
"""

from __future__ import annotations

import re
from typing import Final

#: Comparisons for one build, and hundreds of bytes that are copied for them, where a pattern has more than text and
#: stars: a third of a second. The original takes the cube of the value's length.
_MAX_STEPS: Final = 300_000
#: What a pattern has that has more.
_MORE: Final = re.compile(rb"[\[?\\]")
_STARS: Final = re.compile(rb"\*+")
#: Bytes that are no UTF-8, as Python has them in a text.
_NONE: Final = re.compile("[\udc80-\udcff]")


class BadPattern(Exception):
    """A pattern that is none."""


class Trimmer:
    """Trims the values of one build, which may take so many steps together; what it has trimmed it knows."""

    def __init__(self) -> None:
        self._matcher = _Matcher()
        self._known: dict[tuple[bytes, bytes, bool, bool], int] = {}

    def trim(self, value: bytes, pattern: bytes, *, suffix: bool, longest: bool) -> bytes:
        """``value`` without its shortest or longest beginning (end, if ``suffix``) that matches; as it is when none
        does, or the pattern is none.

        Raises: OverflowError when that takes too long.
        """
        if suffix:
            value, pattern = _reversed(value), _reversed(pattern)
        if _MORE.search(pattern) is None:
            found = _prefix_of_text(value, _STARS.split(pattern), longest=longest)
        else:
            asked = value, pattern, suffix, longest
            if asked not in self._known:
                self._known[asked] = _prefix(value, pattern, self._matcher, longest=longest)
            found = self._known[asked]
        value = value[found:]
        return _reversed(value) if suffix else value


def _prefix_of_text(value: bytes, pieces: list[bytes], *, longest: bool) -> int:
    """The length of the beginning that matches texts with stars between them; 0 for none."""
    first, *rest = pieces
    if not value.startswith(first):
        return 0
    end = len(first)
    if not rest:
        return end
    *middle, last = rest
    for piece in middle:
        found = value.find(piece, end)
        if found < 0:
            return 0
        end = found + len(piece)
    if not last:
        return len(value) if longest else max(end, min(1, len(value)))
    found = value.rfind(last, end) if longest else value.find(last, end)
    return found + len(last) if found >= 0 else 0


def _prefix(value: bytes, pattern: bytes, matcher: _Matcher, *, longest: bool) -> int:
    """The same for any pattern."""
    shortest = 0
    for length in range(len(value), 0, -1):
        try:
            matches = matcher.match(pattern, value[:length])
        except BadPattern:
            return 0
        if matches and longest:
            return length
        if matches:
            shortest = length
    return shortest


def _reversed(value: bytes) -> bytes:
    """Character by character; bytes that are none become U+FFFD, each."""
    text = value.decode("utf-8", "surrogateescape")
    return _NONE.sub("\ufffd", text)[::-1].encode()


class _Matcher:
    def __init__(self) -> None:
        self._steps = 0

    def match(self, pattern: bytes, name: bytes) -> bool:
        """Whether the pattern matches all of ``name``. Raises: BadPattern, OverflowError."""
        while pattern:
            star, chunk, pattern = _next_chunk(pattern)
            if star and not chunk:
                return True
            rest = self._chunk(chunk, name)
            if rest is not None and (not rest or pattern):
                name = rest
                continue
            if not star:
                return False
            for skipped in range(1, len(name) + 1):
                rest = self._chunk(chunk, name[skipped:])
                if rest is not None and (pattern or not rest):
                    name = rest
                    break
            else:
                return False
        return not name

    def _chunk(self, chunk: bytes, text: bytes) -> bytes | None:
        """What is left of ``text`` after a chunk, which holds no star; None when it does not begin with it."""
        self._steps += len(text) // 100
        while chunk:
            self._steps += 1
            if self._steps > _MAX_STEPS:
                raise OverflowError
            if not text:
                return None
            head = chunk[:1]
            if head == b"[":
                character, width = _first(text)
                text = text[width:]
                matches, chunk = _in_class(chunk[1:], character)
                if not matches:
                    return None
                continue
            if head == b"?":
                text = text[_first(text)[1] :]
                chunk = chunk[1:]
                continue
            if head == b"\\":
                chunk = chunk[1:]
                if not chunk:
                    raise BadPattern
            if chunk[0] != text[0]:
                return None
            text, chunk = text[1:], chunk[1:]
        return text


def _next_chunk(pattern: bytes) -> tuple[bool, bytes, bytes]:
    """Whether the pattern begins with stars, what follows up to the next one, and the rest."""
    stripped = pattern.lstrip(b"*")
    star = len(stripped) < len(pattern)
    in_class, index = False, 0
    while index < len(stripped):
        byte = stripped[index : index + 1]
        if byte == b"\\" and index + 1 < len(stripped):
            index += 1
        elif byte == b"[":
            in_class = True
        elif byte == b"]":
            in_class = False
        elif byte == b"*" and not in_class:
            break
        index += 1
    return star, stripped[:index], stripped[index:]


def _in_class(chunk: bytes, character: str) -> tuple[bool, bytes]:
    """Whether the character is in a class, whose bracket is read, and what follows the class."""
    negated = chunk.startswith(b"^")
    chunk = chunk[negated:]
    found, ranges = False, 0
    while not (chunk.startswith(b"]") and ranges):
        low, chunk = _bound(chunk)
        high = low
        if chunk[0:1] == b"-":
            high, chunk = _bound(chunk[1:])
        found = found or low <= character <= high
        ranges += 1
    return found != negated, chunk[1:]


def _bound(chunk: bytes) -> tuple[str, bytes]:
    """One end of a range."""
    if not chunk or chunk[:1] in (b"-", b"]"):
        raise BadPattern
    if chunk[:1] == b"\\":
        chunk = chunk[1:]
        if not chunk:
            raise BadPattern
    character, width = _first(chunk)
    if character == "\ufffd" and width == 1:
        raise BadPattern
    if not chunk[width:]:
        raise BadPattern
    return character, chunk[width:]


def _first(text: bytes) -> tuple[str, int]:
    """The first character and how many bytes it has: 1 for a byte that is none, which counts as U+FFFD."""
    for width in (1, 2, 3, 4):
        try:
            return text[:width].decode(), width
        except UnicodeDecodeError:
            continue
    return "\ufffd", 1
