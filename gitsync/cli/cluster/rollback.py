"""``gitsync rollback``: bring an old revision of a release back, while Git is out of the way."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING, Annotated

import typer

from gitsync.cli.common.kinds import RELEASE, Name, Namespace, cluster_settings, release_app, seconds
from gitsync.errors import FieldNotSupported, ReleaseError, Superseded
from gitsync.settings import Settings

if TYPE_CHECKING:
    from gitsync.api.identity import Manifest, ObjectKey
    from gitsync.release.revision import Deployed

app = release_app()

Revision = Annotated[int, typer.Argument(metavar="REVISION", min=0, help="The last good one when left out (or 0).")]
Suspend = Annotated[bool, typer.Option("--suspend", help="Suspend the release first.")]
Limit = Annotated[str, typer.Option("--timeout", metavar="DURATION", help="How long it may take at most.")]


@app.callback()
def rollback() -> None:
    """Roll a release back to an old revision, as helm rollback does.

    Example: gitsync rollback helmrelease redis --suspend
    """


@app.command("helmrelease")
@cluster_settings
def helm_release(
    settings: Settings,
    name: Name,
    revision: Revision = 0,
    namespace: Namespace = "default",
    suspend: Suspend = False,
    timeout: Limit = "",
) -> None:
    """Bring an old revision of a HelmRelease back: a new revision with the old content.

    The agent would upgrade again at once to what Git wants, so the release has to be suspended, or is with --suspend.
    It stays so: put into Git what should be, then resume it. Where there is no hurry, revert the commit instead: that
    needs none of this.

    Example: gitsync rollback helmrelease redis 2 --suspend
    """
    limit = seconds(timeout) if timeout else None
    raise typer.Exit(asyncio.run(_rollback(settings, RELEASE.key(namespace, name), revision, suspend, limit)))


async def _rollback(settings: Settings, key: ObjectKey, revision: int, suspend: bool, limit: float | None) -> int:
    from gitsync.api.helmrelease import HelmRelease
    from gitsync.cli.cluster.revisions import bring_back, choose, read_unchanged
    from gitsync.cli.cluster.suspension import suspend_one
    from gitsync.cli.common.objects import connected, is_suspended, read
    from gitsync.cli.common.output import print_error
    from gitsync.release.desired import ref_of
    from gitsync.release.storage.store import RecordStore
    from gitsync.runtime.interrupt import Interrupt

    interrupt = Interrupt()
    async with connected(settings) as cluster:
        manifest = await read(cluster, key)
        release = HelmRelease.parse(manifest)
        if release.spec.kube_config is not None:
            raise FieldNotSupported(f"{key} is released to another cluster (spec.kubeConfig)", hint="use helm rollback")
        ref, store = ref_of(release), RecordStore(cluster, "gitsync rollback")
        async with store.watching():
            chosen = choose(ref, store.revisions(ref.storage, ref.name), revision)
            past = await read_unchanged(store, release, chosen.version)
            if suspend:
                await suspend_one(cluster, manifest)
            elif not is_suspended(manifest):
                raise _refusal(key)
            # Ctrl-C ends it in good order: the revision that was begun is marked as failed.
            asyncio.get_running_loop().add_signal_handler(signal.SIGINT, interrupt.set, "stopped by hand")
            try:
                deployed = await bring_back(cluster, store, release, past, interrupt, limit)
            except Superseded:
                print_error(f"the rollback of {key} was stopped; its revision is marked as failed")
                return 130
    _say(key, manifest, past.version, deployed)
    return 0


def _refusal(key: ObjectKey) -> ReleaseError:
    message = f"{key} is not suspended: the agent would upgrade it again at once"
    hint = "add --suspend, or revert the commit in Git instead"
    return ReleaseError(message, action="rollback", key=key, hint=hint)


def _say(key: ObjectKey, manifest: Manifest, past: int, deployed: Deployed) -> None:
    from gitsync.cli.common.objects import origin_of
    from gitsync.cli.common.output import one_line, write

    record, delta = deployed.record, deployed.delta
    chart = f"{record.chart_name}-{record.chart_version}"
    counts = f"created={len(delta.created)} changed={len(delta.changed)} deleted={len(delta.removed)}"
    write(one_line(f"{key} is back at revision {past} ({chart}), as revision {record.version}: {counts}") + "\n")
    where = origin_of(manifest)
    mend = f"change {where}" if where else "change the HelmRelease"
    resume = f"gitsync resume helmrelease {key.name} -n {key.namespace}"
    write(one_line(f"It stays suspended. To go on, {mend}, then: {resume}") + "\n")
    write("Resuming it unchanged upgrades it again.\n")
