"""Who wants an object of a release: asked before one is deleted, and before one is taken from somebody.

What releases have is known from their inventories (``status.inventory``). What a release that is on its way to another
revision will have is known once it is rendered, which is done here when somebody asks: so an object that one release of
a commit drops and another of the same commit gains survives also when the first is quicker.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial

import structlog

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.inventory import parse_inventory_id
from gitsync.api.names import COMMIT_ANNOTATION, HELM_GROUP, HELM_RELEASE
from gitsync.apply.claims import Claimant, ObjectClaims
from gitsync.apply.delete import WantedBy
from gitsync.errors import FieldErrors, GitsyncError, ObjectTaken, RetryableError
from gitsync.release.dependencies.index import ReleaseIndex, is_current

log = structlog.get_logger(__name__)

#: The objects of the revision that a HelmRelease asks for, hooks left out.
ObjectsOf = Callable[[HelmRelease], Awaitable[frozenset[ObjectKey]]]
#: Seconds that a deletion waits for a sync to have applied the HelmReleases of its commit.
COMMIT_TIMEOUT = 60.0


@dataclass
class WantedObjects:
    """Answers for all releases. ``objects_of`` renders one; ``wake`` is called with a HelmRelease that waited for an
    object which somebody has let go."""

    index: ReleaseIndex
    claims: ObjectClaims
    objects_of: ObjectsOf
    wake: Callable[[ObjectKey], None]
    _waiting: dict[ObjectKey, tuple[ObjectKey, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.index.subscribe(self._on_release_change)
        self.claims.on_release.append(self._on_claim_dropped)

    def of(self, release: HelmRelease) -> ReleaseClaims:
        """What the actions on one release need of this."""
        return ReleaseClaims(self, release)

    def for_sync(self, sync: Claimant) -> WantedBy:
        """Who wants objects that a sync would delete."""
        return partial(self.others, sync)

    async def others(
        self, asker: Claimant, keys: Collection[ObjectKey], *, cluster: str = "", commit: str = ""
    ) -> dict[ObjectKey, Claimant]:
        """Of these objects, those that somebody else wants than ``asker``, and who. ``commit`` is the one that the
        asker is acting on: what a release of the same commit wants counts also while nobody can tell.

        Waits for a sync that is applying HelmReleases at this moment. Raises: RetryableError when that does not end.
        """
        await self._commits_applied()
        found: dict[ObjectKey, Claimant] = {}
        for key in keys:
            if claimants := self.claims.claimants(key, cluster=cluster, but=asker):
                found[key] = claimants[0]
        rest = [key for key in keys if key not in found]
        for other in self._on_their_way(asker, cluster) if rest else ():
            claimant = Claimant.of_release(other.key)
            try:
                wanted = await self.objects_of(other)
            except GitsyncError as error:
                if not commit or commit != other.metadata.annotations.get(COMMIT_ANNOTATION):
                    continue  # somebody's release that is broken must not keep others from ever deleting anything
                claimant, wanted = claimant._replace(doubt=error.message), frozenset(rest)
            found |= {key: claimant for key in rest if key in wanted and key not in found}
        return found

    async def _commits_applied(self) -> None:
        try:
            async with asyncio.timeout(COMMIT_TIMEOUT):
                await self.index.commits_applied()
        except TimeoutError:
            raise RetryableError(
                f"the HelmReleases of a commit have not been applied within {COMMIT_TIMEOUT:g}s, and may want objects "
                "that are to be deleted"
            ) from None

    async def claim(self, release: HelmRelease, keys: Iterable[ObjectKey]) -> None:
        """``release`` is about to have these objects.

        Raises: ObjectTaken when a sync or another release has one and goes on wanting it.
        """
        me, cluster, wanted = Claimant.of_release(release.key), cluster_of(release), frozenset(keys)
        self._waiting.pop(release.key, None)
        for key in sorted(wanted):
            for claimant in self.claims.claimants(key, cluster=cluster, but=me):
                if await self._goes_on_wanting(claimant, key):
                    self._waiting[release.key] = (key, cluster)
                    raise _taken(key, claimant)
        self.claims.set(me, "underway", wanted, cluster=cluster)

    async def _goes_on_wanting(self, claimant: Claimant, key: ObjectKey) -> bool:
        if claimant.kind == "sync":
            return True
        owner = _key_of(claimant)
        manifest = self.index.manifest(owner)
        if manifest is None:
            return False
        if is_current(manifest):
            return True
        try:
            other = self.index.get(owner)
            return other is not None and key in await self.objects_of(other)
        except GitsyncError:
            return True  # as far as anybody can tell

    def _on_their_way(self, but: Claimant, cluster: str) -> list[HelmRelease]:
        """The releases of a cluster that are not yet what they are to be."""
        return [
            release
            for release in self.index.releases()
            if Claimant.of_release(release.key) != but
            and cluster_of(release) == cluster
            and not release.metadata.deletion_timestamp
            and (manifest := self.index.manifest(release.key)) is not None
            and not is_current(manifest)
        ]

    def _on_release_change(self, key: ObjectKey, before: Manifest | None, after: Manifest | None) -> None:
        claimant = Claimant.of_release(key)
        if after is None or "deletionTimestamp" in after["metadata"]:
            self._waiting.pop(key, None)
            self.claims.forget(claimant)
        elif before is None or _inventory(before) != _inventory(after):
            keys = {found for item in _inventory(after) if (found := parse_inventory_id(str(item.get("id", ""))))}
            self.claims.set(claimant, "deployed", keys, cluster=self._cluster_of(key))
            if is_current(after):
                self.claims.set(claimant, "underway", ())

    def _cluster_of(self, key: ObjectKey) -> str:
        try:
            release = self.index.get(key)
        except FieldErrors:
            return ""
        return cluster_of(release) if release is not None else ""

    def _on_claim_dropped(self, key: ObjectKey, cluster: str) -> None:
        for release in [release for release, waits in self._waiting.items() if waits == (key, cluster)]:
            self.wake(release)


class ReleaseClaims:
    """What the actions on one release need: who else wants its objects, and a claim on those to come."""

    def __init__(self, wanted: WantedObjects, release: HelmRelease) -> None:
        self._wanted = wanted
        self._release = release

    async def others(self, keys: Collection[ObjectKey]) -> Mapping[ObjectKey, Claimant]:
        """Of these objects, those that somebody else wants, and who."""
        release = self._release
        commit = release.metadata.annotations.get(COMMIT_ANNOTATION, "")
        me = Claimant.of_release(release.key)
        return await self._wanted.others(me, keys, cluster=cluster_of(release), commit=commit)

    async def renamed(self, keys: Collection[ObjectKey]) -> Mapping[ObjectKey, Claimant]:
        """The same for objects of the release under a name, namespace or chart that it leaves: those that it has under
        the new one are wanted by itself."""
        own = await self._wanted.objects_of(self._release)
        me = Claimant.of_release(self._release.key)
        return {**await self.others(keys), **{key: me for key in keys if key in own}}

    async def claim(self, keys: Iterable[ObjectKey]) -> None:
        """See WantedObjects.claim."""
        await self._wanted.claim(self._release, keys)


def cluster_of(release: HelmRelease) -> str:
    """Names the cluster that a release's objects are in: "" for the agent's own, else the Secret of its kubeconfig."""
    secret = release.kubeconfig_secret
    return f"{secret.namespace}/{secret.name}" if secret is not None else ""


def _inventory(manifest: Manifest) -> list[dict[str, str]]:
    entries: list[dict[str, str]] = ((manifest.get("status") or {}).get("inventory") or {}).get("entries") or []
    return entries


def _key_of(claimant: Claimant) -> ObjectKey:
    namespace, _, name = claimant.name.partition("/")
    return ObjectKey(HELM_GROUP, HELM_RELEASE, namespace, name)


def _taken(key: ObjectKey, claimant: Claimant) -> ObjectTaken:
    if claimant.kind == "sync":
        owner, where, remedy = None, f"sync {claimant.name!r}, which applies it from Git", "the chart or from Git"
    else:
        owner = _key_of(claimant)
        where, remedy = f"{claimant.kind} {claimant.name}", "one of the two charts"
    return ObjectTaken(f"{key} is already managed by {where}", key=key, owner=owner, hint=f"remove it from {remedy}")
