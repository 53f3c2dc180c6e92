"""``disableTakeOwnership``: objects that exist and are not the release's stop an action before it changes anything.

The rules and the words are Helm's (pkg/action/validate.go), which checks what a release does not have yet.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from gitsync.api.identity import Manifest
from gitsync.apply.namespaces import served_keys
from gitsync.apply.ownership import MANAGED_BY, RELEASE_NAME, RELEASE_NAMESPACE
from gitsync.errors import ReleaseError
from gitsync.release.revision import ReleaseRef

if TYPE_CHECKING:
    from gitsync.cluster import Cluster

_WORDS = {"install": "install", "upgrade": "update"}


async def refuse_conflicts(
    cluster: Cluster, ref: ReleaseRef, objects: Sequence[Manifest], before: Sequence[Manifest], action: str
) -> None:
    """Make sure that none of a revision's ``objects`` exists as somebody else's; one request each. Objects that the
    release has already (``before``) are left out.

    Raises: ReleaseError, naming the object and its owner.
    """
    known = set(await served_keys(cluster, before, ref.namespace))
    keys = [key for key in await served_keys(cluster, objects, ref.namespace) if key not in known]
    live = await asyncio.gather(*(cluster.find(key) for key in keys))
    foreign = [
        (key, wrong, found)
        for key, found in zip(keys, live, strict=True)
        if found is not None and (wrong := wrong_owner(found, ref.name, ref.namespace))
    ]
    if not foreign:
        return
    key, wrong, found = foreign[0]
    more = f" (and {len(foreign) - 1} more objects)" if len(foreign) > 1 else ""
    raise ReleaseError(
        f'unable to continue with {_WORDS.get(action, action)}: {key.kind} "{key.name}" in namespace '
        f'"{key.namespace}" exists and cannot be imported into the current release: invalid ownership metadata; '
        f"{wrong}{more}",
        action=action,
        key=key,
        hint=f"{owner(found)}; remove or rename it, or leave disableTakeOwnership out to take it over",
    )


def wrong_owner(live: Manifest, release: str, namespace: str) -> str:
    """Why a live object is not of this release, in Helm's words; "" when it is."""
    metadata = live.get("metadata") or {}
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    checks = (
        ("label", MANAGED_BY, labels.get(MANAGED_BY), "Helm"),
        ("annotation", RELEASE_NAME, annotations.get(RELEASE_NAME), release),
        ("annotation", RELEASE_NAMESPACE, annotations.get(RELEASE_NAMESPACE), namespace),
    )
    return "; ".join(_wrong(*check) for check in checks if check[2] != check[3])


def _wrong(where: str, key: str, actual: str | None, wanted: str) -> str:
    if actual is None:
        return f'{where} validation error: missing key "{key}": must be set to "{wanted}"'
    return f'{where} validation error: key "{key}" must equal "{wanted}": current value is "{actual}"'


def owner(live: Manifest) -> str:
    """Whose a live object is by its marks, in words."""
    metadata = live.get("metadata") or {}
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    if RELEASE_NAME in annotations:
        return f"it belongs to Helm release {annotations.get(RELEASE_NAMESPACE, '')}/{annotations[RELEASE_NAME]}"
    if labels.get(MANAGED_BY):
        return f"it is managed by {labels[MANAGED_BY]}"
    return "it belongs to no Helm release"
