"""PersistentVolumeClaims that Kubernetes deletes with another object, though somebody wants them.

When an object is deleted, the garbage collector deletes what names it in its ``ownerReferences``; with a claim goes
somebody's data. Mostly a StatefulSet is named there, one with ``whenDeleted: Delete`` in its
``persistentVolumeClaimRetentionPolicy``: its controller writes that, and takes it back when the policy is another one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.names import FIELD_MANAGER
from gitsync.errors import Forbidden, NotReadyInTime

if TYPE_CHECKING:
    from gitsync.cluster import Cluster

#: Seconds for a StatefulSet's controller to let go of claims.
RETAIN_TIME = 15.0
_LOOK = 0.2
_POLICY = "persistentVolumeClaimRetentionPolicy"


class OwnedClaims:
    """The claims of a cluster, by the object that they would go with. Those of a namespace are listed once: keep it
    for one series of deletions."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._listed: dict[str, list[Manifest]] = {}
        self._listing = asyncio.Lock()

    async def going_with(self, live: Manifest) -> dict[ObjectKey, str]:
        """The claims that would go with a live object, with their uids. None where we may not list them.

        Raises: ApiError, ClusterUnavailable.
        """
        namespace = live["metadata"].get("namespace")
        if not namespace:
            return {}
        async with self._listing:
            if (listed := self._listed.get(namespace)) is None or _deletes_claims(live):
                listed = self._listed[namespace] = await self._readable(namespace)
        return {ObjectKey.of(claim): claim["metadata"]["uid"] for claim in _owned_by(live, listed)}

    async def let_stay(self, live: Manifest, claims: Collection[ObjectKey]) -> None:
        """Have these claims stay when an object goes; of a StatefulSet, all of its claims do then.

        Raises: NotReadyInTime when its controller does not let go of them; ApiError (Conflict when somebody has written
        to one of them meanwhile), ClusterUnavailable.
        """
        if _deletes_claims(live):
            await self._retain(live, claims)
        else:
            for claim in _owned_by(live, await self._claims(live["metadata"]["namespace"])):
                if ObjectKey.of(claim) in claims:
                    await self._cluster.patch(ObjectKey.of(claim), _without_owner(claim, live), manager=FIELD_MANAGER)
        self._listed.clear()

    async def delete(self, claims: Mapping[ObjectKey, str]) -> None:
        """Delete claims, as the garbage collector would have, each only if it is still the one with this uid.

        Raises: ApiError, ClusterUnavailable.
        """
        for key, uid in claims.items():
            await self._cluster.delete(key, uid=uid)

    async def _retain(self, statefulset: Manifest, claims: Collection[ObjectKey]) -> None:
        key = ObjectKey.of(statefulset)
        patch = {"metadata": _unchanged(statefulset), "spec": {_POLICY: {"whenDeleted": "Retain"}}}
        await self._cluster.patch(key, patch, manager=FIELD_MANAGER)
        try:
            async with asyncio.timeout(RETAIN_TIME):
                while True:
                    owned = map(ObjectKey.of, _owned_by(statefulset, await self._claims(key.namespace)))
                    if not set(claims).intersection(owned):
                        return
                    await asyncio.sleep(_LOOK)
        except TimeoutError:
            raise NotReadyInTime(
                f"{min(claims)} is wanted and would go with {key}, whose controller has not let go of it within "
                f"{RETAIN_TIME:g}s",
                hint="its ownerReferences name the StatefulSet; it is tried again",
            ) from None

    async def _readable(self, namespace: str) -> list[Manifest]:
        with suppress(Forbidden):
            return await self._claims(namespace)
        return []

    async def _claims(self, namespace: str) -> list[Manifest]:
        return await self._cluster.list("", "PersistentVolumeClaim", namespace=namespace)


def _deletes_claims(live: Manifest) -> bool:
    """Whether an object is a StatefulSet whose claims are to be deleted with it."""
    policy = (live.get("spec") or {}).get(_POLICY) or {}
    return live.get("kind") == "StatefulSet" and policy.get("whenDeleted") == "Delete"


def _owned_by(owner: Manifest, claims: Iterable[Manifest]) -> list[Manifest]:
    uid = owner["metadata"]["uid"]
    return [claim for claim in claims if any(it.get("uid") == uid for it in _owners(claim))]


def _without_owner(claim: Manifest, owner: Manifest) -> Manifest:
    others = [it for it in _owners(claim) if it.get("uid") != owner["metadata"]["uid"]]
    return {"metadata": {**_unchanged(claim), "ownerReferences": others}}


def _owners(manifest: Manifest) -> list[Manifest]:
    return manifest["metadata"].get("ownerReferences") or []


def _unchanged(live: Manifest) -> Manifest:
    return {name: live["metadata"][name] for name in ("uid", "resourceVersion")}
