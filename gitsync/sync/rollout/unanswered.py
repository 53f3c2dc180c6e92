"""Writes whose answer did not come, since a newer commit, an outage or the end of the agent has cut them short. The API
server may have carried them out all the same: what is in the cluster says so, and then they are told of like others."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gitsync.api.identity import CommitInfo, Manifest, ObjectKey
from gitsync.errors import ApiError, GitsyncError, KindUnknown
from gitsync.release.dependencies.states import commit_of

if TYPE_CHECKING:
    from gitsync.cluster import Cluster

#: Seconds to look at the objects.
LOOK_TIME = 5.0
#: Objects that are looked at at once.
_CONCURRENT = 16
#: Metadata that changes with whatever is written, a status too.
_OF_ANY_WRITE = frozenset({"resourceVersion", "generation", "managedFields"})


@dataclass(frozen=True, slots=True)
class Write:
    """An object is applied, or deleted, on behalf of a ``commit``. ``before`` is the object as it was, None if there
    was none; ``stamp`` the commit that an apply marks it with."""

    key: ObjectKey
    commit: CommitInfo
    before: Manifest | None
    origin: str = ""
    why: str = ""
    stamp: str = ""
    is_deletion: bool = False

    def done(self, live: Manifest | None) -> str:
        """What it has done, as a verb of the journal, if the object is ``live`` by now; "" when nothing so far."""
        before = self.before
        if self.is_deletion:
            return "deleted" if live is None or before is None or _uid(live) != _uid(before) else ""
        marked = commit_of(live) if live is not None else None
        if live is None or marked is None or marked.id != self.stamp:
            return ""
        if before is None or _uid(live) != _uid(before):
            return "created"
        return "changed" if _content(live) != _content(before) else ""


class Unanswered:
    """The writes of one sync whose answer has yet to come, or never will."""

    def __init__(self) -> None:
        self._writes: dict[tuple[ObjectKey, bool], Write] = {}

    def began(self, write: Write) -> None:
        """It is about to be sent."""
        self._writes[write.key, write.is_deletion] = write

    def answered(self, key: ObjectKey, *, is_deletion: bool) -> None:
        """It is known what became of it."""
        self._writes.pop((key, is_deletion), None)

    @contextmanager
    def sending(self, write: Write) -> Iterator[None]:
        """The body sends an apply, and ends when its answer is there. A refusal is an answer."""
        self.began(write)
        try:
            yield
        except ApiError:
            self.answered(write.key, is_deletion=write.is_deletion)
            raise
        self.answered(write.key, is_deletion=write.is_deletion)

    async def carried_out(self, cluster: Cluster, *, last: bool = False) -> list[tuple[str, Write]]:
        """Those that have been carried out, each with the verb; they are forgotten. What has not been may still be
        under way on the server. With ``last`` it is forgotten as well, but for deletions that a finalizer holds up.
        What cannot be looked at for now, or not soon enough, stays: a newer commit waits meanwhile."""
        slots, found = asyncio.Semaphore(_CONCURRENT), list[tuple[str, Write]]()
        if not self._writes:
            return found

        async def look(write: Write) -> None:
            try:
                async with slots:
                    live = await cluster.find(write.key)
            except KindUnknown:
                live = None
            except GitsyncError:
                return
            verb = write.done(live)
            is_going = live is not None and write.is_deletion and "deletionTimestamp" in live["metadata"]
            if verb or (last and not is_going):
                self.answered(write.key, is_deletion=write.is_deletion)
            if verb:
                found.append((verb, write))

        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_TIME):
                await asyncio.gather(*map(look, list(self._writes.values())))
        return found


def _uid(manifest: Manifest) -> str:
    return str(manifest["metadata"].get("uid", ""))


def _content(manifest: Manifest) -> dict[str, Any]:
    """An object without what others than its writers bring."""
    metadata = {name: value for name, value in manifest["metadata"].items() if name not in _OF_ANY_WRITE}
    return {**{name: value for name, value in manifest.items() if name != "status"}, "metadata": metadata}
