"""Releases that wait in vain: for an object that does not exist, and that nothing under way will bring."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import TYPE_CHECKING

from gitsync.api.conditions import ready_of
from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.names import (
    EXTERNAL_ARTIFACT,
    FALSE,
    KIND_NOT_SERVED,
    OWNED_BY_ANOTHER,
    REST_CLIENT_ERROR,
    SOURCE_NOT_READY,
    VALUES_ERROR,
)
from gitsync.apply.served import JUST_BROUGHT, await_kind
from gitsync.errors import ApiError, FieldErrors, GitsyncError, KindUnknown
from gitsync.release.dependencies.index import ReleaseIndex
from gitsync.release.values.compose import text_in
from gitsync.sync.outcome import Outcomes

if TYPE_CHECKING:
    from gitsync.cluster import Cluster


class Lacking:
    """Finds releases that wait in vain, for an object or for its kind. ``waiting`` has those that were found, with what
    each lacks, "" for one that waits for another of them."""

    #: Reasons of Ready for which a release waits for an object, and not for a release or for what it has applied.
    reasons: Collection[str] = (VALUES_ERROR, REST_CLIENT_ERROR, KIND_NOT_SERVED)

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.waiting: dict[ObjectKey, str] = {}
        # The release that was at work at the last call: mostly it still is, and no other need be looked at.
        self._at_work: ObjectKey | None = None

    async def hopeless(
        self, index: ReleaseIndex, keys: Collection[ObjectKey], unapplied: Collection[ObjectKey] = ()
    ) -> bool:
        """Whether none of these releases, which are all that have not settled, can go on: each lacks an object that is
        not there, or waits for a release that does. While a single one is at work, there is hope for all: its chart may
        bring what another lacks. ``unapplied`` releases cannot be applied themselves, for want of their namespace.
        """
        held_by: dict[ObjectKey, frozenset[ObjectKey]] = {}
        for key in sorted(keys, key=self._was_at_work, reverse=True):
            held_by[key] = _held_by(index, key)
            if not held_by[key] and key not in unapplied and not self._says_it_waits(index.manifest(key)):
                self._at_work = key
                return False
        first = [key for key in keys if not held_by[key]]
        asked = [key for key in first if key not in unapplied]
        if not first:
            return False
        whys = await asyncio.gather(*(self._why(index, key) for key in asked))
        # Finding that out takes seconds, in which one of them may have been tried again.
        if not all(whys) or not all(self._says_it_waits(index.manifest(key)) for key in asked):
            return False
        outcomes = Outcomes(index)
        others = [key for key in keys if key not in first]
        for item in {item for key in others for item in held_by[key]}:
            if item not in keys and outcomes.of(item).phase in ("ready", "moving"):
                return False
        self.waiting |= dict(zip(asked, whys, strict=True)) | dict.fromkeys([*others, *unapplied], "")
        return True

    def _was_at_work(self, key: ObjectKey) -> bool:
        return key == self._at_work

    def _says_it_waits(self, manifest: Manifest | None) -> bool:
        """Whether the agent has looked at the release as it is now, and found that it waits for an object."""
        if manifest is None:
            return False
        seen = (manifest.get("status") or {}).get("observedGeneration") == manifest["metadata"].get("generation")
        ready = ready_of(manifest)
        return seen and ready.get("status") == FALSE and ready.get("reason") in self.reasons

    async def _why(self, index: ReleaseIndex, key: ObjectKey) -> str:
        try:
            release = index.get(key)
        except FieldErrors:
            return ""
        if release is None:
            return ""
        if ready_of(index.manifest(key)).get("reason") == KIND_NOT_SERVED:
            return await self._lacks_kind(release, index.unserved.get(key))
        return await self.why(release)

    async def _lacks_kind(self, release: HelmRelease, missing: KindUnknown | None) -> str:
        if missing is None or release.kubeconfig_source is not None:
            return ""
        try:
            # A release may have brought the kind without waiting for it, and discovery shows it a little later.
            await await_kind(self._cluster, missing.group, missing.kind, missing.version, JUST_BROUGHT)
            await self._cluster.resource(missing.group, missing.kind, missing.version)
        except KindUnknown as error:
            return error.message
        except GitsyncError:
            return ""  # it cannot be told
        return ""

    async def why(self, release: HelmRelease) -> str:
        """What a release lacks, in words; "" when everything is there, or cannot be told."""
        kubeconfig = [release.kubeconfig_source] if release.kubeconfig_source is not None else []
        return await self.first_missing(kubeconfig) or await self._lacks_values(release)

    async def first_missing(self, wanted: Collection[ObjectKey]) -> str:
        """The first of these objects that is not there, in words; "" when all are."""
        for key in wanted:
            try:
                found = await self._cluster.find(key)
            except ApiError:
                continue
            if found is None:
                return f"{key.kind} '{key.namespaced_name}' does not exist"
        return ""

    async def _lacks_values(self, release: HelmRelease) -> str:
        for reference, key in zip(release.spec.values_from, release.value_sources(), strict=True):
            try:
                found = await self._cluster.find(key)
            except ApiError:
                continue
            if not reference.optional and text_in(key, found, reference.values_key) is None:
                return f"{key.kind} '{key.namespaced_name}' key '{reference.values_key}' does not exist"
        return ""


class LackingSources(Lacking):
    """As ``Lacking``, for commands that do not wait for a source to be brought: releases whose source does not exist
    wait in vain, too."""

    reasons = (*Lacking.reasons, SOURCE_NOT_READY)

    async def why(self, release: HelmRelease) -> str:
        """See Lacking. A source that a generator makes may be on its way, and the synced repository needs no object."""
        if ready_of(release.manifest).get("reason") != SOURCE_NOT_READY or release.source.kind == EXTERNAL_ARTIFACT:
            return await super().why(release)
        return await self.first_missing([release.source])


def _held_by(index: ReleaseIndex, key: ObjectKey) -> frozenset[ObjectKey]:
    """The releases that a release waits for: its dependencies, or the one that has an object that it wants."""
    blocked, hold = index.blocked(key), index.holds.get(key)
    if blocked is not None:
        return blocked.on
    if hold is None or hold.owner is None or ready_of(index.manifest(key)).get("reason") != OWNED_BY_ANOTHER:
        return frozenset()
    return frozenset({hold.owner})
