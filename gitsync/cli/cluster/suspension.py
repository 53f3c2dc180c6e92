"""What ``suspend`` and ``resume`` share: changing ``spec.suspend``, and saying what Git will make of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.names import CLI_FIELD_MANAGER
from gitsync.cli.common.objects import ask, connected, git_names, is_suspended, origin_of, read_all, warn
from gitsync.cli.common.output import print_error, write
from gitsync.cli.common.waiting import report, until_answered
from gitsync.errors import ReleaseError

if TYPE_CHECKING:
    from gitsync.cli.common.kinds import Kind
    from gitsync.cluster import Cluster
    from gitsync.settings import Settings


async def suspend(settings: Settings, kind: Kind, namespace: str, names: Sequence[str]) -> None:
    """Suspend objects; none is touched when one of them is not there. Raises: NotFound."""
    async with connected(settings) as cluster:
        for manifest in await read_all(cluster, kind, namespace, names):
            await suspend_one(cluster, manifest)


async def suspend_one(cluster: Cluster, manifest: Manifest) -> None:
    """Suspend one object, unless it is, and say what Git will make of it."""
    key = ObjectKey.of(manifest)
    if is_suspended(manifest):
        write(f"{key} was suspended already\n")
        return
    await cluster.patch(key, {"spec": {"suspend": True}}, manager=CLI_FIELD_MANAGER)
    write(f"{key} is suspended\n")
    _warn_of_git(manifest, "suspend: false")


async def resume(settings: Settings, kind: Kind, namespace: str, names: Sequence[str], patience: float | None) -> int:
    """Resume objects, and unless ``patience`` (seconds) is None wait until all are ready. Returns the exit code.

    Raises: NotFound before anything is changed.
    """
    async with connected(settings) as cluster:
        tokens: dict[ObjectKey, str] = {}
        for manifest in await read_all(cluster, kind, namespace, names):
            key = ObjectKey.of(manifest)
            suspended = is_suspended(manifest)
            tokens[key] = await ask(cluster, key, spec={"suspend": None} if suspended else None)
            write(f"{key} {'is resumed' if suspended else 'was not suspended'}\n")
            if suspended:
                _warn_of_git(manifest, "suspend: true")
        if patience is None:
            return 0
        ready = await asyncio.gather(*(_await_ready(cluster, key, token, patience) for key, token in tokens.items()))
        return 0 if all(ready) else 1


async def _await_ready(cluster: Cluster, key: ObjectKey, token: str, patience: float) -> bool:
    """One object that gets stuck must not hide what becomes of the others."""
    try:
        return report(await until_answered(cluster, key, token, patience))
    except ReleaseError as error:
        print_error(f"error: {error}", error.hint)
        return False


def _warn_of_git(manifest: Manifest, wording: str) -> None:
    """A sync puts back what Git names; what Git says nothing about stays as people set it."""
    origin = origin_of(manifest)
    if origin and git_names(manifest, "suspend"):
        warn(f"Git says spec.{wording} and will put it back: change {origin}")
    elif origin and not is_suspended(manifest):
        warn(
            f"{ObjectKey.of(manifest)} comes from {origin}: commits still change it, but nothing comes of it meanwhile"
        )
