"""Waiting for the agent: on a watch, with a deadline, saying why it takes so long."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from gitsync.api.conditions import is_ready, ready_of
from gitsync.api.duration import format_duration
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.names import RECEIVER, TRUE
from gitsync.cli.common.kinds import kind_of
from gitsync.cli.common.output import one_line, print_error, say, write
from gitsync.errors import NotReadyInTime, ReleaseError
from gitsync.health.helmrepository import MERE_CONFIGURATION, is_mere_configuration
from gitsync.runtime.until import until

if TYPE_CHECKING:
    from gitsync.cli.common.liveobject import LiveObject
    from gitsync.cluster import Cluster


async def answered(live: LiveObject, token: str, patience: float) -> bool:
    """Wait until the agent has dealt with the request ``token`` about an object, print what came of it, and return
    whether it is ready. Says on stderr what is not ready meanwhile.

    Raises: NotReadyInTime after ``patience`` seconds, ReleaseError when it is deleted.
    """
    key = live.key
    said = ""
    last: Manifest = {}

    def done(manifest: Manifest | None) -> bool:
        nonlocal said, last
        if manifest is None:
            raise ReleaseError(f"{key} was deleted while being waited for", key=key)
        last = manifest
        if is_mere_configuration(manifest) or _is_static(key):
            return True
        if (manifest.get("status") or {}).get("lastHandledReconcileAt") == token:
            return True
        status, message = readiness(manifest)
        if status != TRUE and message not in ("", said):
            said = message
            _say(key, message)
        return False

    try:
        await _until_object(live.cluster, key, done, patience)
    except TimeoutError:
        why = readiness(last)[1] if said else "no answer"
        message = f"{key} was not reconciled within {format_duration(patience)}: {why}"
        raise NotReadyInTime(message, key=key, hint="" if said else _unanswered(key)) from None
    return report(last)


async def until_gone(cluster: Cluster, key: ObjectKey, uid: str, patience: float) -> None:
    """Return when an object that was deleted exists no more; another one may be in its place already. Raises:
    NotReadyInTime."""
    try:
        await _until_object(cluster, key, lambda it: it is None or it["metadata"]["uid"] != uid, patience)
    except TimeoutError:
        message = f"{key} is still being deleted after {format_duration(patience)}"
        hint = "the agent uninstalls it first: is one running? gitsync check looks, and gitsync logs shows what it says"
        raise NotReadyInTime(message, key=key, hint=hint) from None


async def _until_object(
    cluster: Cluster, key: ObjectKey, done: Callable[[Manifest | None], bool], patience: float
) -> None:
    """Return when ``done`` is true of the object (None: it does not exist). Raises: TimeoutError."""
    async with (
        asyncio.timeout(patience),
        cluster.watch(key.group, key.kind, namespace=key.namespace, fields=f"metadata.name={key.name}") as watch,
    ):
        await until(watch, lambda: done(watch.get(key)))


def readiness(manifest: Manifest) -> tuple[str, str]:
    """Status and message of the Ready condition; both "" when there is none."""
    condition = ready_of(manifest)
    return str(condition.get("status", "")), str(condition.get("message", ""))


def report(manifest: Manifest) -> bool:
    """Print whether an object is ready and what its condition says; True when it is."""
    key, (_, message) = ObjectKey.of(manifest), readiness(manifest)
    if _is_static(key):
        return True
    if is_mere_configuration(manifest):
        write(f"{key} {MERE_CONFIGURATION}\n")
        return True
    if is_ready(manifest):
        write(one_line(f"{key} is ready: {message}") + "\n")
        return True
    print_error(f"error: {key} is not ready: {message}")
    return False


def _is_static(key: ObjectKey) -> bool:
    """Whether the object is of a kind that has no status."""
    kind = kind_of(key.group, key.kind)
    return kind is not None and kind.is_static


def _unanswered(key: ObjectKey) -> str:
    hint = "is an agent running? gitsync check looks, and gitsync logs shows what it says"
    return f"{hint}; Receivers are served where it has a --webhook-port" if key.kind == RECEIVER else hint


def _say(key: ObjectKey, message: str) -> None:
    say(one_line(f"{key}: {message}"))
