"""What commits did, by the journals of the cluster: the root's, and those of Kustomizations. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gitsync.sync.storage.history import JournalEntry, append


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
        return max(entry.time for entry in self.entries)

    @property
    def entries(self) -> Sequence[JournalEntry]:
        """All that it did."""
        return (*filter(None, [self.root]), *self.through.values())

    @property
    def is_running(self) -> bool:
        """Whether part of it is under way."""
        return any(entry.result == "running" for entry in self.entries)

    @property
    def is_done(self) -> bool:
        """Whether the sync of the settings has carried it out, be it that some of it has failed."""
        return self.root is not None and self.root.result not in ("held", "running")


def held_commit(root: Sequence[JournalEntry]) -> JournalEntry | None:
    """The commit that is held until somebody confirms it, of a journal with what is under way; None for none."""
    return root[0] if root and root[0].result == "held" else None


def with_those_under_way(
    journals: Mapping[str, Sequence[JournalEntry]], under_way: Mapping[str, Sequence[JournalEntry]]
) -> dict[str, Sequence[JournalEntry]]:
    """The journals of syncs, "" for that of the settings, with what these are at; but for what is in a journal by
    now, which is written before the other is taken back."""
    found = dict(journals)
    for name, entries in under_way.items():
        past = tuple(found.get(name, ()))
        for entry in entries:
            if not past or past[0].time < entry.time:
                found[name] = append(past, entry)
    return found


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
