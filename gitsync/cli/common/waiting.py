"""Waiting for the agent: on a watch, with a deadline, saying why it takes so long."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from gitsync.api.conditions import get_condition, is_ready
from gitsync.api.duration import format_duration
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.names import READY, TRUE
from gitsync.errors import NotReadyInTime, ReleaseError

if TYPE_CHECKING:
    from gitsync.cluster import Cluster


async def until_answered(cluster: Cluster, key: ObjectKey, token: str, patience: float) -> Manifest:
    """The object once its status says that the request ``token`` was dealt with; ``patience`` is in seconds.

    Tells on stderr what is not ready meanwhile. Raises: NotReadyInTime, ReleaseError when it is deleted.
    """
    told = ""
    last: Manifest = {}

    def answered(manifest: Manifest | None) -> bool:
        nonlocal told, last
        if manifest is None:
            raise ReleaseError(f"{key} was deleted while being waited for", key=key)
        last = manifest
        if (manifest.get("status") or {}).get("lastHandledReconcileAt") == token:
            return True
        status, message = readiness(manifest)
        if status != TRUE and message not in ("", told):
            told = message
            _tell(key, message)
        return False

    try:
        await until(cluster, key, answered, patience)
    except TimeoutError:
        why = readiness(last)[1] if told else "no answer"
        message = f"{key} was not reconciled within {format_duration(patience)}: {why}"
        hint = "" if told else "is an agent running? gitsync check looks, and gitsync logs shows what it says"
        raise NotReadyInTime(message, key=key, hint=hint) from None
    return last


async def until_gone(cluster: Cluster, key: ObjectKey, patience: float) -> None:
    """Return when an object that was deleted exists no more. Raises: NotReadyInTime."""
    try:
        await until(cluster, key, lambda manifest: manifest is None, patience)
    except TimeoutError:
        message = f"{key} is still being deleted after {format_duration(patience)}"
        hint = "the agent uninstalls it first: is one running? gitsync check looks, and gitsync logs shows what it says"
        raise NotReadyInTime(message, key=key, hint=hint) from None


async def until(cluster: Cluster, key: ObjectKey, done: Callable[[Manifest | None], bool], patience: float) -> None:
    """Return when ``done`` says so of the object (None: it is not there); it is asked at every change.

    Raises: TimeoutError after ``patience`` seconds.
    """
    changed = asyncio.Event()
    async with (
        asyncio.timeout(patience),
        cluster.watch(key.group, key.kind, namespace=key.namespace, fields=f"metadata.name={key.name}") as live,
    ):
        live.subscribe(lambda event: changed.set())
        while not done(live.get(key)):
            await changed.wait()
            changed.clear()


def readiness(manifest: Manifest) -> tuple[str, str]:
    """Status and message of the Ready condition; both "" when there is none."""
    condition = get_condition((manifest.get("status") or {}).get("conditions"), READY) or {}
    return str(condition.get("status", "")), str(condition.get("message", ""))


def report(manifest: Manifest) -> bool:
    """Print whether an object is ready and what its condition says; True when it is."""
    from gitsync.cli.common.output import one_line, print_error, write

    key, (_, message) = ObjectKey.of(manifest), readiness(manifest)
    if is_ready(manifest):
        write(one_line(f"{key} is ready: {message}") + "\n")
        return True
    print_error(f"error: {key} is not ready: {message}")
    return False


def _tell(key: ObjectKey, message: str) -> None:
    from gitsync.cli.common.output import one_line
    from gitsync.logs import redact

    print(one_line(redact(f"{key}: {message}")), file=sys.stderr)
