"""Version choice as Helm makes it: Masterminds' semver grammar, which no Python library has.

Compared with npm's ranges (`semantic_version.NpmSpec`) it differs in three ways that charts rely on: versions are read
leniently (``v1.2`` is 1.2.0), a prerelease anywhere among the terms of an ``and`` group admits prereleases of every
version to the whole group, and an incomplete version is a range (``2`` and ``=2`` mean ``2.x``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache, total_ordering

from gitsync.text import shorten

#: Longer input is refused before any regular expression sees it (Masterminds' own bounds).
_MAX_VERSION = 256
_MAX_CONSTRAINT = 512
_MAX_GROUPS = 32
_MAX_NUMBER = 2**64 - 1
_LONGEST_SHOWN = 80

_EXTRA = r"(?:-(?P<pre>[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+(?P<build>[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?"
_VERSION = re.compile(r"v?([0-9]+)(?:\.([0-9]+))?(?:\.([0-9]+))?" + _EXTRA)
_STRICT = re.compile(r"v?(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*)){2}(?![0-9.])")
_PART = r"[0-9xX*|]+"
_PATTERN = rf"v?(?P<major>{_PART})(?:\.(?P<minor>{_PART}))?(?:\.(?P<patch>{_PART}))?{_EXTRA}"
_BARE = re.sub(r"\?P<\w+>", "?:", _PATTERN)
_OPERATOR = r"(?:=>|>=|=<|<=|!=|~>|=|<|>|~|\^)?"
_TERM = re.compile(rf"\s*(?P<operator>{_OPERATOR})\s*{_PATTERN}\s*", re.ASCII)
_HYPHEN = re.compile(rf"\s*({_BARE})\s+-\s+({_BARE})\s*", re.ASCII)
_WILDCARDS = frozenset("xX*")


class BadVersion(ValueError):
    """A version or constraint that cannot be read."""


@total_ordering
@dataclass(frozen=True, slots=True, eq=False)
class Version:
    """A semantic version; build metadata takes no part in order and equality."""

    major: int
    minor: int
    patch: int
    pre: str = ""

    @classmethod
    def parse(cls, text: str) -> Version:
        """``v1``, ``1.2`` and ``01.2.3`` are read too, as Helm reads them.

        Raises: BadVersion.
        """
        match = _VERSION.fullmatch(text) if len(text) <= _MAX_VERSION else None
        if match is None:
            raise BadVersion(f"{_shown(text)} is not a version")
        major, minor, patch = (int(part or 0) for part in match.group(1, 2, 3))
        if max(major, minor, patch) > _MAX_NUMBER:
            raise BadVersion(f"{_shown(text)} has a number that is too large")
        pre = match["pre"] or ""
        if any(part.isdigit() and len(part) > 1 and part[0] == "0" for part in pre.split(".")):
            raise BadVersion(f"{_shown(text)} has a prerelease number that starts with 0")
        return cls(major, minor, patch, pre)

    @property
    def order(self) -> tuple[int, int, int, int, tuple[tuple[int, int, str], ...]]:
        """Sorting key: a release comes after its prereleases, whose numbers come before words."""
        parts = tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in self.pre.split("."))
        return (self.major, self.minor, self.patch, 0 if self.pre else 1, parts if self.pre else ())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Version) and self.order == other.order

    def __lt__(self, other: Version) -> bool:
        return self.order < other.order

    def __hash__(self) -> int:
        return hash(self.order)


@dataclass(frozen=True, slots=True)
class _Term:
    """One comparison: an operator and a version whose trailing parts may be open (``any_`` says from which on)."""

    operator: str
    version: Version
    any_major: bool = False
    any_minor: bool = False
    any_patch: bool = False

    @property
    def open(self) -> bool:
        return self.any_major or self.any_minor or self.any_patch

    def allows(self, version: Version) -> bool:
        return _OPERATIONS[self.operator](self, version)


def _equal(term: _Term, version: Version) -> bool:
    return _tilde(term, version) if term.open else version == term.version


def _not_equal(term: _Term, version: Version) -> bool:
    wanted = term.version
    if not term.open:
        return version != wanted
    if version.major != wanted.major:
        return True
    # Masterminds treats `!=*` as `!=0.0.0` here: all parts of its version are 0 and none counts as open.
    if term.any_major:
        return version != wanted
    if term.any_minor:
        return False
    if version.minor != wanted.minor:
        return True
    return bool(version.pre or wanted.pre) and version.pre != wanted.pre


def _greater(term: _Term, version: Version) -> bool:
    if not (term.any_minor or term.any_patch):
        return version > term.version
    if term.any_minor or version.major != term.version.major:
        return version.major > term.version.major
    return version.minor > term.version.minor


def _less(term: _Term, version: Version) -> bool:
    return version < term.version


def _greater_equal(term: _Term, version: Version) -> bool:
    return version >= term.version


def _less_equal(term: _Term, version: Version) -> bool:
    wanted = term.version
    if not term.open:
        return version <= wanted
    if version.major != wanted.major:
        return version.major < wanted.major
    return version.minor <= wanted.minor or term.any_minor


def _tilde(term: _Term, version: Version) -> bool:
    wanted = term.version
    if version < wanted:
        return False
    if (wanted.major, wanted.minor, wanted.patch) == (0, 0, 0) and not (term.any_minor or term.any_patch):
        return True
    return version.major == wanted.major and (term.any_minor or version.minor == wanted.minor)


def _caret(term: _Term, version: Version) -> bool:
    wanted = term.version
    if version < wanted:
        return False
    if wanted.major > 0 or term.any_minor:
        return version.major == wanted.major
    if version.major > 0:
        return False
    if wanted.minor > 0 or term.any_patch:
        return version.minor == wanted.minor
    return version.minor == 0 and version.patch == wanted.patch


_OPERATIONS: dict[str, Callable[[_Term, Version], bool]] = {
    "": _equal,
    "=": _equal,
    "!=": _not_equal,
    ">": _greater,
    "<": _less,
    ">=": _greater_equal,
    "=>": _greater_equal,
    "<=": _less_equal,
    "=<": _less_equal,
    "~": _tilde,
    "~>": _tilde,
    "^": _caret,
}


@dataclass(frozen=True, slots=True)
class Constraint:
    """Alternatives (``||``), each a group of terms that must all hold (space or comma between them)."""

    groups: tuple[tuple[_Term, ...], ...]

    @classmethod
    def parse(cls, text: str) -> Constraint:
        """``""`` means ``*``. ``1.2 - 1.4`` means ``>=1.2 <=1.4``.

        Raises: BadVersion.
        """
        if len(text) > _MAX_CONSTRAINT:
            raise BadVersion(f"a version constraint has at most {_MAX_CONSTRAINT} characters")
        groups = _HYPHEN.sub(r">= \1, <= \2 ", text).split("||")
        if len(groups) > _MAX_GROUPS:
            raise BadVersion(f"a version constraint has at most {_MAX_GROUPS} alternatives")
        return cls(tuple(_group(group, text) for group in groups))

    def allows(self, version: Version) -> bool:
        """Whether the version lies in the range; a prerelease only if its group names a prerelease."""
        return any(
            (not version.pre or any(term.version.pre for term in group)) and all(term.allows(version) for term in group)
            for group in self.groups
        )


def _group(text: str, whole: str) -> tuple[_Term, ...]:
    if not text.strip() and not whole.strip():
        return (_Term("", Version(0, 0, 0), any_major=True),)
    terms: list[_Term] = []
    position = 0
    while position < len(text):
        match = _TERM.match(text, position)
        if match is None or (position and text[position - 1] != "," and not text[position - 1].isspace()):
            raise BadVersion(f"{_shown(whole)} is not a version constraint")
        terms.append(_term(match, whole))
        position = match.end()
        if text.startswith(",", position) and position + 1 < len(text):
            position += 1
    if not terms:
        raise BadVersion(f"{_shown(whole)} has an empty alternative")
    return tuple(terms)


def _term(match: re.Match[str], whole: str) -> _Term:
    major, minor, patch = match.group("major", "minor", "patch")
    suffix = f"-{match['pre']}" if match["pre"] else ""
    try:
        if major in _WILDCARDS:
            return _Term(match["operator"], Version.parse(f"0.0.0{suffix}"), any_major=True)
        if minor is None or minor in _WILDCARDS:
            return _Term(match["operator"], Version.parse(f"{major}.0.0{suffix}"), any_minor=True)
        if patch is None or patch in _WILDCARDS:
            return _Term(match["operator"], Version.parse(f"{major}.{minor}.0{suffix}"), any_patch=True)
        return _Term(match["operator"], Version.parse(f"{major}.{minor}.{patch}{suffix}"))
    except BadVersion:
        raise BadVersion(f"{_shown(whole)} is not a version constraint") from None


@lru_cache(maxsize=4096)
def parsed(text: str) -> Version | None:
    """The version, or None for text that is none; remembered, since an index is searched again and again."""
    try:
        return Version.parse(text)
    except BadVersion:
        return None


def is_strict(text: str) -> bool:
    """Whether it is a version of three numbers, perhaps after a ``v`` (Flux's ``version.ParseVersion``): a tag ``1.2``
    mostly moves from one version to the next."""
    return parsed(text) is not None and _STRICT.match(text) is not None


def with_build(text: str, build: str) -> str:
    """The version with this build metadata in the place of its own: ``v1.2`` is ``1.2.0+build``. Raises: BadVersion."""
    version = Version.parse(text)
    suffix = f"-{version.pre}" if version.pre else ""
    return f"{version.major}.{version.minor}.{version.patch}{suffix}+{build}"


def compatible(constraint: str, version: str) -> bool:
    """Helm's ``IsCompatibleRange``: False also when either of them cannot be read."""
    try:
        return Constraint.parse(constraint).allows(Version.parse(version))
    except BadVersion:
        return False


def choose(versions: Iterable[str], wanted: str) -> str | None:
    """The version that ``wanted`` means: that very text, else the highest in the range, None when there is none.

    The first of several equal ones (differing in build metadata) is taken, so give the newest first.

    Raises: BadVersion for a ``wanted`` that is neither in the list nor a constraint.
    """
    candidates = list(versions)
    if wanted and wanted in candidates:
        return wanted
    constraint = Constraint.parse(wanted)
    best: tuple[Version, str] | None = None
    for text in candidates:
        version = parsed(text)
        if version is not None and constraint.allows(version) and (best is None or version > best[0]):
            best = (version, text)
    return best[1] if best else None


def _shown(text: str) -> str:
    return repr(shorten(text, _LONGEST_SHOWN))
