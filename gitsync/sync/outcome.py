"""When a commit's releases have settled: each is ready, has failed, or waits for one that has."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Literal

from gitsync.api.conditions import get_condition, ready_of
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.kinds import is_release
from gitsync.api.names import COMMIT_ANNOTATION, OWNED_BY_ANOTHER, STALLED, TRUE
from gitsync.release.dependencies.holds import Hold
from gitsync.release.dependencies.index import ReleaseIndex
from gitsync.release.dependencies.states import is_current, state_of

Phase = Literal["ready", "failed", "waiting", "suspended", "moving"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a release stands, and the message of its Ready condition."""

    phase: Phase
    message: str = ""


class Outcomes:
    """Outcomes of releases at one moment; each is worked out once. ``at_rest``: no agent works on them (any more), or
    what it does is no reason to wait for them any longer."""

    def __init__(self, index: ReleaseIndex, *, at_rest: bool = False) -> None:
        self._index = index
        self._at_rest = at_rest
        self._known: dict[ObjectKey, Outcome] = {}

    def of(self, key: ObjectKey) -> Outcome:
        """How ``key`` stands."""
        if key not in self._known:
            self._known[key] = Outcome("moving")  # a release that waits for itself is held by its cycle, below
            self._known[key] = self._judge(key)
        return self._known[key]

    def _judge(self, key: ObjectKey) -> Outcome:
        manifest = self._index.manifest(key)
        if manifest is None or self._index.expects(key):
            return Outcome("moving", "has just been applied" if manifest is None else _message(manifest))
        message = _message(manifest)
        if (manifest.get("spec") or {}).get("suspend"):
            return Outcome("suspended", message)
        if key in self._index.held:
            return Outcome("waiting", message)
        if is_current(manifest):
            return Outcome("ready", message)
        if is_stalled(manifest):
            return Outcome("moving" if self._index.at_work(key) and not self._at_rest else "failed", message)
        other = self._index.owners.winner(key)
        if other is not None and any(map(self._index.is_leaving, self._index.ancestry.lineage(other))):
            return Outcome("waiting", message)
        if ready_of(manifest).get("reason") == OWNED_BY_ANOTHER:
            return Outcome("waiting" if self._is_held(key, manifest) else "moving", message)
        blocked = self._index.blocked(key)
        if blocked is not None and all(self._hopeless(other) or self._refused(key, other) for other in blocked.on):
            return Outcome("waiting", message)
        return Outcome("moving", message)

    def _is_held(self, key: ObjectKey, manifest: Manifest) -> bool:
        """Whether ``key`` is held for good by another owner of an object that it wants, as its status says."""
        hold = self._index.holds.get(key)
        if hold is None:  # the other has let go, or the release has not been looked at since the start
            return self._at_rest
        return hold.asked == state_of(manifest) and self.stands(hold)

    def stands(self, hold: Hold) -> bool:
        """Whether nothing that is on its way will end a hold. A holder may let go while it is being changed, or while
        it is moving and not known to want the object."""
        if hold.owner is None:
            return True
        manifest = self._index.manifest(hold.owner)
        if manifest is None or state_of(manifest) != hold.at or self._index.is_coming(hold.owner):
            return False
        lineage = self._index.ancestry.lineage(hold.owner)
        return not hold.claimant.doubt or all(self.of(key).phase != "moving" for key in lineage)

    def _refused(self, key: ObjectKey, other: ObjectKey) -> bool:
        """Whether ``other`` is ready, and not what the readyExpr of ``key`` asks for."""
        return self._index.answered(key, other) and (not is_release(other) or self.of(other).phase == "ready")

    def _hopeless(self, key: ObjectKey) -> bool:
        if not is_release(key) and self._index.dependency(key) is not None:
            return self._index.others.is_hopeless(key)
        is_missing = self._index.manifest(key) is None and not self._index.expects(key)
        return is_missing or self.of(key).phase in ("failed", "waiting", "suspended")


class Unsettled:
    """Those of some releases that have yet to settle. Call ``look`` with every release that has changed, also with
    others than these; only those and what waits for them are judged again."""

    def __init__(self, index: ReleaseIndex, keys: Iterable[ObjectKey]) -> None:
        self._index = index
        self.open = set(keys)
        self.look(list(self.open))

    def look(self, keys: Iterable[ObjectKey]) -> None:
        """Judge these again, and what waits for them; but not where a release was moving and still is, which changes
        nothing for others. A dependency need not be followed itself, and may move again after it had settled."""
        outcomes = Outcomes(self._index)
        news = [key for key in keys if not (self._is_followed(key) and outcomes.of(key).phase == "moving")]
        concerned = self._index.concerned_by(news) & self.open if news else ()
        self.open -= {key for key in concerned if outcomes.of(key).phase != "moving"}

    def _is_followed(self, key: ObjectKey) -> bool:
        return key in self.open and self._index.manifest(key) is not None


#: Whether none of these releases, which are all that have not settled, ever will. Called when a release has changed.
Hopeless = Callable[[ReleaseIndex, Collection[ObjectKey]], Awaitable[bool]]


class ReleasesSettling:
    """Follows a commit's releases until each has settled, and tells those who wait for some of them."""

    def __init__(self, index: ReleaseIndex, keys: Iterable[ObjectKey]) -> None:
        self._index = index
        self._open = set(keys)
        #: Called whenever some have settled.
        self.on_settled: list[Callable[[], None]] = []
        self._news = asyncio.Event()
        self._changed = asyncio.Event()
        #: How often releases have settled so far.
        self.changes = 0

    @property
    def all_settled(self) -> bool:
        """Nothing more is to be expected of any of them."""
        return not self._open

    async def follow(self, timeout: float, hopeless: Hopeless | None = None) -> None:  # noqa: ASYNC109
        """Follow the releases until all have settled, ``timeout`` seconds have passed, or those that are left are
        ``hopeless``."""
        dirty: set[ObjectKey] = set()

        def on_change(key: ObjectKey, before: Manifest | None, after: Manifest | None) -> None:
            dirty.add(key)
            self.look_again()

        unsubscribe = self._index.subscribe(on_change)
        try:
            unsettled = Unsettled(self._index, self._open)
            self._tell(unsettled.open)
            async with asyncio.timeout(timeout):
                while self._open:
                    if hopeless is not None and await hopeless(self._index, self._open):
                        break
                    await self._changed.wait()
                    self._changed.clear()
                    unsettled.look(list(dirty))
                    dirty.clear()
                    self._tell(unsettled.open)
        except TimeoutError:
            pass
        finally:
            unsubscribe()
        self._tell(set())

    def look_again(self) -> None:
        """Judge all again: something else than a release has changed that they may have waited for."""
        self._changed.set()

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
            for listener in list(self.on_settled):
                listener()


def is_stalled(manifest: Manifest) -> bool:
    """Whether a release is Stalled at its present generation and commit: it goes on only when something changes."""
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
    return str(ready_of(manifest).get("message", "has not been looked at yet"))
