"""Patterns of paths, as ArtifactGenerators have them: those of Go's path.Match, and doublestar's. Pure.

Matching takes time in the product of the lengths of pattern and path, whatever the pattern is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from gitsync.errors import ArtifactError

_MAX_ALTERNATIVES = 64


@dataclass(frozen=True, slots=True)
class _Star:
    """Any characters of one part of a path."""


@dataclass(frozen=True, slots=True)
class _One:
    """One character: any, one of ``ranges``, or one that is in none of them."""

    ranges: tuple[tuple[str, str], ...] = ()
    negated: bool = False

    def takes(self, character: str) -> bool:
        return not self.ranges or any(low <= character <= high for low, high in self.ranges) is not self.negated


_Part = tuple[_Star | _One, ...]
_STAR = _Star()


@lru_cache(1024)
def part_of(pattern: str) -> _Part:
    """One part of a pattern, between two slashes. Raises: ArtifactError when it is malformed."""
    tokens: list[_Star | _One] = []
    at = 0
    while at < len(pattern):
        character = pattern[at]
        if character == "*":
            if not tokens or tokens[-1] is not _STAR:
                tokens.append(_STAR)
        elif character == "?":
            tokens.append(_One())
        elif character == "[":
            one, at = _class(pattern, at + 1)
            tokens.append(one)
        else:
            if character == "\\":
                at += 1
                if at == len(pattern):
                    raise bad_pattern(pattern)
            tokens.append(_One(((pattern[at], pattern[at]),)))
        at += 1
    return tuple(tokens)


def bad_pattern(pattern: str) -> ArtifactError:
    """The error about a malformed pattern."""
    return ArtifactError(f"the pattern {pattern!r} is malformed")


def _class(pattern: str, at: int) -> tuple[_One, int]:
    """Parses a class such as ``[a-z]``. Returns it and the index behind it."""
    negated = pattern[at : at + 1] in ("^", "!")
    at += negated
    ranges: list[tuple[str, str]] = []
    while pattern[at : at + 1] != "]" or not ranges:
        low, at = _letter(pattern, at)
        high = low
        if pattern[at : at + 1] == "-":
            high, at = _letter(pattern, at + 1)
        ranges.append((low, high))
    return _One(tuple(ranges), negated), at


def _letter(pattern: str, at: int) -> tuple[str, int]:
    escaped = pattern[at : at + 1] == "\\"
    at += escaped
    if at >= len(pattern) or (not escaped and pattern[at] in "-]"):
        raise bad_pattern(pattern)
    return pattern[at], at + 1


def part_matches(part: _Part, name: str) -> bool:
    """Whether a name matches one part of a pattern."""
    at = token = 0
    star, again = -1, 0
    while at < len(name):
        current = part[token] if token < len(part) else None
        if current is _STAR:
            star, again = token, at
            token += 1
        elif isinstance(current, _One) and current.takes(name[at]):
            at, token = at + 1, token + 1
        elif star >= 0:
            again += 1
            at, token = again, star + 1
        else:
            return False
    return all(rest is _STAR for rest in part[token:])


class DoubleStar:
    """A pattern in which ``**`` is any number of parts, and ``{a,b}`` either of several texts.

    Raises: ArtifactError when it is malformed.
    """

    def __init__(self, pattern: str) -> None:
        self.has_slash = "/" in pattern
        self._all = [
            tuple(None if part == "**" else part_of(part) for part in one.split("/")) for one in _alternatives(pattern)
        ]

    def matches(self, path: str) -> bool:
        """Whether a path matches."""
        names = path.split("/")
        return any(_parts_match(parts, names) for parts in self._all)


def _parts_match(parts: Sequence[_Part | None], names: Sequence[str]) -> bool:
    reached = [True] + [False] * len(names)
    for part in parts:
        following = [False] * (len(names) + 1)
        if part is None:
            following[0] = reached[0]
            for count in range(1, len(names) + 1):
                following[count] = reached[count] or following[count - 1]
        else:
            for count, name in enumerate(names):
                following[count + 1] = reached[count] and part_matches(part, name)
        reached = following
    return reached[-1]


def _alternatives(pattern: str) -> list[str]:
    """The patterns without braces that one with braces means: ``a{b,c}`` means ``ab`` and ``ac``."""
    done: list[str] = []
    waiting = [pattern]
    while waiting:
        if len(waiting) + len(done) > _MAX_ALTERNATIVES:
            raise ArtifactError(f"the pattern {pattern!r} has more than {_MAX_ALTERNATIVES} alternatives")
        one = waiting.pop()
        found = _braces(one)
        if found is None:
            done.append(one)
        else:
            first, last, choices = found
            waiting += [one[:first] + choice + one[last + 1 :] for choice in choices]
    return done


def _braces(pattern: str) -> tuple[int, int, list[str]] | None:
    """The first braces of a pattern: where they begin and end, and what is between."""
    first, depth, cuts, at = -1, 0, [], 0
    while at < len(pattern):
        character = pattern[at]
        if character == "\\":
            at += 1
        elif character == "{":
            depth += 1
            if depth == 1:
                first, cuts = at, [at]
        elif character == "," and depth == 1:
            cuts.append(at)
        elif character == "}" and depth:
            depth -= 1
            if not depth:
                cuts.append(at)
                return first, at, [pattern[a + 1 : b] for a, b in pairwise(cuts)]
        at += 1
    if depth:
        raise bad_pattern(pattern)
    return None
