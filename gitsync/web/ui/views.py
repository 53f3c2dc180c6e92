"""What each page shows, worked out of what is known. Pure: no clock, no network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gitsync.api.identity import CommitInfo, Manifest, ObjectKey
from gitsync.api.names import HELM_RELEASE, HELM_REPOSITORY, KUSTOMIZATION, SUSPENDED
from gitsync.graph import Cycle
from gitsync.live import columns
from gitsync.live.commits import RecordedCommit
from gitsync.live.known import Known
from gitsync.live.objecttree import ObjectNode
from gitsync.live.standing import Standing
from gitsync.live.why import Followed, Why, why
from gitsync.release.dependencies.states import commit_of
from gitsync.sync.storage.history import JournalEntry

STATUSES: Final = ("failed", "waiting", "suspended", "ready")
#: Rows of a page of a list; causes, acts and commits of the overview.
PAGE: Final = 100
CAUSES: Final = 12
ACTS: Final = 12
COMMITS: Final = 8
#: As many objects that are not ready are asked for their causes.
_ASKED = 3000
#: Names that are written out of those that something holds up.
HELD: Final = 6

#: What a page is about: its path, and which objects.
Kinds = Callable[[ObjectKey], bool]


@dataclass(frozen=True, slots=True)
class Tile:
    """How many objects of some kinds stand how; ``unseen`` are those of these kinds that cannot be seen."""

    title: str
    path: str
    counts: Mapping[str, int]
    unseen: Sequence[str] = ()

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.counts.values())

    def shares(self) -> Iterator[tuple[str, float, float]]:
        """Each status with where its part of a bar of 100 begins, and how wide that is."""
        begin = 0.0
        for status in STATUSES:
            if number := self.counts.get(status, 0):
                width = 100 * number / self.total
                yield status, round(begin, 2), round(width, 2)
                begin += width


@dataclass(frozen=True, slots=True)
class Row:
    """One object of a list."""

    key: ObjectKey
    standing: Standing
    revision: str
    commit: CommitInfo | None


@dataclass(frozen=True, slots=True)
class Cause:
    """What holds objects up: the longest chain that leads to it, and whom it holds up, itself left out."""

    why: Why
    holds: Sequence[ObjectKey]

    @property
    def named(self) -> Sequence[ObjectKey]:
        """Those that are written out."""
        return self.holds[:HELD]


def tile(title: str, path: str, kinds: Kinds, known: Known, unseen: Sequence[str] = ()) -> Tile:
    """The counts of some kinds."""
    return Tile(title, path, Counter(found.status for key, found in known.standings().items() if kinds(key)), unseen)


def rows(keys: Iterable[ObjectKey], known: Known) -> list[Row]:
    """Objects as rows of a list; those that are gone are left out."""
    found = []
    for key in keys:
        manifest, standing = known.find(key), known.standing(key)
        if manifest is not None and standing is not None:
            found.append(Row(key, standing, revision_of(key, manifest), commit_of(manifest)))
    return found


def matching(known: Known, kinds: Kinds, text: str, status: str) -> list[ObjectKey]:
    """Objects whose kind, namespace and name hold all words of ``text``, of one status ("" for any): what is not ready
    first, else by name."""
    words = text.lower().split()
    found = [
        (STATUSES.index(standing.status), key)
        for key, standing in known.standings().items()
        if kinds(key) and (not status or standing.status == status) and all(word in str(key).lower() for word in words)
    ]
    return [key for _, key in sorted(found)]


def causes(known: Known) -> list[Cause]:
    """What holds objects up, what has failed and holds up most first."""
    found: dict[ObjectKey | Cycle[ObjectKey], list[Why]] = {}
    waiting = [key for key, standing in known.standings().items() if standing.status in ("failed", "waiting")]
    followed: Followed = {}
    for key in sorted(waiting)[:_ASKED]:
        chain = why(key, known, followed=followed)
        found.setdefault(chain.cycle or chain.cause.key, []).append(chain)
    made = [_cause(chains) for chains in found.values()]
    return sorted(made, key=lambda item: (_urgency(item.why), -len(item.holds), item.why.cause.key))


def _cause(chains: Sequence[Why]) -> Cause:
    longest = max(chains, key=lambda chain: len(chain.links))
    members = frozenset(longest.cycle.members) if longest.cycle is not None else frozenset({longest.cause.key})
    return Cause(longest, [chain.links[0].key for chain in chains if chain.links[0].key not in members])


def _urgency(chain: Why) -> int:
    if chain.is_failure:
        return 0
    return 1 if chain.cause.status == "suspended" else 2


def is_held_up(key: ObjectKey, known: Known) -> bool:
    """Whether an object has failed, or waits."""
    standing = known.standing(key)
    return standing is not None and standing.status in ("failed", "waiting")


def acting(known: Known) -> list[ObjectKey]:
    """What the agent is at work on."""
    return sorted(key for key, standing in known.standings().items() if standing.is_acting)


def revision_of(key: ObjectKey, manifest: Manifest) -> str:
    """What an object has now: a chart, a commit, an artifact."""
    if key.kind == HELM_RELEASE:
        return f"{columns.chart(manifest)} {columns.release_revision(manifest)}".strip()
    if key.kind == KUSTOMIZATION:
        return columns.applied_revision(manifest)
    return columns.repository_revision(manifest) if key.kind == HELM_REPOSITORY else columns.artifact_revision(manifest)


@dataclass(frozen=True, slots=True)
class Branch:
    """A line of a tree: the object, and how deep below the first it is."""

    depth: int
    node: ObjectNode


def branches(tree: ObjectNode, known: Known) -> list[Branch]:
    """What is below an object, as lines, those of our own kinds as they stand."""
    found: list[Branch] = []

    def walk(nodes: Iterable[ObjectNode], depth: int) -> None:
        for node in nodes:
            standing = known.standing(node.key)
            if standing is not None:
                node = ObjectNode(node.key, standing.status, standing.message, node.children)
            found.append(Branch(depth, node))
            walk(node.children, depth + 1)

    walk(tree.children, 0)
    return found


def users(source: ObjectKey, known: Known) -> list[ObjectKey]:
    """What takes something from a source, what is not ready first."""
    found = [key for key in known.keys(bool) if known.source(key) == source]
    return sorted(found, key=lambda key: (not is_held_up(key, known), key))


def through(key: ObjectKey, commits: Iterable[RecordedCommit]) -> list[tuple[RecordedCommit, JournalEntry]]:
    """The commits that did something through a Kustomization, newest first, and what that was."""
    if key.kind != KUSTOMIZATION:
        return []
    return [(item, item.through[key.namespaced_name]) for item in commits if key.namespaced_name in item.through]


def in_words(kind: str, condition: Mapping[str, object]) -> str:
    """What a condition means, in plain words; "" for one that is not ours."""
    status, reason = str(condition.get("status")), str(condition.get("reason"))
    if reason == SUSPENDED:
        return "The agent leaves it alone."
    return _WORDS.get((kind, status), "")


_WORDS: Final = {
    ("Ready", "True"): "It is as Git wants it.",
    ("Ready", "False"): "It is not as Git wants it.",
    ("Ready", "Unknown"): "The agent is working on it.",
    ("Reconciling", "True"): "The agent is working on it, or waits until it can.",
    ("Stalled", "True"): "Nothing more is tried until something changes: the spec, the source, or a reset.",
    ("Released", "True"): "The newest revision is in the cluster.",
    ("Released", "False"): "The last install or upgrade failed.",
    ("Released", "Unknown"): "An install or upgrade is under way.",
    ("TestSuccess", "True"): "The chart's tests passed.",
    ("TestSuccess", "False"): "The chart's tests failed.",
    ("Remediated", "True"): "A failed revision was rolled back or uninstalled.",
    ("Remediated", "False"): "Rolling back or uninstalling a failed revision failed.",
    ("Drifted", "True"): "Its objects were changed by somebody else.",
    ("Healthy", "True"): "All that it has applied is ready.",
    ("Healthy", "False"): "Something that it has applied is not ready.",
    ("Healthy", "Unknown"): "What it has applied is being waited for.",
    ("ArtifactInStorage", "True"): "Its artifact is there to be used.",
    ("ArtifactInStorage", "False"): "Nothing was read yet that could be used.",
    ("FetchFailed", "True"): "It could not be read when that was last tried.",
    ("SourceVerified", "True"): "Its signature was verified.",
    ("SourceVerified", "False"): "Its signature could not be verified.",
}
