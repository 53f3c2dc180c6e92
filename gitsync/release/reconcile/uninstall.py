"""Taking a release out of the cluster: because its HelmRelease goes, or is to be another release from now on."""

from __future__ import annotations

import time
from dataclasses import replace

from gitsync.api.names import RELEASED, UNINSTALL_SUCCEEDED
from gitsync.errors import PASSING, NotFound, TerminalError, UninstallFailed
from gitsync.release.reconcile.engine import Engine
from gitsync.release.reconcile.request import ReconcileRequest
from gitsync.release.revision import ReleaseRef
from gitsync.release.status.events import named, uninstalled
from gitsync.runtime.events import Event
from gitsync.text import listed


async def uninstall(
    engine: Engine, request: ReconcileRequest, ref: ReleaseRef, *, replaced: bool = False, without_waiting: bool = False
) -> None:
    """Uninstall for good, and say which objects stay; ``without_waiting`` also without hooks. ``replaced``: the
    HelmRelease is another release from now on.

    Raises: UninstallFailed, RetryableError and what is PASSING: to be called again; NotFound, Superseded.
    """
    started, status = time.monotonic(), request.status.old
    options = engine.uninstall_options(request, replaced=replaced)
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
        deleted=len(result.deleted),
        **({"kept": listed(result.kept)} if result.kept else {}),
        took=time.monotonic() - started,
    )


async def uninstall_replaced(engine: Engine, request: ReconcileRequest, old: ReleaseRef) -> None:
    """The release has another name, namespace or chart now: uninstall what it was before, as Flux does."""
    request.log.warning("release has another name or namespace, uninstalling it under the old one", old=str(old))
    await uninstall(engine, request, old, replaced=True)
    await engine.writer.write(request, request.status.old | request.status.without_revision())
