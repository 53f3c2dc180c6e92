"""Why an object is not ready: the chain from it down to the cause. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from gitsync.api import names
from gitsync.api.identity import CommitInfo, Manifest, ObjectKey
from gitsync.api.kinds import is_kustomization, is_release
from gitsync.api.names import ORIGIN_ANNOTATION
from gitsync.graph import Cycle
from gitsync.live.known import Known
from gitsync.live.link import Link, Relation, without_column
from gitsync.live.objecttree import ObjectNode
from gitsync.live.remedies import of_cycle, remedy
from gitsync.live.standing import Standing
from gitsync.release.dependencies.states import commit_of

#: How many links a chain has at most.
MAX_LINKS = 50
#: How many commits of a cycle are named.
_COMMITS: Final = 5
_CONSISTS: Final = "consists of"
_MADE: Final[Relation] = "has made"
#: Reasons that say nothing of what it is that is waited for.
_VAGUE = frozenset({"", "GenerationNotObserved", names.PROGRESSING, names.PROGRESSING_WITH_RETRY})
#: Reasons that are given for how what an object depends on is, its source, and what it has applied.
_OF_DEPENDENCIES = _VAGUE | {names.DEPENDENCY_NOT_READY, names.DEPENDENCY_MISSING}
#: Of a source of which there is no object: the synced repository goes by a name, too.
_OF_SOURCE = _VAGUE | {names.SOURCE_NOT_READY, names.ARTIFACT_FAILED}
_OF_PARTS = _VAGUE | {names.HEALTH_CHECK_FAILED, names.DEPENDENCY_NOT_READY}


@dataclass(frozen=True, slots=True)
class Why:
    """The links from the object that was asked about down to the cause, which is the last one; ``cycle`` is set when
    they end in one. ``remedy`` is how to mend it, "" when none is known; ``commits`` are those that last changed the
    objects at fault: one, or those of a cycle."""

    links: tuple[Link, ...]
    cycle: Cycle[ObjectKey] | None = None
    remedy: str = ""
    commits: tuple[CommitInfo, ...] = ()

    @property
    def cause(self) -> Link:
        """Where the chain ends."""
        return self.links[-1]

    @property
    def is_failure(self) -> bool:
        """Whether the state is a failure that does not pass by itself."""
        return self.cycle is not None or any(link.status in ("failed", "missing") for link in self.links)

    @property
    def origin(self) -> str:
        """Where in Git what the cause belongs to is written."""
        return next((link.origin for link in reversed(self.links) if link.origin), "")


#: What holds up whom, None for nothing: worked out once for chains that have much in common.
Followed = dict[ObjectKey, Link | None]


def why(key: ObjectKey, known: Known, tree: ObjectNode | None = None, followed: Followed | None = None) -> Why:
    """The chain from an object of our own kinds; the ``tree`` of its last object continues it down to pods.
    ``followed`` keeps what was found for other objects of the same ``known``."""
    followed = {} if followed is None else followed
    links = [_link(key, known)]
    seen = {key}
    while links[-1].status not in ("ready", "suspended", "missing") and len(links) < MAX_LINKS:
        held = known.order.held.get(links[-1].key)
        if held is not None and held.via is None:
            return Why(tuple(links), held.cycle, of_cycle(held.cycle), _commits(held.cycle, known))
        last = links[-1].key
        if last not in followed:
            followed[last] = next(_holding_up(last, known), None)
        following = followed[last]
        if following is None or following.key in seen:
            break
        links.append(following)
        seen.add(following.key)
    if tree is not None and tree.key == links[-1].key and links[-1].status not in ("ready", "suspended"):
        links += _down(tree)
    chain = Why(tuple(links))
    by = next((link.commit for link in reversed(links) if link.commit is not None), None)
    return Why(chain.links, None, remedy(chain.cause, chain.origin, _own(links)), (by,) if by is not None else ())


def why_part(tree: ObjectNode, owner: ObjectKey | None, known: Known) -> Why | None:
    """The chain from another object, such as a workload or a pod, down. ``owner`` is the object of our own kinds
    that it belongs to, None where that is not known. None when it is ready, or nothing is known of it."""
    if tree.status in ("ready", ""):
        return None
    own = _link(owner, known) if owner is not None else None
    first = Link(tree.key, tree.status, tree.reason, tree.message, tree.since)
    if own is not None:
        first = replace(first, commit=own.commit, origin=own.origin)
    chain = Why((first, *_made(tree)))
    commits = (first.commit,) if first.commit is not None else ()
    return Why(chain.links, None, remedy(chain.cause, chain.origin, own or first), commits)


def _made(tree: ObjectNode) -> Iterator[Link]:
    for link in _down(tree):
        yield replace(link, relation=_MADE)


def _commits(cycle: Cycle[ObjectKey], known: Known) -> tuple[CommitInfo, ...]:
    """The commits that last changed those whose dependsOn make a cycle, each once."""
    found = [known.find(edge.dependent) for edge in cycle.edges[:_COMMITS]]
    commits = [commit_of(manifest) for manifest in found if manifest is not None]
    return tuple({commit.id: commit for commit in commits if commit is not None}.values())


def _own(links: list[Link]) -> Link:
    """The last link that is of our own kinds."""
    return next((link for link in reversed(links) if link.relation not in (_CONSISTS, _MADE)), links[0])


def _holding_up(key: ObjectKey, known: Known) -> Iterator[Link]:
    """The object of our own kinds that holds an object up: a dependency, its source, or an object that it has
    applied. None for an object that has failed by itself."""
    found = known.standing(key)
    reason = found.reason if found is not None else ""
    if reason in _OF_DEPENDENCIES:
        dependencies = _unready(known.dependencies(key), known)
        if dependencies:
            yield _link(dependencies[0], known, "waits for", len(dependencies) - 1)
    source = known.source(key)
    is_there = source is not None and known.find(source) is not None
    if reason in _OF_SOURCE and (is_there or reason == names.SOURCE_NOT_READY):
        for unready in _unready([source] if source is not None else [], known):
            yield _link(unready, known, "takes its source from")
    if reason in _OF_PARTS and is_kustomization(key):
        inside = _unready(known.brought_by(key), known)
        if inside:
            yield _link(inside[0], known, "has applied", len(inside) - 1)


def _unready(keys: Iterable[ObjectKey], known: Known) -> list[ObjectKey]:
    """The objects that are not ready; those that have failed come first."""
    found = [(known.standing(key), key) for key in keys]
    return [key for standing, key in sorted(found, key=_weight) if standing is None or standing.status != "ready"]


def _weight(item: tuple[Standing | None, ObjectKey]) -> tuple[int, ObjectKey]:
    standing, key = item
    order = {"failed": 0, "suspended": 2, "waiting": 3, "ready": 4}
    return (1 if standing is None else order[standing.status]), key


def _link(key: ObjectKey, known: Known, relation: Relation = "", others: int = 0) -> Link:
    manifest, found = known.find(key), known.standing(key)
    if manifest is None or found is None:
        return Link(key, "missing", "Missing", "is not in the cluster", relation=relation, others=others)
    return Link(
        key,
        found.status,
        found.reason,
        found.message,
        found.since,
        relation,
        others,
        commit_of(manifest),
        origin_of(manifest),
    )


def origin_of(manifest: Manifest) -> str:
    """The place in Git of an object, "" when no commit brought it."""
    return without_column(str((manifest["metadata"].get("annotations") or {}).get(ORIGIN_ANNOTATION, "")))


def _down(tree: ObjectNode) -> Iterator[Link]:
    """The links from an object down through the worst of its parts. Objects of our own kinds have chains of their
    own."""
    node = tree
    relation: Relation = _CONSISTS
    while bad := sorted((child for child in node.children if _is_bad(child)), key=_badness):
        node = bad[0]
        yield Link(node.key, node.status, node.reason, node.message, node.since, relation, len(bad) - 1)
        relation = _MADE


def _is_bad(node: ObjectNode) -> bool:
    return node.status not in ("ready", "") and not (is_release(node.key) or is_kustomization(node.key))


def _badness(node: ObjectNode) -> int:
    return ("failed", "missing", "progressing").index(node.status)
