"""Whose cosign signatures artifacts and charts must have, by ``spec.verify``: keys, or identities."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from gitsync.api.parts.chart import Verification
from gitsync.signatures import CosignKeys, Identity, Keyless
from gitsync.sources.oci import CosignVerification
from gitsync.sources.secrets import trusted_keys

if TYPE_CHECKING:
    from gitsync.cluster import Cluster

#: The key of a Secret that holds a trusted root.
_ROOT = "trusted_root.json"


def plain_verification(wanted: Verification | None, namespace: str) -> CosignVerification | None:
    """Which signatures are asked for, without the keys; None for none. Does not check whether it is supported."""
    if wanted is None:
        return None
    reference = wanted.secret_ref or wanted.trusted_root_secret_ref
    name = reference.name if reference is not None else ""
    identities = tuple(Identity(item.issuer, item.subject) for item in wanted.match_oidc_identity)
    keyless = Keyless(identities) if wanted.secret_ref is None else None
    where = f"Secret '{namespace}/{name}'" if name else "Sigstore's public root"
    return CosignVerification(where, keyless=keyless)


async def verification_of(cluster: Cluster, wanted: Verification | None, namespace: str) -> CosignVerification | None:
    """Which signatures are asked for, with the keys or the trusted root from its Secret; None for none.

    Raises: NotVerified, ApiError, ClusterUnavailable.
    """
    plain = plain_verification(wanted, namespace)
    if plain is None or wanted is None:
        return plain
    if wanted.secret_ref is not None:
        data = await trusted_keys(cluster, namespace, wanted.secret_ref.name)
        return replace(plain, keys=await asyncio.to_thread(CosignKeys.of_secret, data))
    if plain.keyless is None:
        return plain
    if wanted.trusted_root_secret_ref is None:
        keyless = await asyncio.to_thread(Keyless.by_public_root, plain.keyless.identities)
        return replace(plain, keyless=keyless)
    data = await trusted_keys(cluster, namespace, wanted.trusted_root_secret_ref.name, "trusted root")
    return replace(plain, keyless=Keyless.of(plain.keyless.identities, data.get(_ROOT, b"")))
