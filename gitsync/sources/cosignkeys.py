"""The keys that artifacts and charts have to be signed with, as ``verify`` names them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from gitsync.api.chart import Verification
from gitsync.signatures import CosignKeys
from gitsync.sources.oci import CosignVerification
from gitsync.sources.secrets import trusted_keys

if TYPE_CHECKING:
    from gitsync.cluster import Cluster


def plain_verification(wanted: Verification | None, namespace: str) -> CosignVerification | None:
    """Which signatures are asked for, without the keys; None for none. What is refused is no matter here."""
    if wanted is None:
        return None
    name = wanted.secret_ref.name if wanted.secret_ref is not None else ""
    return CosignVerification(f"Secret '{namespace}/{name}'")


async def verification_of(cluster: Cluster, wanted: Verification | None, namespace: str) -> CosignVerification | None:
    """The same with the keys that its Secret holds. Raises: NotVerified, ApiError, ClusterUnavailable."""
    plain = plain_verification(wanted, namespace)
    if plain is None or wanted is None or wanted.secret_ref is None:
        return plain
    data = await trusted_keys(cluster, namespace, wanted.secret_ref.name)
    return replace(plain, keys=await asyncio.to_thread(CosignKeys.of_secret, data))
