"""What commits did, by the journals of the cluster: the root's, and those of Kustomizations. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gitsync.sync.history import JournalEntry


@dataclass
class RecordedCommit:
    """What one commit did: itself, None where only Kustomizations did something, and through which of these."""

    root: JournalEntry | None = None
    through: dict[str, JournalEntry] = field(default_factory=dict)

    @property
    def first(self) -> JournalEntry:
        """What has the commit's author and subject."""
        return self.root or next(iter(self.through.values()))

    @property
    def time(self) -> float:
        """When its last part ended."""
        return max(entry.time for entry in (*self.through.values(), *filter(None, [self.root])))


def by_commit(
    root: Sequence[JournalEntry], kustomizations: Mapping[str, Sequence[JournalEntry]]
) -> Sequence[RecordedCommit]:
    """Newest first; what was done through Kustomizations belongs to the commit that did it."""
    found: dict[str, RecordedCommit] = {}
    for entry in root:
        found.setdefault(entry.commit, RecordedCommit(entry))
    for name, entries in sorted(kustomizations.items()):
        for entry in entries:
            found.setdefault(entry.commit, RecordedCommit()).through.setdefault(name, entry)
    return sorted(found.values(), key=lambda item: item.time, reverse=True)
