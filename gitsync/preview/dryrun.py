"""Previews of single objects. The API server itself says what would come out (server-side apply, dry run), with
defaults and admission."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.apply.applier import Applier
from gitsync.apply.claimant import Claimant
from gitsync.apply.fieldmanagers import OWNERS
from gitsync.apply.namespaces import fill_namespaces
from gitsync.diff import DiffLine, render_diff
from gitsync.errors import ApiError, KindUnknown, NotFound
from gitsync.logs import mask_secrets

if TYPE_CHECKING:
    from gitsync.cluster import Cluster

#: "hand over": another release or sync wants what would be deleted otherwise; "keep": it stays, although nothing is
#: known to want it any more.
Effect = Literal["create", "change", "delete", "hand over", "keep", "unknown"]
CONCURRENT_DRY_RUNS = 8


@dataclass(frozen=True, slots=True)
class ObjectPreview:
    """One object that would change, or would not although nobody wants it any more. ``release`` is the HelmRelease that
    it belongs to, "" for what is in Git itself; ``kustomization`` the Kustomization that brings it, or the HelmRelease,
    "" for the sync of the settings; ``diff`` is masked; ``why`` says what is unusual; ``to`` is who gets an object that
    is handed over."""

    key: ObjectKey
    verb: Effect
    diff: tuple[DiffLine, ...] = ()
    origin: str = ""
    release: str = ""
    why: str = ""
    to: str = ""
    kustomization: str = ""

    def without(self, secrets: Collection[str]) -> ObjectPreview:
        """The same, these values masked in what its difference shows, and in what the API server says of it."""
        if not secrets:
            return self
        diff = tuple(replace(line, text=mask_secrets(line.text, secrets)) for line in self.diff)
        return replace(self, diff=diff, why=mask_secrets(self.why, secrets))


@dataclass(frozen=True, slots=True)
class DryRun:
    """What an apply would do. ``live`` is the object as it is, None when it is not there; ``after`` as it would be, by
    the API server where it could say so; ``error`` why it would refuse, "" when it would not; ``missing`` what has to
    be there first: its "kind", or its "namespace"."""

    live: Manifest | None
    after: Manifest = field(repr=False)
    error: str = ""
    missing: Literal["", "kind", "namespace"] = ""


def as_applied(run: DryRun) -> Manifest:
    """An object as it is after an apply. Where the API server could not say so, with the status that it has, and of
    another generation."""
    if run.live is None or not run.error:
        return run.after
    generation = run.live["metadata"].get("generation", 0) + 1
    metadata = {**run.after["metadata"], "generation": generation}
    return {**run.after, "metadata": metadata, "status": run.live.get("status") or {}}


class ObjectPreviews:
    """Asks one cluster after another, a few requests at once."""

    def __init__(self) -> None:
        self._slots = asyncio.Semaphore(CONCURRENT_DRY_RUNS)

    async def dry_run(self, cluster: Cluster, manifest: Manifest, manager: str) -> DryRun:
        """What applying an object would do, by a dry run of the API server. What it refuses is in the answer, as are a
        kind and a namespace that are missing.

        Raises: ClusterUnavailable.
        """
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
        self,
        manifest: Manifest,
        run: DryRun,
        *,
        origin: str = "",
        release: str = "",
        why: str = "",
        secret: bool = False,
    ) -> ObjectPreview | None:
        """The difference that an apply would make; None when it makes none. ``secret``: no value of it is shown."""
        key = ObjectKey.of(manifest)
        if run.error:
            return ObjectPreview(key, "unknown", (), origin, release, run.error)
        # Every version of a kind is served; which one it was written in makes no difference. What is new is shown as
        # its author wrote it: the server's defaults would only hide it.
        after = {**run.after, "apiVersion": run.live["apiVersion"]} if run.live else manifest
        diff = _lines(run.live, after, key, secret=secret)
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


def handed_over(
    key: ObjectKey, claimant: Claimant, *, origin: str = "", release: str = "", why: str = ""
) -> ObjectPreview:
    """An object that stays for somebody else's sake."""
    if claimant.why_kept:
        return ObjectPreview(key, "keep", (), origin, release, claimant.why_kept)
    if claimant.doubt:
        return ObjectPreview(key, "keep", (), origin, release, claimant.may_want_it)
    return ObjectPreview(key, "hand over", (), origin, release, why, str(claimant))


async def in_namespaces(cluster: Cluster, objects: Sequence[Manifest], namespace: str) -> list[Manifest]:
    """The objects with ``namespace`` where they name none; as they are where a CRD of the very commit defines them."""
    try:
        return await fill_namespaces(cluster, objects, namespace)
    except KindUnknown:
        return list(objects)


def _lines(
    before: Manifest | None, after: Manifest | None, key: ObjectKey, *, secret: bool = False
) -> tuple[DiffLine, ...]:
    """The difference without its first line, which says what the preview itself says."""
    return tuple(render_diff(before, after, key, secret=secret)[1:])
