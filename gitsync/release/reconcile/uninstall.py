"""Uninstalls a release because its HelmRelease is removed, or names another Helm release now; and deletes leftovers."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

from gitsync.api.names import RELEASED, UNINSTALL_SUCCEEDED
from gitsync.apply.namespaces import served_keys
from gitsync.errors import PASSING, NotFound, TerminalError, UninstallFailed
from gitsync.release.action.hooks import hook_objects
from gitsync.release.desired import DesiredRelease, changed_identity
from gitsync.release.reconcile.engine import Engine, newest_record
from gitsync.release.reconcile.request import ReconcileRequest
from gitsync.release.revision import ReleaseRef, objects_of, release_fields
from gitsync.release.status.events import named, uninstalled
from gitsync.runtime.event import Event
from gitsync.text import listed


async def uninstall(
    engine: Engine, request: ReconcileRequest, ref: ReleaseRef, *, replaced: bool = False, without_waiting: bool = False
) -> None:
    """Uninstall, and report which objects stay. ``without_waiting``: without hooks, too. ``replaced``: the HelmRelease
    names another Helm release now; else it is removed.

    Raises: UninstallFailed, RetryableError and what is PASSING: to be called again; NotFound, Superseded.
    """
    started, status = time.monotonic(), request.status.old
    options = engine.uninstall_options(request, replaced=replaced, for_good=not replaced)
    if without_waiting:
        options = replace(options, hooks=False, wait=False)
    try:
        with engine.writer.progress(request, "uninstall"):
            result = await engine.uninstaller.uninstall(ref, options, request.interrupt)
    except (NotFound, *PASSING):
        raise
    except TerminalError as error:
        text = f"Helm uninstall failed for release {named(status) or ref}: {error.message}"
        raise UninstallFailed(text, hint=error.hint, condition=RELEASED) from error
    if result.deleted and (text := uninstalled(status)):
        engine.writer.tell(request, Event("Normal", UNINSTALL_SUCCEEDED, text))
    request.log.info(
        "release uninstalled",
        **release_fields(request.key, ref),
        deleted=len(result.deleted),
        **({"kept": listed(result.kept)} if result.kept else {}),
        took=time.monotonic() - started,
    )


async def delete_leftovers(engine: Engine, request: ReconcileRequest, ref: ReleaseRef) -> None:
    """Delete the leftovers of a release that is in sync, if nobody may want them any more.

    Raises: ApiError, ClusterUnavailable, NotFound when the release has gone meanwhile.
    """
    cluster, record = engine.target.cluster, await newest_record(engine, ref)
    objects = [*await asyncio.to_thread(objects_of, record), *await hook_objects(record.hooks)]
    held = await served_keys(cluster, objects, ref.namespace)
    deletion = await engine.leftovers(request).delete(cluster, held=held)
    if deletion.deleted:
        fields = {"deleted": len(deletion.deleted), "objects": listed(deletion.deleted)}
        request.log.info("what earlier revisions had left is deleted", **release_fields(request.key, ref), **fields)


async def uninstall_replaced(
    engine: Engine, request: ReconcileRequest, desired: DesiredRelease, old: ReleaseRef
) -> None:
    """The HelmRelease has another name, namespace or chart now: uninstall the release that it was, as Flux does."""
    why = changed_identity(old, desired.ref, request.status.last_chart, desired.chart.name)
    request.log.warning("release is to be another one, uninstalling what it was", why=why, helm_release=str(old))
    await uninstall(engine, request, old, replaced=True)
    await engine.writer.write(request, request.status.uninstalled())
