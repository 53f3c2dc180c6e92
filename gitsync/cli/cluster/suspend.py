"""``gitsync suspend``: have the agent leave a release or a source alone."""

from __future__ import annotations

from collections.abc import Sequence

from gitsync.cli.cluster.suspension import suspend_one
from gitsync.cli.common.kinds import KINDS
from gitsync.cli.common.liveobject import LiveObject
from gitsync.cli.common.verbs import Verb

verb = Verb(
    "suspend",
    """Suspend releases or sources: the agent leaves them alone until resumed.

    Example: gitsync suspend helmrelease redis""",
    """Suspend sources.

    Example: gitsync suspend source helm bitnami""",
)
app = verb.app


@verb.each(*KINDS)
async def suspend(objects: Sequence[LiveObject]) -> None:
    """Suspend objects."""
    for live in objects:
        await suspend_one(live)
