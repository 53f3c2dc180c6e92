"""The files of a tree as a build sees them: without those that the repository leaves out."""

from __future__ import annotations

import posixpath
from collections.abc import Callable

from gitsync.api.identity import Origin
from gitsync.errors import ManifestError
from gitsync.manifests import IgnoreRules
from gitsync.tree import Entries, TreeEntry

#: The names of kustomize's own file, in the order in which it looks for them.
KUSTOMIZATION_FILES = ("kustomization.yaml", "kustomization.yml", "Kustomization")
_IGNORED_HINT = "nothing is built of what is below this directory until it is put right"


class Files:
    """``entries`` are all files of a tree, sorted by path. Paths have ``/`` between their parts, and "" is the root.
    ``leaves_out`` says what the tree's source has left out."""

    def __init__(self, entries: Entries, rules: IgnoreRules, leaves_out: Callable[[str], bool]) -> None:
        self._entries = entries
        self._rules = rules
        self._leaves_out = leaves_out

    def file(self, path: str) -> TreeEntry | None:
        """The file at ``path``; None for a directory, for nothing, and for what is left out."""
        entry = self._entries.find(path)
        return None if entry is None or self._rules.ignored(path) else entry

    def is_directory(self, path: str) -> bool:
        """Whether there is a directory with a file in it."""
        return any(not self._rules.ignored(found) for found in self._entries.below(path).paths)

    def below(self, path: str) -> Entries:
        """The files in and below a directory, by path."""
        return self._entries.below(path).without(self._rules.ignored)

    def kustomizations(self, directory: str) -> list[TreeEntry]:
        """kustomize's own files in a directory; more than one is a mistake."""
        found = (self.file(posixpath.join(directory, name)) for name in KUSTOMIZATION_FILES)
        return [entry for entry in found if entry is not None]

    def left_out_by(self, path: str) -> str:
        """What leaves out that which is at ``path``; "" where nothing is."""
        if self._entries.find(path) is not None or self._entries.below(path):
            return ".sourceignore or by default"
        return "the ignore or sparseCheckout of the source" if self._leaves_out(path) else ""

    def broken_rules(self, directory: str) -> ManifestError | None:
        """What is wrong with a .sourceignore whose rules count in or below ``directory``."""
        for broken in sorted(self._rules.broken):
            if not directory or f"{directory}/".startswith(broken) or broken.startswith(f"{directory}/"):
                error = next((item for item in self._rules.errors if item.origin.path.startswith(broken)), None)
                return error or ManifestError("its rules cannot be read", origin=Origin(broken), hint=_IGNORED_HINT)
        return None


def joined(directory: str, path: str) -> str | None:
    """Where a relative path leads from a directory of the tree; None if that is out of the tree."""
    if path.startswith("/"):
        return None
    found = posixpath.normpath(posixpath.join(directory, path))
    if found == ".." or found.startswith("../"):
        return None
    return "" if found == "." else found
