"""The files of a tree as a build sees them: without those that the repository leaves out."""

from __future__ import annotations

import posixpath
from bisect import bisect_left
from collections.abc import Iterator, Sequence

from gitsync.api.identity import Origin
from gitsync.errors import ManifestError
from gitsync.manifests import IgnoreRules
from gitsync.tree import TreeEntry

#: The names of kustomize's own file, in the order in which it looks for them.
KUSTOMIZATION_FILES = ("kustomization.yaml", "kustomization.yml", "Kustomization")
_IGNORED_HINT = "nothing is built of what is below this directory until it is put right"


class Files:
    """``entries`` are all files of a tree, sorted by path. Paths have ``/`` between their parts, and "" is the root."""

    def __init__(self, entries: Sequence[TreeEntry], rules: IgnoreRules) -> None:
        self._entries = entries
        self._paths = [entry.path for entry in entries]
        self._rules = rules

    def file(self, path: str) -> TreeEntry | None:
        """The file at ``path``; None for a directory, for nothing, and for what is left out."""
        index = bisect_left(self._paths, path)
        if index == len(self._paths) or self._paths[index] != path or self._is_ignored(self._entries[index]):
            return None
        return self._entries[index]

    def is_directory(self, path: str) -> bool:
        """Whether there is a directory with a file in it."""
        return any(not self._is_ignored(entry) for entry in self._below(path))

    def below(self, path: str) -> list[TreeEntry]:
        """The files in and below a directory, by path."""
        return [entry for entry in self._below(path) if not self._is_ignored(entry)]

    def kustomizations(self, directory: str) -> list[TreeEntry]:
        """kustomize's own files in a directory; more than one is a mistake."""
        found = (self.file(posixpath.join(directory, name)) for name in KUSTOMIZATION_FILES)
        return [entry for entry in found if entry is not None]

    def is_left_out(self, path: str) -> bool:
        """Whether something is at ``path`` that the repository leaves out."""
        index = bisect_left(self._paths, path)
        at = self._paths[index] if index < len(self._paths) else ""
        return at == path or at.startswith(f"{path}/")

    def broken_rules(self, directory: str) -> ManifestError | None:
        """What is wrong with a .sourceignore whose rules count in or below ``directory``."""
        for broken in sorted(self._rules.broken):
            if not directory or f"{directory}/".startswith(broken) or broken.startswith(f"{directory}/"):
                error = next((item for item in self._rules.errors if item.origin.path.startswith(broken)), None)
                return error or ManifestError("its rules cannot be read", origin=Origin(broken), hint=_IGNORED_HINT)
        return None

    def _below(self, path: str) -> Iterator[TreeEntry]:
        first = bisect_left(self._paths, f"{path}/") if path else 0
        yield from self._entries[first:] if not path else self._from(first, f"{path}/")

    def _from(self, first: int, prefix: str) -> Iterator[TreeEntry]:
        index = first
        while index < len(self._paths) and self._paths[index].startswith(prefix):
            yield self._entries[index]
            index += 1

    def _is_ignored(self, entry: TreeEntry) -> bool:
        return self._rules.ignored(entry.path)


def joined(directory: str, path: str) -> str | None:
    """Where a relative path leads from a directory of the tree; None if that is out of the tree."""
    if path.startswith("/"):
        return None
    found = posixpath.normpath(posixpath.join(directory, path))
    if found == ".." or found.startswith("../"):
        return None
    return "" if found == "." else found
