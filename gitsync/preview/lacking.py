"""What releases wait for in vain, in a cluster where nobody but the agent brings anything: a sandbox."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import TYPE_CHECKING

from gitsync.api.conditions import get_condition
from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.names import (
    FALSE,
    HELM_REPOSITORY,
    READY,
    RECONCILIATION_FAILED,
    REST_CLIENT_ERROR,
    SOURCE_NOT_READY,
    VALUES_ERROR,
)
from gitsync.api.sources import HelmRepository
from gitsync.errors import FieldErrors
from gitsync.preview.unserved import unserved_source
from gitsync.release.values.compose import text_in
from gitsync.sources.repositories import missing
from gitsync.sync.outcome import Outcomes

if TYPE_CHECKING:
    from gitsync.cluster import Cluster
    from gitsync.release.access import AccessRules
    from gitsync.release.dependencies.index import ReleaseIndex

#: What Ready says of a release that waits for an object, rather than for a dependency or for what it has applied.
_WAITS = (SOURCE_NOT_READY, VALUES_ERROR, REST_CLIENT_ERROR, RECONCILIATION_FAILED)


class Lacking:
    """Finds releases that wait in vain. ``waiting`` are those found last: why each does, "" for one that waits for
    another of them."""

    def __init__(self, cluster: Cluster, rules: AccessRules) -> None:
        self._cluster = cluster
        self._rules = rules
        self.waiting: dict[ObjectKey, str] = {}

    async def hopeless(self, index: ReleaseIndex, keys: Collection[ObjectKey]) -> bool:
        """Whether none of these releases, all that have not settled, can go on by itself: each lacks an object that is
        not there, or waits for one that does. While a single one is at work all may change: its chart may bring what
        another lacks.
        """
        first = [key for key in keys if index.blocked(key) is None]
        if not first or not all(_says_it_waits(index.manifest(key)) for key in first):
            return False
        whys = await asyncio.gather(*(self._why(index, key) for key in first))
        if not all(whys):
            return False
        outcomes = Outcomes(index)
        others = [key for key in keys if key not in first]
        for key in others:
            blocked = index.blocked(key)
            on = blocked.on if blocked is not None else ()
            if any(item not in keys and outcomes.of(item).phase in ("ready", "moving") for item in on):
                return False
        self.waiting = dict(zip(first, whys, strict=True)) | dict.fromkeys(others, "")
        return True

    async def _why(self, index: ReleaseIndex, key: ObjectKey) -> str:
        """What a release lacks, in words; "" when everything is there, or cannot be told."""
        try:
            release = index.get(key)
        except FieldErrors:
            return ""
        if release is None:
            return ""
        return (
            await self._lacks_object(release)
            or await self._lacks_chart(release, index.manifest(key))
            or await self._lacks_values(release)
        )

    async def _lacks_object(self, release: HelmRelease) -> str:
        wanted = [release.kubeconfig_secret] if release.kubeconfig_secret else []
        if account := self._rules.service_account(release):
            wanted.append(ObjectKey("", "ServiceAccount", release.metadata.namespace, account))
        return await self._first_missing(wanted)

    async def _lacks_chart(self, release: HelmRelease, manifest: Manifest | None) -> str:
        source = release.source
        if why := unserved_source(release):
            return why
        if source.kind != HELM_REPOSITORY:  # the synced repository, which is there, or another, which never will be
            ready = _ready(manifest)
            return str(ready.get("message", "")) if ready.get("reason") == SOURCE_NOT_READY else ""
        live = await self._cluster.find(source)
        if live is None:
            return missing(source, "").message
        try:
            spec = HelmRepository.parse(live).spec
        except FieldErrors:
            return ""
        if spec.suspend:
            return f"HelmRepository '{source.namespace}/{source.name}' is suspended, and was not read before"
        references = (reference for reference in (spec.secret_ref, spec.cert_secret_ref) if reference)
        why = await self._first_missing([ObjectKey("", "Secret", source.namespace, item.name) for item in references])
        return f"HelmRepository '{source.namespace}/{source.name}' cannot be read: {why}" if why else ""

    async def _lacks_values(self, release: HelmRelease) -> str:
        for reference, key in zip(release.spec.values_from, release.value_sources(), strict=True):
            if not reference.optional and text_in(key, await self._cluster.find(key), reference.values_key) is None:
                return f"{key.kind} '{key.namespace}/{key.name}' key '{reference.values_key}' does not exist"
        return ""

    async def _first_missing(self, wanted: Collection[ObjectKey]) -> str:
        for key in wanted:
            if await self._cluster.find(key) is None:
                return f"{key.kind} '{key.namespace}/{key.name}' does not exist"
        return ""


def _says_it_waits(manifest: Manifest | None) -> bool:
    """Whether the agent has looked at the release as it is now, and found that it waits for an object."""
    if manifest is None:
        return False
    seen = (manifest.get("status") or {}).get("observedGeneration") == manifest["metadata"].get("generation")
    ready = _ready(manifest)
    return seen and ready.get("status") == FALSE and ready.get("reason") in _WAITS


def _ready(manifest: Manifest | None) -> Manifest:
    return get_condition(((manifest or {}).get("status") or {}).get("conditions"), READY) or {}
