"""What ``suspend``, ``resume`` and ``rollback`` share: suspending objects, and warning where Git will undo it."""

from __future__ import annotations

from gitsync.api.identity import ObjectKey
from gitsync.api.kinds import is_generator
from gitsync.api.names import GENERATOR_ANNOTATION, GENERATOR_DISABLED
from gitsync.cli.common.kinds import kind_of
from gitsync.cli.common.liveobject import LiveObject, warn
from gitsync.cli.common.output import write
from gitsync.live.requests import git_names, origin_of, suspend


async def suspend_one(live: LiveObject) -> None:
    """Suspend one object, unless it is suspended, and warn where Git will undo that."""
    if live.is_suspended:
        write(f"{live.key} was suspended already\n")
        return
    await suspend(live.cluster, live.key)
    write(f"{live.key} is suspended\n")
    warn_of_git(live, suspended=False)


def warn_of_git(live: LiveObject, *, suspended: bool) -> None:
    """Warn that a sync will undo what was just done, where the object in Git sets ``spec.suspend`` to the other value.
    Where Git does not set it, it stays as it was set by hand. ``suspended`` is what was just set."""
    origin, path = origin_of(live.manifest), ["spec", "suspend"]
    words = f"spec.suspend: {str(suspended).lower()}"
    if is_generator(live.key):
        path = ["metadata", "annotations", GENERATOR_ANNOTATION]
        words = f"{GENERATOR_ANNOTATION}: {GENERATOR_DISABLED if suspended else 'something else'}"
    if origin and git_names(live.manifest, *path):
        warn(f"Git says {words} and will put it back: change {origin}")
    elif origin and not live.is_suspended:
        warn(f"{live.key} comes from {origin}: commits still reach it, and take effect on: {resume_command(live.key)}")


def resume_command(key: ObjectKey) -> str:
    """The command that ends an object's suspension."""
    kind = kind_of(key.group, key.kind)
    return f"gitsync resume {kind.words if kind else key.kind} {key.name} -n {key.namespace}"
