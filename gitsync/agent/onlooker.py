"""The status line at the bottom of a terminal while a sync runs. Where the log does not go to a terminal, there is
none."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.cluster import Informer, WatchEvent
from gitsync.defects import outliving
from gitsync.logs import StatusLine, has_status_line
from gitsync.release.dependencies.index import ReleaseIndex
from gitsync.sync.reporting.tally import Tally, standing_of_kustomization, standing_of_release

#: Seconds between two updates; a sync that is over by the second shows no status line.
LOOK = 0.5


@asynccontextmanager
async def telling_onlookers(
    index: ReleaseIndex, kustomizations: Informer, syncing: Callable[[], str | None]
) -> AsyncIterator[None]:
    """Show the status line during the body, whenever ``syncing()`` names what is being synced; None: nothing is."""
    if not has_status_line():
        yield
        return
    tally, line = Tally(), StatusLine()

    def on_release(key: ObjectKey, _before: Manifest | None, after: Manifest | None) -> None:
        tally.set(key, standing_of_release(after, at_work=index.at_work(key)))

    def on_kustomization(event: WatchEvent) -> None:
        is_gone = event.type == "DELETED"
        tally.set(event.key, None if is_gone else standing_of_kustomization(event.manifest))

    for key in index:
        on_release(key, None, index.manifest(key))
    for key, manifest in kustomizations.items():
        tally.set(key, standing_of_kustomization(manifest))
    ends = (index.subscribe(on_release), kustomizations.subscribe(on_kustomization))
    try:
        async with outliving("status line", partial(_tell, line, tally, syncing)):
            yield
    finally:
        for end in ends:
            end()
        line.show("")


async def _tell(line: StatusLine, tally: Tally, syncing: Callable[[], str | None]) -> None:
    since: float | None = None
    while True:
        await asyncio.sleep(LOOK)
        what, now = syncing(), time.monotonic()
        line.show(f"{what}: {tally}" if what is not None and since is not None else "", since)
        since = None if what is None else since if since is not None else now
