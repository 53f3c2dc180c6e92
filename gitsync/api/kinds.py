"""Which kinds are this agent's own, and which are Flux's that it does not serve yet."""

from __future__ import annotations

from gitsync.api.identity import ObjectKey
from gitsync.api.names import HELM_GROUP, HELM_RELEASE, HELM_REPOSITORY, SOURCE_GROUP

KUSTOMIZE_GROUP = "kustomize.toolkit.fluxcd.io"
SOURCE_EXTENSIONS_GROUP = "source.extensions.fluxcd.io"
NOTIFICATION_GROUP = "notification.toolkit.fluxcd.io"
IMAGE_GROUP = "image.toolkit.fluxcd.io"
_UNSERVED_GROUPS = (KUSTOMIZE_GROUP, SOURCE_EXTENSIONS_GROUP, NOTIFICATION_GROUP, IMAGE_GROUP)


def is_own_kind(key: ObjectKey) -> bool:
    """Whether an object is of the kinds that an agent works on: a HelmRelease, or a source of charts."""
    return is_release(key) or key.group == SOURCE_GROUP


def is_release(key: ObjectKey) -> bool:
    """Whether an object is a HelmRelease."""
    return key.group == HELM_GROUP and key.kind == HELM_RELEASE


def is_unserved(key: ObjectKey) -> bool:
    """Whether an object is of a kind of Flux that gitsync does not serve: it is applied like any other, and nobody
    gives it a status, unless Flux runs too.
    """
    if key.group == SOURCE_GROUP:
        return key.kind != HELM_REPOSITORY
    return key.group in _UNSERVED_GROUPS
