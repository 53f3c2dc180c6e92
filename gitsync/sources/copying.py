"""What an artifact holds, by the copies that an ArtifactGenerator names: files of sources, put where it says. Pure.

Copies are those of Flux's source-watcher: like ``cp -r``, but that a directory is put below ``to`` under its own name,
a pattern keeps the path that it matches, and ``dir/**`` is what is in the directory. ``*`` is any name of one level,
``**`` at the end of ``from`` as well, since directories are copied with all that is in them.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from gitsync.api.generator import CopyOperation, OutputArtifact
from gitsync.errors import ArtifactError, FieldNotSupported
from gitsync.git import MAX_PATHS
from gitsync.sources.globs import DoubleStar, part_matches, part_of
from gitsync.tree import Entries, TreeEntry

_GLOB = frozenset("*?[]")


@dataclass
class Listing:
    """The files of a source, sorted by path."""

    entries: Entries

    def is_directory(self, path: str) -> bool:
        """Whether there is a directory, "" for the root."""
        return not path or bool(self.entries.below(path))

    def file(self, path: str) -> TreeEntry | None:
        """The file at a path."""
        return self.entries.find(path)

    def below(self, path: str) -> Sequence[TreeEntry]:
        """The files below a directory."""
        return self.entries.below(path)

    def matching(self, pattern: str) -> list[str]:
        """The files and directories that a pattern means, part by part, sorted. Raises: ArtifactError."""
        found = [""]
        for part in map(part_of, pattern.removeprefix("./").split("/")):
            found = [
                f"{above}/{name}" if above else name
                for above in found
                for name in self._names(above)
                if part_matches(part, name)
            ]
        return sorted(found)

    def _names(self, directory: str) -> Iterator[str]:
        """What is in a directory."""
        inside, entries, index = f"{directory}/" if directory else "", self.entries.below(directory), 0
        while index < len(entries):
            name, is_directory, _ = entries[index].path[len(inside) :].partition("/")
            yield name
            index = entries.before(f"{inside}{name}0") if is_directory else index + 1  # "0" comes after "/"


@dataclass
class _Target:
    """What has been copied by now: files, and from which source, with the directories that they are in."""

    files: dict[str, tuple[str, TreeEntry]] = field(default_factory=dict)
    directories: set[str] = field(default_factory=lambda: {""})

    def put(self, path: str, alias: str, entry: TreeEntry) -> None:
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
        self.files[path] = alias, entry._replace(path=path)
        if len(self.files) > MAX_PATHS:
            raise ArtifactError(f"the artifact has more than {MAX_PATHS:,} files", hint="copy less, or exclude some")


def copied(artifact: OutputArtifact, sources: Mapping[str, Listing]) -> list[tuple[str, TreeEntry]]:
    """The files of an artifact, each with the alias of its source, under the path that it has in the artifact.

    Raises: ArtifactError for what cannot be copied, saying by which field.
    """
    target = _Target()
    for number, operation in enumerate(artifact.copy_):
        try:
            _copy(operation, sources, target)
        except ArtifactError as error:
            place = f"artifact {artifact.name!r}: copy[{number}] from {operation.source!r} to {operation.to!r}"
            raise ArtifactError(f"{place}: {error.message}", hint=error.hint) from error
    return list(target.files.values())


def check_strategies(artifact: OutputArtifact, number: int) -> None:
    """Raises: FieldNotSupported for strategies that are not carried out."""
    for index, operation in enumerate(artifact.copy_):
        if operation.strategy not in (None, "Overwrite"):
            raise FieldNotSupported(
                f"spec.artifacts[{number}].copy[{index}].strategy: {operation.strategy} is not supported yet "
                f"(artifact {artifact.name!r})",
                hint="use Overwrite, or leave this ArtifactGenerator to Flux",
            )


def _copy(operation: CopyOperation, sources: Mapping[str, Listing], target: _Target) -> None:
    alias, _, pattern = operation.source.removeprefix("@").partition("/")
    to = operation.to.removeprefix("@artifact/")
    excluded = _Excluded([DoubleStar(one) for one in operation.exclude])
    if (source := sources.get(alias)) is None:
        raise ArtifactError(f"there is no source with the alias {alias!r}")
    if not _GLOB & set(pattern):
        _copy_one(source, alias, _inside(pattern, "the source"), to, excluded, target)
        return
    matches = source.matching(pattern)
    if not matches:
        raise ArtifactError("no file matches the pattern")
    base = literal_prefix(pattern)
    kept = [match for match in matches if not excluded.holds(match, base)]
    if not kept:
        raise ArtifactError("all that matches the pattern is excluded")
    cut = f"{pattern.removesuffix('/**')}/" if pattern.endswith("/**") else ""
    for match in kept:
        where = _inside(posixpath.join(to, match.removeprefix(cut)), "the artifact")
        entry = source.file(match)
        if entry is not None:
            target.put(where, alias, entry)
        else:
            _copy_directory(source, alias, match, where, base, excluded, target)


def _copy_one(source: Listing, alias: str, path: str, to: str, excluded: _Excluded, target: _Target) -> None:
    """A file or a directory that is named without a pattern."""
    where = _inside(to, "the artifact")
    if source.is_directory(path):
        own = _inside(posixpath.join(where, posixpath.basename(path)), "the artifact")
        _copy_directory(source, alias, path, own, path, excluded, target)
        return
    entry = source.file(path)
    if entry is None:
        raise ArtifactError(f"there is no {path!r} in the source")
    if excluded.holds(path, ""):
        return
    if to.endswith("/") or where in target.directories:
        where = posixpath.join(where, posixpath.basename(path))
    target.put(where, alias, entry)


def _copy_directory(
    source: Listing, alias: str, path: str, where: str, base: str, excluded: _Excluded, target: _Target
) -> None:
    """All that is below a directory, but for what is excluded, or in a directory that is."""
    cut = len(path) + 1 if path else 0
    for entry in source.below(path):
        if not any(excluded.holds(above, base) for above in _way(entry.path, cut)):
            target.put(posixpath.join(where, entry.path[cut:]), alias, entry)


def _way(path: str, cut: int) -> Iterator[str]:
    """The directories to a file, from those at ``cut`` on, and the file itself."""
    at = path.find("/", cut)
    while at >= 0:
        yield path[:at]
        at = path.find("/", at + 1)
    yield path


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
    """A path without ``.`` and ``..``, "" for the root. Raises: ArtifactError for one that leads out."""
    clean = posixpath.normpath(path) if path else "."
    if clean.startswith("/") or clean.split("/")[0] == "..":
        raise ArtifactError(f"{path!r} leads out of {what}", hint="write it from its root on, without a leading /")
    return "" if clean == "." else clean


def literal_prefix(pattern: str) -> str:
    """The directories of a pattern before its first special character."""
    parts = []
    for part in posixpath.normpath(pattern).split("/"):
        if _GLOB & set(part):
            break
        parts.append(part)
    return "/".join(parts)
