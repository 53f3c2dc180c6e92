"""What commits did, by the journals in the cluster: that of the sync of the settings, and those of Kustomizations.
Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gitsync.sync.storage.history import JournalEntry, append


@dataclass
class RecordedCommit:
    """What one commit did: by the sync of the settings (None when it did nothing there), and through which
    Kustomizations."""

    root: JournalEntry | None = None
    through: dict[str, JournalEntry] = field(default_factory=dict)

    @property
    def first(self) -> JournalEntry:
        """The entry that the commit's author and subject are taken from."""
        return self.root or next(iter(self.through.values()))

    @property
    def time(self) -> float:
        """When its last part ended."""
        return max(entry.time for entry in self.entries)

    @property
    def entries(self) -> Sequence[JournalEntry]:
        """The entries of all journals about it."""
        return (*filter(None, [self.root]), *self.through.values())

    @property
    def is_running(self) -> bool:
        """Whether part of it is under way."""
        return any(entry.result == "running" for entry in self.entries)

    @property
    def is_done(self) -> bool:
        """Whether the sync of the settings has carried it out, even if parts of it have failed."""
        return self.root is not None and self.root.result not in ("held", "running")


def held_commit(root: Sequence[JournalEntry]) -> JournalEntry | None:
    """The commit that is held until it is confirmed, by a journal that has what is under way; None for none."""
    return root[0] if root and root[0].result == "held" else None


def with_those_under_way(
    journals: Mapping[str, Sequence[JournalEntry]], under_way: Mapping[str, Sequence[JournalEntry]]
) -> dict[str, Sequence[JournalEntry]]:
    """The journals of syncs ("" for that of the settings), with what these are doing now. What is in a journal
    already is not added: it is written before the note of what is under way is removed."""
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
    """The recorded commits, newest first, each with what it did through Kustomizations."""
    found: dict[str, RecordedCommit] = {}
    for entry in root:
        found.setdefault(entry.commit, RecordedCommit(entry))
    for name, entries in sorted(kustomizations.items()):
        for entry in entries:
            found.setdefault(entry.commit, RecordedCommit()).through.setdefault(name, entry)
    return sorted(found.values(), key=lambda item: item.time, reverse=True)
