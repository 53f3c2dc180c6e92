"""How Kustomizations stand: each is ready, has failed, waits for what does not come, or is on its way. Pure."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass

from gitsync.api.conditions import has_tried, ready_of
from gitsync.api.identity import ObjectKey
from gitsync.api.kinds import is_kustomization
from gitsync.api.kustomization import Kustomization
from gitsync.api.names import (
    ARTIFACT_FAILED,
    DEPENDENCY_CYCLE,
    DEPENDENCY_MISSING,
    DEPENDENCY_NOT_READY,
    FALSE,
    HEALTH_CHECK_FAILED,
    TRUE,
)
from gitsync.sync.outcome import Outcome


@dataclass(frozen=True)
class Facts:
    """What is known at one moment. ``release`` says how a HelmRelease stands; ``revision_of`` gives the present
    revision of a source, ``is_coming`` whether the source may be about to have a new one; ``has_spoken`` says whether a
    Kustomization's status is about a revision; ``held`` are the objects in or behind a cycle; ``expects`` says whether
    a commit is about to apply a Kustomization, or has done so and the watch has yet to show it; ``is_healed`` whether
    what a Kustomization has failed for, after it was applied, has become ready since."""

    kustomizations: Mapping[ObjectKey, Kustomization]
    release: Callable[[ObjectKey], Outcome]
    revision_of: Callable[[ObjectKey], str]
    is_coming: Callable[[ObjectKey], bool]
    has_spoken: Callable[[ObjectKey, str], bool]
    held: Container[ObjectKey]
    expects: Callable[[ObjectKey], bool]
    is_healed: Callable[[ObjectKey], bool]


class KustomizationOutcomes:
    """Outcomes at one moment; each is worked out once."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._known: dict[ObjectKey, Outcome] = {}

    def of(self, key: ObjectKey) -> Outcome:
        """How ``key`` stands. One that waits for itself counts as moving, until its cycle is found."""
        if key not in self._known:
            self._known[key] = Outcome("moving")
            self._known[key] = self._judge(key)
        return self._known[key]

    def _judge(self, key: ObjectKey) -> Outcome:
        found = self._facts.kustomizations.get(key)
        if found is None and self._facts.expects(key):
            return Outcome("moving", "has yet to be heard of")
        if found is None:
            return Outcome("failed", "does not exist, or cannot be read")
        ready = ready_of(found.manifest)
        message, reason = str(ready.get("message", "has not been looked at yet")), ready.get("reason")
        if found.spec.suspend:
            return Outcome("suspended", message)
        if found.reported("observedGeneration") != found.metadata.generation:
            return Outcome("moving", message)
        if ready.get("status") == TRUE:
            wanted = self._facts.revision_of(found.source)
            is_current = not wanted or found.reported("lastAppliedRevision") == wanted
            return Outcome("ready" if is_current else "moving", message)
        if ready.get("status") != FALSE or self._is_over(key, found):
            return Outcome("moving", message)
        if reason == DEPENDENCY_CYCLE:
            return Outcome("failed" if key in self._facts.held else "moving", message)
        if reason == ARTIFACT_FAILED and not has_tried(found.manifest):
            # A revision that its source has is one that this was said of: its files cannot be had.
            return Outcome("moving" if self._facts.is_coming(found.source) else "waiting", message)
        if reason in (DEPENDENCY_NOT_READY, DEPENDENCY_MISSING):
            return Outcome("moving" if self._may_go_on(found) else "waiting", message)
        is_outdated = reason == HEALTH_CHECK_FAILED and self._facts.is_healed(key)
        return Outcome("moving" if is_outdated else "failed", message)

    def _is_over(self, key: ObjectKey, found: Kustomization) -> bool:
        """Whether its status is outdated: it says why it was not ready at an earlier revision of its source."""
        wanted = self._facts.revision_of(found.source)
        return bool(wanted) and not self._facts.has_spoken(key, wanted)

    def _may_go_on(self, found: Kustomization) -> bool:
        """Whether all that it waits for is ready or on its way: then it is about to go on."""
        phases = [self._dependency(reference.key).phase for reference in found.dependencies()]
        return all(phase in ("ready", "moving") for phase in phases)

    def _dependency(self, key: ObjectKey) -> Outcome:
        return self.of(key) if is_kustomization(key) else self._facts.release(key)
