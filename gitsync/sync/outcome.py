"""When a commit's releases have settled: each is ready, has failed, or waits for one that has."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Literal

from gitsync.api.conditions import Condition, get_condition
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.names import COMMIT_ANNOTATION, OWNED_BY_ANOTHER, READY, STALLED, TRUE
from gitsync.release.dependencies.index import ReleaseIndex, is_current

Phase = Literal["ready", "failed", "waiting", "suspended", "moving"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a release stands, and its own words for it."""

    phase: Phase
    message: str = ""


class Outcomes:
    """Outcomes of releases at one moment; each is worked out once."""

    def __init__(self, index: ReleaseIndex) -> None:
        self._index = index
        self._known: dict[ObjectKey, Outcome] = {}

    def of(self, key: ObjectKey) -> Outcome:
        """How ``key`` stands."""
        if key not in self._known:
            self._known[key] = Outcome("moving")  # a release that waits for itself is held by its cycle, below
            self._known[key] = self._judge(key)
        return self._known[key]

    def _judge(self, key: ObjectKey) -> Outcome:
        manifest = self._index.manifest(key)
        if manifest is None:
            return Outcome("moving", "has just been applied")
        message = _message(manifest)
        if (manifest.get("spec") or {}).get("suspend"):
            return Outcome("suspended", message)
        if key in self._index.held:
            return Outcome("waiting", message)
        if is_current(manifest):
            return Outcome("ready", message)
        if is_stalled(manifest):
            return Outcome("failed", message)
        if _ready(manifest).get("reason") == OWNED_BY_ANOTHER:
            return Outcome("waiting", message)
        blocked = self._index.blocked(key)
        if blocked is not None and all(self._hopeless(other) or self._refused(key, other) for other in blocked.on):
            return Outcome("waiting", message)
        return Outcome("moving", message)

    def _refused(self, key: ObjectKey, other: ObjectKey) -> bool:
        """Whether ``other`` is ready, and not what the readyExpr of ``key`` asks for."""
        return self._index.answered(key, other) and self.of(other).phase == "ready"

    def _hopeless(self, key: ObjectKey) -> bool:
        return self._index.manifest(key) is None or self.of(key).phase in ("failed", "waiting", "suspended")


class Settling:
    """Which of some releases have yet to settle. ``look`` at those that changed; it costs what changed."""

    def __init__(self, index: ReleaseIndex, keys: Iterable[ObjectKey]) -> None:
        self._index = index
        self.open = set(keys)
        self.look(list(self.open))

    def look(self, keys: Iterable[ObjectKey]) -> None:
        """Judge these again; a failure among them may settle others, which wait for it."""
        outcomes = Outcomes(self._index)
        phases = {key: outcomes.of(key).phase for key in keys if key in self.open}
        self.open -= {key for key, phase in phases.items() if phase != "moving"}
        if any(phase not in ("ready", "moving") for phase in phases.values()):
            self.open = {key for key in self.open if outcomes.of(key).phase == "moving"}


#: Whether none of these releases, all that have not settled, ever will. Asked whenever a release has changed.
Hopeless = Callable[[ReleaseIndex, Collection[ObjectKey]], Awaitable[bool]]


class ReleasesSettling:
    """Follows a commit's releases until each has settled, and tells those who wait for some of them."""

    def __init__(self, index: ReleaseIndex, keys: Iterable[ObjectKey]) -> None:
        self._index = index
        self._open = set(keys)
        self._news = asyncio.Event()
        #: How often releases have settled so far.
        self.changes = 0

    @property
    def all_settled(self) -> bool:
        """Nothing more is to be expected of any of them."""
        return not self._open

    async def follow(self, timeout: float, hopeless: Hopeless | None = None) -> None:  # noqa: ASYNC109
        """Look at them, and at every change of them, until all have settled, ``timeout`` seconds have passed, or those
        that have not are ``hopeless``."""
        dirty: set[ObjectKey] = set()
        changed = asyncio.Event()

        def on_change(key: ObjectKey, before: Manifest | None, after: Manifest | None) -> None:
            dirty.add(key)
            changed.set()

        unsubscribe = self._index.subscribe(on_change)
        try:
            settling = Settling(self._index, self._open)
            self._tell(settling.open)
            async with asyncio.timeout(timeout):
                while self._open:
                    if hopeless is not None and await hopeless(self._index, self._open):
                        break
                    await changed.wait()
                    changed.clear()
                    settling.look(list(dirty))
                    dirty.clear()
                    self._tell(settling.open)
        except TimeoutError:
            pass
        finally:
            unsubscribe()
        self._tell(set())

    async def settled(self, keys: Iterable[ObjectKey]) -> None:
        """Return when these have settled."""
        wanted = set(keys)
        while wanted & self._open:
            await self._news.wait()

    async def changed_since(self, changes: int) -> bool:
        """Wait until one more has settled than at ``changes``; False when none will any more."""
        while self.changes == changes:
            if self.all_settled:
                return False
            await self._news.wait()
        return True

    def _tell(self, still_open: set[ObjectKey]) -> None:
        if len(still_open) != len(self._open):
            self._open = set(still_open)
            self.changes += 1
            self._news.set()
            self._news = asyncio.Event()


def is_stalled(manifest: Manifest) -> bool:
    """Given up until something changes, and judged at the present generation and commit."""
    status = manifest.get("status") or {}
    stalled = get_condition(status.get("conditions"), STALLED)
    stamp = (manifest["metadata"].get("annotations") or {}).get(COMMIT_ANNOTATION)
    return (
        stalled is not None
        and stalled.get("status") == TRUE
        and status.get("observedGeneration") == manifest["metadata"].get("generation")
        and (not stamp or status.get("lastHandledCommit", stamp) == stamp)
    )


def _message(manifest: Manifest) -> str:
    return str(_ready(manifest).get("message", "has not been looked at yet"))


def _ready(manifest: Manifest) -> Condition:
    return get_condition((manifest.get("status") or {}).get("conditions"), READY) or {}
