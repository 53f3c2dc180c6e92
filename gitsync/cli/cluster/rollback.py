"""``gitsync rollback``: bring an old revision of a release back, while the release is suspended."""

from __future__ import annotations

import asyncio
import signal
from typing import Annotated

import typer

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import ObjectKey
from gitsync.cli.cluster.suspension import resume_command, suspend_one
from gitsync.cli.common.durations import Limit, seconds
from gitsync.cli.common.kinds import RELEASE
from gitsync.cli.common.liveobject import LiveObject
from gitsync.cli.common.output import one_line, print_error, say, write
from gitsync.cli.common.verbs import Verb
from gitsync.errors import FieldNotSupported, ReleaseError, Superseded
from gitsync.live.requests import origin_of
from gitsync.live.rollback import bring_back, choose, read_unchanged
from gitsync.release.desired import ref_of
from gitsync.release.revision import Deployed
from gitsync.release.storage.recordstore import RecordStore
from gitsync.runtime.interrupt import Interrupt
from gitsync.text import listed

verb = Verb(
    "rollback",
    """Roll a release back to an old revision, as helm rollback does.

    Example: gitsync rollback helmrelease redis --suspend""",
)
app = verb.app

Revision = Annotated[int, typer.Argument(metavar="REVISION", min=0, help="The last good one when left out (or 0).")]
Suspend = Annotated[bool, typer.Option("--suspend", help="Suspend the release first.")]


@verb.one(RELEASE)
async def rollback(live: LiveObject, revision: Revision = 0, suspend: Suspend = False, patience: Limit = "") -> int:
    """Bring an old revision of a HelmRelease back: a new revision with the old content.

    The agent would upgrade again at once to what Git wants, so the release has to be suspended, or is with --suspend.
    It stays so: put into Git what should be, then resume it. Where there is no hurry, revert the commit instead: that
    needs none of this.

    Example: gitsync rollback helmrelease redis 2 --suspend
    """
    release = HelmRelease.parse(live.manifest)
    if release.spec.kube_config is not None:
        raise FieldNotSupported(
            f"{live.key} is released to another cluster (spec.kubeConfig)", hint="use helm rollback"
        )
    interrupt = Interrupt()
    ref, store = ref_of(release), RecordStore(live.cluster, "gitsync rollback")
    async with store.watching():
        chosen = choose(ref, store.revisions(ref.storage, ref.name), revision)
        past = await read_unchanged(store, release, chosen.version)
        if suspend:
            await suspend_one(live)
        elif not live.is_suspended:
            raise _refusal(live.key)
        # Ctrl-C ends it in good order: the revision that was begun is marked as failed.
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, interrupt.set, "stopped by hand")
        limit = seconds(patience) if patience else None
        try:
            deployed = await bring_back(live.cluster, store, release, past, interrupt, limit, _tell)
        except Superseded:
            print_error(f"the rollback of {live.key} was stopped; its revision is marked as failed")
            return 130
    _report(live, past.version, deployed)
    return 0


async def _tell(reason: str) -> None:
    say(one_line(f"waiting for {reason}"))


def _refusal(key: ObjectKey) -> ReleaseError:
    message = f"{key} is not suspended: the agent would upgrade it again at once"
    hint = "add --suspend, or revert the commit in Git instead"
    return ReleaseError(message, action="rollback", key=key, hint=hint)


def _report(live: LiveObject, past: int, deployed: Deployed) -> None:
    key, record, delta = live.key, deployed.record, deployed.delta
    chart = f"{record.chart_name}-{record.chart_version}"
    taken = f" taken_over={len(delta.taken_over)}" if delta.taken_over else ""
    counts = f"created={len(delta.created)}{taken} changed={len(delta.changed)} deleted={len(delta.removed)}"
    counts += f" kept={listed(delta.kept)}" if delta.kept else ""
    write(one_line(f"{key} is back at revision {past} ({chart}), as revision {record.version}: {counts}") + "\n")
    where = origin_of(live.manifest)
    change = f"change {where}" if where else "change the HelmRelease"
    write(one_line(f"It stays suspended. To go on, {change}, then: {resume_command(key)}") + "\n")
    write("Resuming it unchanged upgrades it again.\n")
