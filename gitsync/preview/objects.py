"""What would become of single objects: the API server says what would come out (server-side apply, dry run), so that
defaults and admission are in the picture."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.apply.applier import Applier
from gitsync.apply.fieldmanagers import OWNERS
from gitsync.apply.namespaces import fill_namespaces
from gitsync.diff import DiffLine, render_diff
from gitsync.errors import ApiError, KindUnknown, NotFound

if TYPE_CHECKING:
    from gitsync.cluster import Cluster

Effect = Literal["create", "change", "delete", "unknown"]
CONCURRENT_DRY_RUNS = 8


@dataclass(frozen=True, slots=True)
class ObjectPreview:
    """One object that would change. ``release`` is the HelmRelease that it belongs to, "" for what is in Git itself;
    ``diff`` is masked; ``why`` says what is unusual."""

    key: ObjectKey
    verb: Effect
    diff: tuple[DiffLine, ...] = ()
    origin: str = ""
    release: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class DryRun:
    """What an apply would do. ``live`` is the object as it is, None when it is not there; ``after`` as it would be, by
    the API server where it could say so; ``error`` why it would refuse, "" when it would not; ``missing`` what has to
    be there first: its "kind", or its "namespace"."""

    live: Manifest | None
    after: Manifest = field(repr=False)
    error: str = ""
    missing: Literal["", "kind", "namespace"] = ""


class ObjectPreviews:
    """Asks one cluster after another, a few requests at once."""

    def __init__(self) -> None:
        self._slots = asyncio.Semaphore(CONCURRENT_DRY_RUNS)

    async def dry_run(self, cluster: Cluster, manifest: Manifest, manager: str) -> DryRun:
        """What applying an object would do."""
        async with self._slots:
            live = None
            try:
                live = await cluster.find(ObjectKey.of(manifest))
                return DryRun(live, await Applier(cluster, manager, OWNERS).dry_run(manifest))
            except KindUnknown:
                return DryRun(None, manifest, missing="kind")
            except NotFound:
                return DryRun(None, manifest, missing="namespace")
            except ApiError as error:
                return DryRun(live, manifest, error.message)

    def change(
        self, manifest: Manifest, run: DryRun, *, origin: str = "", release: str = "", why: str = ""
    ) -> ObjectPreview | None:
        """The difference that an apply would make; None when it makes none."""
        key = ObjectKey.of(manifest)
        if run.error:
            return ObjectPreview(key, "unknown", (), origin, release, run.error)
        # Every version of a kind is served; which one it was written in makes no difference. What is new is shown as
        # its author wrote it: the server's defaults would only hide it.
        after = {**run.after, "apiVersion": run.live["apiVersion"]} if run.live else manifest
        diff = _lines(run.live, after, key)
        return ObjectPreview(key, "change" if run.live else "create", diff, origin, release, why) if diff else None

    async def deletion(
        self, cluster: Cluster, key: ObjectKey, *, origin: str = "", release: str = "", why: str = ""
    ) -> ObjectPreview | None:
        """What deleting an object would do; None when it is not there."""
        try:
            live = await cluster.find(key)
        except KindUnknown:
            return None
        return ObjectPreview(key, "delete", _lines(live, None, key), origin, release, why) if live else None


async def in_namespaces(cluster: Cluster, objects: Sequence[Manifest], namespace: str) -> list[Manifest]:
    """The objects with ``namespace`` where they name none; as they are where a CRD of the very commit defines them."""
    try:
        return await fill_namespaces(cluster, objects, namespace)
    except KindUnknown:
        return list(objects)


def _lines(before: Manifest | None, after: Manifest | None, key: ObjectKey) -> tuple[DiffLine, ...]:
    """The difference without its first line, which says what the preview itself says."""
    return tuple(render_diff(before, after, key)[1:])
