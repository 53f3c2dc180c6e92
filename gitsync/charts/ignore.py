"""``.helmignore`` as Helm reads it (pkg/ignore): like .gitignore, but without ``**`` and with rules of its own."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from dataclasses import dataclass

from gitsync.errors import ChartError

#: Helm's built-in rule, always appended.
_DEFAULT = "templates/.?*"


@dataclass(frozen=True, slots=True)
class _Rule:
    pattern: re.Pattern[str]
    negated: bool
    directories_only: bool
    whole_path: bool

    def matches(self, path: str) -> bool:
        return self.pattern.fullmatch(path if self.whole_path else posixpath.basename(path)) is not None


class HelmIgnore:
    """The rules of one chart's ``.helmignore``."""

    def __init__(self, text: str = "") -> None:
        """Raises: ChartError for a pattern that Helm refuses."""
        lines = [*text.removeprefix("\ufeff").splitlines(), _DEFAULT]
        self._rules = [rule for line in lines if (rule := _rule(line.strip())) is not None]

    def kept(self, paths: Iterable[str]) -> list[str]:
        """The paths (of files, relative to the chart) that are not ignored, directly or through a directory."""
        hidden: dict[str, bool] = {"": False}
        return [path for path in paths if not self._hidden(path, hidden) and not self._ignores(path, False)]

    def _hidden(self, path: str, known: dict[str, bool]) -> bool:
        """Whether one of the directories above a file is ignored; ``known`` remembers them."""
        above = ""
        for match in re.finditer("/", path):
            directory = path[: match.start()]
            if directory not in known:
                known[directory] = known[above] or self._ignores(directory, True)
            above = directory
        return known[above]

    def _ignores(self, path: str, directory: bool) -> bool:
        for rule in self._rules:
            if rule.negated:
                # Helm's negation ignores everything that does not match.
                if (rule.directories_only and not directory) or not rule.matches(path):
                    return True
            elif (directory or not rule.directories_only) and rule.matches(path):
                return True
        return False


def _rule(line: str) -> _Rule | None:
    if not line or line.startswith("#"):
        return None
    if "**" in line:
        raise ChartError(f".helmignore: double-star (**) is not supported: {line[:100]!r}")
    negated = line.startswith("!")
    pattern = line[1:] if negated else line
    directories_only = pattern.endswith("/")
    pattern = pattern.removesuffix("/")
    whole_path = "/" in pattern
    return _Rule(_compiled(pattern.removeprefix("/")), negated, directories_only, whole_path)


def _compiled(pattern: str) -> re.Pattern[str]:
    """Go's filepath.Match as a regular expression: ``*`` and ``?`` stop at slashes, ``[^a-z]`` negates."""
    first, *rest = _between_stars(pattern)
    if not rest:
        return re.compile(first, re.DOTALL)
    # The first place where a piece fits is as good as any later one, so the search never has to come back (`(?>`);
    # else a pattern of many stars would take for ever.
    middle = "".join(f"(?>[^/]*?{piece})" for piece in rest[:-1] if piece)
    return re.compile(f"{first}{middle}[^/]*{rest[-1]}", re.DOTALL)


def _between_stars(pattern: str) -> list[str]:
    pieces = [""]
    position = 0
    while position < len(pattern):
        character = pattern[position]
        position += 1
        if character == "*":
            pieces.append("")
        elif character == "?":
            pieces[-1] += "[^/]"
        elif character == "[":
            end = _class_end(pattern, position)
            pieces[-1] += _class(pattern[position:end], pattern)
            position = end + 1
        elif character == "\\":
            if position == len(pattern):
                raise _bad(pattern)
            pieces[-1] += re.escape(pattern[position])
            position += 1
        else:
            pieces[-1] += re.escape(character)
    return pieces


def _class_end(pattern: str, start: int) -> int:
    position = start + (1 if pattern.startswith("^", start) else 0)
    first = position
    while position < len(pattern):
        if pattern[position] == "\\":
            position += 1
        elif pattern[position] == "]" and position > first:
            return position
        position += 1
    raise _bad(pattern)


def _class(body: str, pattern: str) -> str:
    negated = body.startswith("^")
    parts = re.findall(r"\\?(.)(?:(-)\\?(.))?", body[1:] if negated else body, re.DOTALL)
    ranges = "".join(f"{re.escape(low)}-{re.escape(high)}" if dash else re.escape(low) for low, dash, high in parts)
    try:
        compiled = f"[{'^' if negated else ''}{ranges}]"
        re.compile(compiled)
    except re.error:
        raise _bad(pattern) from None
    return compiled


def _bad(pattern: str) -> ChartError:
    return ChartError(f".helmignore: bad pattern {pattern[:100]!r}")
