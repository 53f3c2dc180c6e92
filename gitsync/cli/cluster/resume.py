"""``gitsync resume``: have the agent take care of what was suspended."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from gitsync.cli.cluster.suspension import warn_of_git
from gitsync.cli.common.durations import Timeout, Wait, seconds
from gitsync.cli.common.kinds import KINDS
from gitsync.cli.common.liveobject import LiveObject, ask
from gitsync.cli.common.output import print_error, write
from gitsync.cli.common.verbs import Verb
from gitsync.cli.common.waiting import answered
from gitsync.errors import ReleaseError
from gitsync.live.requests import suspension

verb = Verb(
    "resume",
    """Resume releases or sources that were suspended, and wait for them.

    Example: gitsync resume helmrelease redis""",
    """Resume sources.

    Example: gitsync resume source helm bitnami""",
)
app = verb.app


@verb.each(*KINDS)
async def resume(objects: Sequence[LiveObject], wait: Wait = True, patience: Timeout = "5m") -> int:
    """Resume objects, and wait until all are ready."""
    tokens = [await _resume(live) for live in objects]
    if not wait:
        return 0
    waits = (_ready(live, token, seconds(patience)) for live, token in zip(objects, tokens, strict=True))
    return 0 if all(await asyncio.gather(*waits)) else 1


async def _resume(live: LiveObject) -> str:
    token = await ask(live, also=suspension(live.key, suspended=False) if live.is_suspended else None)
    write(f"{live.key} {'is resumed' if live.is_suspended else 'was not suspended'}\n")
    if live.is_suspended:
        warn_of_git(live, suspended=True)
    return token


async def _ready(live: LiveObject, token: str, patience: float) -> bool:
    """Whether a resumed object has become ready. A failure is printed, not raised: it must not hide what becomes of the
    other objects."""
    try:
        return await answered(live, token, patience)
    except ReleaseError as error:
        print_error(f"error: {error}", error.hint)
        return False
