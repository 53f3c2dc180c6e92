"""What ``suspend``, ``resume`` and ``rollback`` share: changing ``spec.suspend``, and what Git will make of it."""

from __future__ import annotations

from gitsync.api.identity import ObjectKey
from gitsync.cli.common.kinds import kind_of
from gitsync.cli.common.liveobject import LiveObject, warn
from gitsync.cli.common.output import write
from gitsync.live.requests import git_names, origin_of, suspend


async def suspend_one(live: LiveObject) -> None:
    """Suspend one object, unless it is, and say what Git will make of it."""
    if live.is_suspended:
        write(f"{live.key} was suspended already\n")
        return
    await suspend(live.cluster, live.key)
    write(f"{live.key} is suspended\n")
    warn_of_git(live, "suspend: false")


def warn_of_git(live: LiveObject, wording: str) -> None:
    """A sync puts back what Git names; what Git says nothing about stays as people set it."""
    origin = origin_of(live.manifest)
    if origin and git_names(live.manifest, "suspend"):
        warn(f"Git says spec.{wording} and will put it back: change {origin}")
    elif origin and not live.is_suspended:
        warn(f"{live.key} comes from {origin}: commits still reach it, and take effect on: {resume_command(live.key)}")


def resume_command(key: ObjectKey) -> str:
    """What ends a suspension."""
    kind = kind_of(key.group, key.kind)
    return f"gitsync resume {kind.words if kind else key.kind} {key.name} -n {key.namespace}"
