"""What an artifact holds, by the copies that an ArtifactGenerator names: files of sources, put where it says. Pure.

Copies are those of Flux's source-watcher: like ``cp -r``, but that a directory is put below ``to`` under its own name,
a pattern keeps the path that it matches, and ``dir/**`` is what is in the directory. ``*`` is any name of one level,
``**`` at the end of ``from`` as well, since directories are copied with all that is in them; where archives are
extracted ``**`` is any number of levels.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

from gitsync.api.generator import CopyOperation, OutputArtifact
from gitsync.errors import ArtifactError
from gitsync.git import MAX_PATHS
from gitsync.sources.generator.globs import DoubleStar
from gitsync.sources.generator.listing import SPECIAL, Listing, literal_prefix, way
from gitsync.tree import TreeEntry

_EXTRACT, _MERGE = "Extract", "Merge"
_ARCHIVES = (".tar.gz", ".tgz")
#: How many files may be merged into others in one artifact.
MAX_MERGED = 1000


class Part(NamedTuple):
    """A file at its path in the source, or in the archive, that is called ``origin`` in messages."""

    origin: str
    entry: TreeEntry


class CopiedFile(NamedTuple):
    """A file of an artifact, with its path there; ``over`` are the files that are merged into it, in this order."""

    origin: str
    entry: TreeEntry
    over: tuple[Part, ...] = ()


@dataclass
class _Target:
    """The files that were copied so far, and the directories that they are in."""

    files: dict[str, CopiedFile] = field(default_factory=dict)
    directories: set[str] = field(default_factory=lambda: {""})
    merged: int = 0

    def put(self, path: str, origin: str, entry: TreeEntry) -> None:
        if path in self.directories:
            raise ArtifactError(f"a file cannot be put at {path!r}: there is a directory")
        above = path.rpartition("/")[0]
        new = []
        while above not in self.directories:
            if above in self.files:
                raise ArtifactError(f"a file cannot be put at {path!r}: {above!r} is a file")
            new.append(above)
            above = above.rpartition("/")[0]
        self.directories.update(new)
        self.files[path] = CopiedFile(origin, entry._replace(path=path))
        if len(self.files) > MAX_PATHS:
            raise ArtifactError(f"the artifact has more than {MAX_PATHS:,} files", hint="copy less, or exclude some")

    def merge(self, path: str, origin: str, entry: TreeEntry) -> None:
        """Add a file, merged into the one at the same path, if there is one."""
        if (there := self.files.get(path)) is None:
            self.put(path, origin, entry)
            return
        self.merged += 1
        if self.merged > MAX_MERGED:
            raise ArtifactError(f"more than {MAX_MERGED:,} files are merged", hint="merge fewer, or exclude some")
        self.files[path] = there._replace(over=(*there.over, Part(origin, entry)))


@dataclass(frozen=True)
class _Copy:
    """A copy operation that was parsed: what it copies, and what it leaves out."""

    operation: CopyOperation
    alias: str
    pattern: str
    source: Listing
    excluded: _Excluded

    @classmethod
    def of(cls, operation: CopyOperation, sources: Mapping[str, Listing]) -> _Copy:
        alias, _, pattern = operation.source.removeprefix("@").partition("/")
        excluded = _Excluded([DoubleStar(one) for one in operation.exclude])
        if (source := sources.get(alias)) is None:
            raise ArtifactError(f"there is no source with the alias {alias!r}")
        return cls(operation, alias, pattern, source, excluded)

    @property
    def to(self) -> str:
        """The path at which its files are put."""
        return self.operation.to.removeprefix("@artifact/")

    @property
    def is_glob(self) -> bool:
        """Whether ``from`` is a pattern."""
        return bool(SPECIAL & set(self.pattern))

    def matches(self) -> list[str]:
        """The files and directories that match the pattern, without those that are excluded."""
        deep = self.operation.strategy == _EXTRACT
        found = self.source.matching_deep(self.pattern) if deep else self.source.matching(self.pattern)
        if not found:
            raise ArtifactError("no file matches the pattern")
        base = literal_prefix(self.pattern)
        kept = [match for match in found if not self.excluded.holds(match, base)]
        if not kept:
            raise ArtifactError("all that matches the pattern is excluded")
        return kept

    def archives(self) -> list[TreeEntry]:
        """The archives that it extracts: of those that match a pattern, the files with an archive's name."""
        if self.is_glob:
            paths = [path for path in self.matches() if _is_archive(path)]
        else:
            path = _inside(self.pattern, "the source")
            self._check_archive(path)
            paths = [] if self.excluded.holds(path, "") else [path]
        return [self._file(path) for path in paths]

    def _check_archive(self, path: str) -> None:
        if self.source.is_directory(path):
            raise ArtifactError(f"{path or '/'!r} is a directory: only archives can be extracted")
        if self.source.file(path) is not None and not _is_archive(path):
            raise ArtifactError(f"{path!r} is no archive", hint="name a .tar.gz or .tgz, or leave out the strategy")

    def _file(self, path: str) -> TreeEntry:
        if (entry := self.source.file(path)) is None:
            raise ArtifactError(f"there is no file {path!r} in the source")
        if entry.unreadable:
            raise ArtifactError(f"{path!r} is {entry.unreadable}")
        return entry


def archives(artifact: OutputArtifact, sources: Mapping[str, Listing]) -> dict[str, Part]:
    """The archives that are extracted into an artifact, by what ``copied`` wants to have their files called.

    Raises: ArtifactError, as ``copied``.
    """
    found: dict[str, Part] = {}
    for number, operation in enumerate(artifact.copy_):
        if operation.strategy == _EXTRACT:
            with _told(artifact, number):
                copy = _Copy.of(operation, sources)
                found |= {_origin(copy.alias, entry): Part(copy.alias, entry) for entry in copy.archives()}
    return found


def copied(
    artifact: OutputArtifact, sources: Mapping[str, Listing], extracted: Mapping[str, Listing] | None = None
) -> list[CopiedFile]:
    """The files of an artifact, each with the alias of its source; ``extracted`` are those of its ``archives``.

    Raises: ArtifactError for what cannot be copied, saying by which field.
    """
    target = _Target()
    for number, operation in enumerate(artifact.copy_):
        with _told(artifact, number):
            copy = _Copy.of(operation, sources)
            if operation.strategy == _EXTRACT:
                _extract(copy, extracted or {}, target)
            elif copy.is_glob:
                _copy_matches(copy, target)
            else:
                _copy_one(copy, target)
    return list(target.files.values())


@contextmanager
def _told(artifact: OutputArtifact, number: int) -> Iterator[None]:
    """Around a copy: errors name the artifact and the copy."""
    try:
        yield
    except ArtifactError as error:
        operation = artifact.copy_[number]
        place = f"artifact {artifact.name!r}: copy[{number}] from {operation.source!r} to {operation.to!r}"
        raise ArtifactError(f"{place}: {error.message}", hint=error.hint) from error


def _copy_matches(copy: _Copy, target: _Target) -> None:
    base, pattern = literal_prefix(copy.pattern), copy.pattern
    cut = f"{pattern.removesuffix('/**')}/" if pattern.endswith("/**") else ""
    for match in copy.matches():
        where = _inside(posixpath.join(copy.to, match.removeprefix(cut)), "the artifact")
        entry = copy.source.file(match)
        if entry is not None:
            _put(copy, where, entry, target)
        else:
            _copy_directory(copy, match, where, base, target)


def _copy_one(copy: _Copy, target: _Target) -> None:
    """Copies a file or a directory that is named without a pattern."""
    path, where = _inside(copy.pattern, "the source"), _inside(copy.to, "the artifact")
    if copy.source.is_directory(path):
        own = _inside(posixpath.join(where, posixpath.basename(path)), "the artifact")
        _copy_directory(copy, path, own, path, target)
        return
    entry = copy.source.file(path)
    if entry is None:
        raise ArtifactError(f"there is no {path!r} in the source")
    if copy.excluded.holds(path, ""):
        return
    if copy.to.endswith("/") or where in target.directories:
        where = posixpath.join(where, posixpath.basename(path))
    _put(copy, where, entry, target)


def _put(copy: _Copy, where: str, entry: TreeEntry, target: _Target) -> None:
    if copy.operation.strategy == _MERGE:
        target.merge(where, copy.alias, entry)
    else:
        target.put(where, copy.alias, entry)


def _copy_directory(copy: _Copy, path: str, where: str, base: str, target: _Target) -> None:
    """All that is below a directory, but for what is excluded, or in a directory that is. Nothing of it is merged, as
    with Flux."""
    cut = len(path) + 1 if path else 0
    for entry in copy.source.below(path):
        if not any(copy.excluded.holds(above, base) for above in way(entry.path, cut)):
            target.put(posixpath.join(where, entry.path[cut:]), copy.alias, entry)


def _extract(copy: _Copy, extracted: Mapping[str, Listing], target: _Target) -> None:
    """Adds the files of archives, with their paths in these, below one directory."""
    where = _inside(copy.to, "the artifact")
    for archive in copy.archives():
        origin = _origin(copy.alias, archive)
        for entry in extracted[origin].entries:
            target.put(posixpath.join(where, entry.path), origin, entry)


def _origin(alias: str, archive: TreeEntry) -> str:
    return f"{alias}/{archive.path}"


def _is_archive(path: str) -> bool:
    return path.lower().endswith(_ARCHIVES)


@dataclass
class _Excluded:
    """What a copy leaves out: by the path in the source, by the path from ``base`` on, and by the name alone where the
    pattern has no slash."""

    patterns: Sequence[DoubleStar]
    _known: dict[tuple[str, str], bool] = field(default_factory=dict)

    def holds(self, path: str, base: str) -> bool:
        """Whether a path is left out."""
        if not self.patterns:
            return False
        if (path, base) not in self._known:
            self._known[path, base] = self._meant(path) or bool(
                base and path.startswith(f"{base}/") and self._meant(path[len(base) + 1 :])
            )
        return self._known[path, base]

    def _meant(self, path: str) -> bool:
        name = path.rpartition("/")[2]
        return any(it.matches(path) or (not it.has_slash and it.matches(name)) for it in self.patterns)


def _inside(path: str, what: str) -> str:
    """A path without ``.`` and ``..``, "" for the root. Raises: ArtifactError for a path that leads out of it."""
    clean = posixpath.normpath(path) if path else "."
    if clean.startswith("/") or clean.split("/")[0] == "..":
        raise ArtifactError(f"{path!r} leads out of {what}", hint="write it from its root on, without a leading /")
    return "" if clean == "." else clean
