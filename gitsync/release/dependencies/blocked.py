"""What holds a HelmRelease back: a cycle, or dependencies that are missing or not ready. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.kinds import is_release
from gitsync.errors import BlockedError, DependencyMissing, DependencyNotReady
from gitsync.graph import HeldByCycle
from gitsync.release.dependencies.answers import Answer, Need
from gitsync.release.dependencies.order import held_error, shown
from gitsync.release.dependencies.others import Others
from gitsync.release.dependencies.states import is_current
from gitsync.text import listed

#: Dependencies that are named of those that hold one back: more is nothing to read in a column.
NAMED = 5


@dataclass(frozen=True, slots=True)
class Blocked:
    """Why a release has to wait: the ``error`` says it, ``on`` are the releases whose change may end it."""

    error: BlockedError
    on: frozenset[ObjectKey]


class Known(Protocol):
    """What ``blocked`` asks of the index (``ReleaseIndex``)."""

    #: The Kustomizations.
    others: Others

    @property
    def namespace(self) -> str:
        """The only namespace that is watched, "" for all."""

    @property
    def held(self) -> Mapping[ObjectKey, HeldByCycle[ObjectKey]]:
        """The objects in or behind a cycle."""

    def dependency(self, key: ObjectKey) -> Manifest | None:
        """A HelmRelease or Kustomization, as JSON; None when there is none."""

    def expects(self, key: ObjectKey) -> bool:
        """Whether a commit is about to apply this object, or just has."""

    def needs(self, key: ObjectKey) -> Sequence[Need]:
        """The dependencies of a release."""

    def answer(self, key: ObjectKey, need: Need) -> Answer:
        """The last result of the readyExpr of a dependency."""


def blocked(known: Known, key: ObjectKey) -> Blocked | None:
    """What holds ``key`` back; None when nothing does.

    A dependency that is ready counts only when its own dependencies are: if a commit changes a and c, and c depends
    on b, which depends on a, then c waits for a although b is ready all the time. A dependency with a readyExpr is
    ready when that says so, at whatever commit, and nothing beyond it counts.
    """
    if (held := known.held.get(key)) is not None:
        return Blocked(held_error(held), frozenset(held.cycle.members))
    missing, unready = _unready(known, key)
    if not missing and not unready:
        return None
    texts = [f"dependency '{shown(item)}' {_why_missing(known, item)}" for item in missing]
    texts += [f"dependency '{shown(item)}' is not ready{more}" for item, more in unready.items()]
    on, message = frozenset({*missing, *unready}), listed(texts, NAMED, "; ")
    if not missing:
        return Blocked(DependencyNotReady(message), on)
    hint = f"add that {missing[0].kind} to the repository, or correct dependsOn"
    return Blocked(DependencyMissing(message, hint=hint), on)


def _why_missing(known: Known, key: ObjectKey) -> str:
    if known.namespace in ("", key.namespace):
        return "does not exist"
    return f"cannot be seen: only {key.kind}s of namespace '{known.namespace}' are (watch_namespace)"


def _unready(known: Known, key: ObjectKey) -> tuple[list[ObjectKey], dict[ObjectKey, str]]:
    """Missing dependencies, and unready ones with an addition for the message: the ready dependency through which it is
    one, or what its readyExpr says."""
    missing: list[ObjectKey] = []
    unready: dict[ObjectKey, str] = {}
    seen: set[Need] = set()
    open_ends = deque((item, expression, "") for item, expression in known.needs(key))
    while open_ends:
        item, expression, via = open_ends.popleft()
        if (item, expression) in seen:
            continue  # visit each once: through layers of releases, very many paths lead to the same one
        seen.add((item, expression))
        manifest = known.dependency(item)
        if manifest is None:
            if known.expects(item):
                unready[item] = via
            elif not via and item not in missing:
                missing.append(item)
        elif expression:
            if why_not := known.answer(key, (item, expression)).why_not:
                unready[item] = f": {why_not}"
        elif not is_release(item):
            if (why_not_ready := known.others.why_not_ready(item)) is not None:
                unready.setdefault(item, via + why_not_ready)
        elif not is_current(manifest):
            unready.setdefault(item, via)
        else:
            via = via or f" (through '{shown(item)}')"
            open_ends += [(found, "", via) for found, other in known.needs(item) if not other]
    return missing, unready
