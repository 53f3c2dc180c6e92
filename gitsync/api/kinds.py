"""Which kinds are this agent's own."""

from __future__ import annotations

from gitsync.api.identity import ObjectKey
from gitsync.api.names import HELM_GROUP, HELM_RELEASE, SOURCE_GROUP


def is_own_kind(key: ObjectKey) -> bool:
    """Whether an object is of the kinds that an agent works on: a HelmRelease, or a source of charts."""
    return is_release(key) or key.group == SOURCE_GROUP


def is_release(key: ObjectKey) -> bool:
    """Whether an object is a HelmRelease."""
    return key.group == HELM_GROUP and key.kind == HELM_RELEASE
