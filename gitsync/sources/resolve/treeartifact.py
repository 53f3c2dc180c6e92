"""What Kustomizations are built from: the tree of a source, whatever its kind."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from gitsync.api.identity import CommitInfo, ObjectKey
from gitsync.tree import Tree

#: How many characters of a digest are shown, the algorithm's name included.
_SHOWN = 19


@dataclass(frozen=True)
class TreeArtifact:
    """The tree that a source has now. ``revision`` is written as Flux writes it (``main@sha1:...``); ``commit`` is what
    log lines name, and ``url`` where it came from, without credentials. ``origin`` is the revision of a Git repository
    that an artifact of a registry says it was made of, "" without one."""

    revision: str
    commit: CommitInfo
    url: str
    tree: Tree = field(repr=False)
    origin: str = ""


def shortened(revision: str) -> str:
    """A revision with only the first digits of its digest."""
    tag, at, digest = revision.rpartition("@")
    return f"{tag}{at}{digest[:_SHOWN]}"


class TreeSource(Protocol):
    """Finds the tree of a source."""

    async def tree_of(self, source: ObjectKey) -> TreeArtifact:
        """What a source has now.

        Raises: SourceNotReady when it does not exist, has nothing yet, or is of a kind that has no tree.
        """
        ...

    def revision_of(self, source: ObjectKey) -> str:
        """The revision that a source has now; "" when it has none."""
        ...

    def is_coming(self, source: ObjectKey) -> bool:
        """Whether a source exists, and was not read yet."""
        ...
