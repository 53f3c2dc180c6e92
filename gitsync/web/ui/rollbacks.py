"""Rolling releases back from the page: by what ``gitsync rollback --suspend`` does, as the user, and in the background,
for a release may take minutes to become ready."""

from __future__ import annotations

import asyncio
import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import structlog

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import ObjectKey
from gitsync.api.kinds import is_suspended
from gitsync.defects import tell_defect
from gitsync.errors import FieldNotSupported, GitsyncError, NotFound, ReleaseError, Superseded
from gitsync.live.requests import suspend
from gitsync.release.desired import ref_of
from gitsync.release.storage.recordmemory import RecordMemory
from gitsync.release.storage.recordstore import RecordStore
from gitsync.runtime.interrupt import Interrupt

if TYPE_CHECKING:
    from gitsync.web.ui.board import Board

log = structlog.get_logger(__name__)

HOLDER: Final = "gitsync ui"
#: Seconds for what is under way to end in good order when the page is closed.
_GRACE: Final = 10.0
#: How many are remembered, and how many may be under way.
_REMEMBERED: Final = 100
_AT_ONCE: Final = 4


@dataclass
class Rollback:
    """One that was asked for: back to ``revision``, ``says`` what it waits for or what came of it."""

    revision: int
    state: str = "running"
    says: str = ""
    hint: str = ""


class Rollbacks:
    """Begins rollbacks, and knows what came of them."""

    def __init__(self, board: Board, memory: RecordMemory) -> None:
        self._board = board
        self._memory = memory
        self._known: dict[ObjectKey, Rollback] = {}
        self._tasks: dict[ObjectKey, asyncio.Task[None]] = {}
        self._interrupt = Interrupt()

    def of(self, key: ObjectKey) -> Rollback | None:
        """The latest of a release, as long as this page has run."""
        return self._known.get(key)

    async def close(self) -> None:
        """End what is under way: its revision is marked as failed, as with Ctrl-C."""
        self._interrupt.set("the page was closed")
        if self._tasks:
            await asyncio.wait(list(self._tasks.values()), timeout=_GRACE)
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def begin(self, key: ObjectKey, revision: int) -> None:
        """Suspend a release and begin to bring a revision back. Raises: ReleaseError and others where that cannot be;
        Forbidden, ClusterUnavailable."""
        if key in self._tasks or len(self._tasks) >= _AT_ONCE:
            busy = key if key in self._tasks else "as many releases as may be at once"
            raise ReleaseError(f"{busy} is rolled back already", action="rollback", key=key, hint="wait for its end")
        found = Rollback(revision)
        begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(self._work(key, found, begun), name="rollback")
        self._tasks[key] = task
        task.add_done_callback(lambda _: self._tasks.pop(key, None))
        await asyncio.shield(begun)

    async def _work(self, key: ObjectKey, found: Rollback, begun: asyncio.Future[None]) -> None:
        try:
            await self._roll_back(key, found, begun)
        except Superseded:
            self._over(found, "failed", "It was stopped; its revision is marked as failed.")
        except GitsyncError as error:
            self._over(found, "failed", error.message, error.hint)
            if not begun.done():
                begun.set_exception(error)
        except Exception as error:
            tell_defect("page", error, object=str(key))
            self._over(found, "failed", "A defect of gitsync; its output says more.")
        finally:
            if not begun.done():
                begun.set_result(None)

    async def _roll_back(self, key: ObjectKey, found: Rollback, begun: asyncio.Future[None]) -> None:
        """Raises: GitsyncError."""
        rollback: Any = await asyncio.to_thread(importlib.import_module, "gitsync.live.rollback")
        cluster = self._board.cluster
        manifest = await cluster.find(key)
        if manifest is None:
            raise NotFound(f"{key} is gone", status=404)
        release = HelmRelease.parse(manifest)
        if release.spec.kube_config is not None:
            raise FieldNotSupported(f"{key} is released to another cluster (spec.kubeConfig)", hint="use helm rollback")
        ref, store = ref_of(release), RecordStore(cluster, HOLDER, self._memory)
        async with store.watching(ref.storage):
            chosen = rollback.choose(ref, store.revisions(ref.storage, ref.name), found.revision)
            past = await rollback.read_unchanged(store, release, chosen.version)
            if not is_suspended(manifest):
                await suspend(cluster, key)
            self._remember(key, found)
            begun.set_result(None)
            log.info("asked for on the page", action="rollback", object=str(key), revision=found.revision)

            async def tell(reason: str) -> None:
                found.says = f"It waits for {reason}"
                self._board.tell()

            deployed = await rollback.bring_back(cluster, store, release, past, self._interrupt, None, tell)
        self._over(found, "done", f"It is back, as revision {deployed.record.version}.")

    def _remember(self, key: ObjectKey, found: Rollback) -> None:
        self._known.pop(key, None)
        self._known[key] = found
        while len(self._known) > _REMEMBERED:
            del self._known[next(iter(self._known))]

    def _over(self, found: Rollback, state: str, says: str, hint: str = "") -> None:
        found.state, found.says, found.hint = state, says, hint
        self._board.tell()
