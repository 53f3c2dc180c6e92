"""The files of a source, to be searched by patterns. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from gitsync.sources.generator.globs import DoubleStar, part_matches, part_of
from gitsync.tree import Entries, TreeEntry

#: The characters that make a path a pattern.
SPECIAL = frozenset("*?[]")


@dataclass
class Listing:
    """The files of a source, sorted by path."""

    entries: Entries

    def is_directory(self, path: str) -> bool:
        """Whether there is a directory at a path; "" is the root."""
        return not path or bool(self.entries.below(path))

    def file(self, path: str) -> TreeEntry | None:
        """The file at a path."""
        return self.entries.find(path)

    def below(self, path: str) -> Sequence[TreeEntry]:
        """The files below a directory."""
        return self.entries.below(path)

    def matching(self, pattern: str) -> list[str]:
        """The files and directories that match a pattern, part by part, sorted. Raises: ArtifactError."""
        found = [""]
        for part in map(part_of, pattern.removeprefix("./").split("/")):
            found = [
                f"{above}/{name}" if above else name
                for above in found
                for name in self._names(above)
                if part_matches(part, name)
            ]
        return sorted(found)

    def matching_deep(self, pattern: str) -> list[str]:
        """As ``matching``, where ``**`` is any number of parts, and ``{a,b}`` either of several texts."""
        pattern = pattern.removeprefix("./")
        wanted, seen = DoubleStar(pattern), set[str]()
        for path in self.entries.below(literal_prefix(pattern, "*?[]{\\")).paths:
            seen.update(way(path, 0))
        return sorted(filter(wanted.matches, seen))

    def directories(self, depth: int) -> Iterator[str]:
        """The directories at a depth below the root, sorted."""
        last = ""
        for path in self.entries.paths:
            parts = path.split("/", depth)
            directory = "/".join(parts[:depth])
            if len(parts) > depth and directory != last:
                last = directory
                yield directory

    def _names(self, directory: str) -> Iterator[str]:
        """The names of the entries of a directory."""
        inside, entries, index = f"{directory}/" if directory else "", self.entries.below(directory), 0
        while index < len(entries):
            name, is_directory, _ = entries[index].path[len(inside) :].partition("/")
            yield name
            index = entries.before(f"{inside}{name}0") if is_directory else index + 1  # "0" comes after "/"


def way(path: str, cut: int) -> Iterator[str]:
    """The directories to a file, from those at ``cut`` on, and the file itself."""
    at = path.find("/", cut)
    while at >= 0:
        yield path[:at]
        at = path.find("/", at + 1)
    yield path


def literal_prefix(pattern: str, special: Iterable[str] = SPECIAL) -> str:
    """The directories of a pattern before its first special character."""
    parts = []
    for part in posixpath.normpath(pattern).split("/"):
        if set(special) & set(part):
            break
        parts.append(part)
    return "/".join(parts)
