"""A watch: what is there, then what happens, as one client wants to see it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from gitsync.sandbox.failures import Failure, expired
from gitsync.sandbox.kinds.catalog import Resource
from gitsync.sandbox.objects.objectstore import Event, ObjectStore
from gitsync.sandbox.objects.writing import in_version
from gitsync.sandbox.serving.selectors import Selector
from gitsync.sandbox.serving.views import View

if TYPE_CHECKING:
    from gitsync.api.identity import Manifest


#: Seconds between bookmarks; the real server takes about a minute.
BOOKMARKS: Final = 15.0
#: Seconds that a watch lasts when the client does not say.
_LONGEST: Final = 1800.0
_INITIAL_END: Final = {"k8s.io/initial-events-end": "true"}


@dataclass(frozen=True, slots=True)
class Watched:
    """What a client wants to see. ``since`` is a resourceVersion, None for all that is there first."""

    resource: Resource
    namespace: str
    selector: Selector
    view: View
    since: int | None = None
    bookmarks: bool = False
    initial_end: bool = False
    seconds: float = 0.0


class Watch:
    """Listens from its making on, so that nothing is missed between a list and its watch."""

    def __init__(self, store: ObjectStore, wanted: Watched) -> None:
        """Raises: Failure 410 when what happened since then is not known any more."""
        self._store = store
        self._wanted = wanted
        self._news = asyncio.Event()
        self._waiting: deque[Event] = deque()
        if wanted.since is not None:
            try:
                self._waiting.extend(store.since(wanted.since))
            except LookupError as error:
                raise expired(str(error)) from None
        self._end = store.listen(self._hear)
        self._version = store.version

    def close(self) -> None:
        """Hear no more."""
        self._end()

    async def events(self) -> AsyncIterator[Manifest]:
        """Each event as the client gets it, until its time is over."""
        wanted = self._wanted
        if wanted.since is None:
            for _, manifest in self._store.items(wanted.resource.collection, wanted.namespace):
                if wanted.selector(manifest):
                    yield self._event("ADDED", manifest)
            if wanted.initial_end:
                yield self._bookmark(_INITIAL_END)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + (wanted.seconds or _LONGEST)
        while loop.time() < deadline:
            while self._waiting:
                event = self._waiting.popleft()
                self._version = event.version
                shown = self._show(event)
                if shown is not None:
                    yield shown
            self._news.clear()
            try:
                async with asyncio.timeout(max(0.0, min(BOOKMARKS, deadline - loop.time()))):
                    await self._news.wait()
            except TimeoutError:
                if wanted.bookmarks:
                    self._version = self._store.version
                    yield self._bookmark({})

    def _hear(self, event: Event) -> None:
        if event.key.collection == self._wanted.resource.collection:
            self._waiting.append(event)
            self._news.set()

    def _show(self, event: Event) -> Manifest | None:
        """An object that comes to match, or ceases to, is added or deleted to this client."""
        wanted = self._wanted
        if event.key.collection != wanted.resource.collection or wanted.namespace not in ("", event.key.namespace):
            return None
        was = event.old is not None and wanted.selector(event.old)
        now = event.type != "DELETED" and wanted.selector(event.new)
        if not (was or now):
            return None
        if event.type != "DELETED" and not now:
            # As it was when this client last saw it, but for the version.
            assert event.old is not None
            metadata = {**event.old["metadata"], "resourceVersion": str(event.version)}
            return self._event("DELETED", {**event.old, "metadata": metadata})
        return self._event("MODIFIED" if was and now else event.type if not now else "ADDED", event.new)

    def _event(self, kind: str, manifest: Manifest) -> Manifest:
        return {"type": kind, "object": self._wanted.view.one(in_version(manifest, self._wanted.resource))}

    def _bookmark(self, annotations: dict[str, Any]) -> Manifest:
        return {"type": "BOOKMARK", "object": self._wanted.view.bookmark(self._version, annotations)}


def since(version: str) -> int | None:
    """A resourceVersion as a client gives it. Raises: Failure 400 for what is none."""
    if version in ("", "0"):
        return None
    if not version.isdigit():
        raise Failure(400, "BadRequest", f'Invalid value: "{version}": strconv.ParseUint: parsing "{version}"')
    return int(version)
