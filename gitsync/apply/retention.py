"""Claims that Kubernetes deletes with their StatefulSet, and that somebody wants all the same.

A StatefulSet with ``persistentVolumeClaimRetentionPolicy.whenDeleted: Delete`` is written into its claims as their
owner, and whoever deletes it has the garbage collector delete them, also those that Git has meanwhile as manifests of
their own. Its controller takes that back when the policy is another one: so that is changed first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.names import FIELD_MANAGER
from gitsync.errors import NotReadyInTime

if TYPE_CHECKING:
    from gitsync.cluster import Cluster

#: Seconds for the controller to let go of claims.
RETAIN_TIME = 15.0
_LOOK = 0.2
_POLICY = "persistentVolumeClaimRetentionPolicy"


async def claims_going_with(cluster: Cluster, live: Manifest) -> dict[ObjectKey, str]:
    """The claims that go with a live object, with their uids; none unless it is a StatefulSet that says so.

    Raises: ApiError, ClusterUnavailable.
    """
    policy = (live.get("spec") or {}).get(_POLICY) or {}
    if live.get("kind") != "StatefulSet" or policy.get("whenDeleted") != "Delete":
        return {}
    return await _owned(cluster, live)


async def retain(cluster: Cluster, statefulset: Manifest, claims: Collection[ObjectKey]) -> None:
    """Have these claims stay when a StatefulSet goes, as all of its claims do then.

    Raises: NotReadyInTime when its controller does not let go of them; ApiError (Conflict when somebody has written to
    the StatefulSet meanwhile), ClusterUnavailable.
    """
    key, metadata = ObjectKey.of(statefulset), statefulset["metadata"]
    unchanged = {name: metadata[name] for name in ("uid", "resourceVersion")}
    patch = {"metadata": unchanged, "spec": {_POLICY: {"whenDeleted": "Retain"}}}
    await cluster.patch(key, patch, manager=FIELD_MANAGER)
    try:
        async with asyncio.timeout(RETAIN_TIME):
            while True:
                if not (await _owned(cluster, statefulset)).keys() & set(claims):
                    return
                await asyncio.sleep(_LOOK)
    except TimeoutError:
        raise NotReadyInTime(
            f"{min(claims)} is wanted and would go with {key}, whose controller has not let go of it within "
            f"{RETAIN_TIME:g}s",
            hint="its ownerReferences name the StatefulSet; it is tried again",
        ) from None


async def delete_claims(cluster: Cluster, claims: Mapping[ObjectKey, str]) -> None:
    """Delete claims, as the garbage collector would have, each only if it is still the one with this uid.

    Raises: ApiError, ClusterUnavailable.
    """
    for key, uid in claims.items():
        await cluster.delete(key, uid=uid)


async def _owned(cluster: Cluster, owner: Manifest) -> dict[ObjectKey, str]:
    uid, namespace = owner["metadata"]["uid"], owner["metadata"]["namespace"]
    claims = await cluster.list("", "PersistentVolumeClaim", namespace=namespace)
    return {
        ObjectKey.of(claim): claim["metadata"]["uid"]
        for claim in claims
        if any(reference.get("uid") == uid for reference in claim["metadata"].get("ownerReferences") or ())
    }
