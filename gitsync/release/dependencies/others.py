"""Objects that are no HelmReleases and wait for each other together with them: Kustomizations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from gitsync.api.identity import Manifest, ObjectKey


class Others(Protocol):
    """Knows them. State only; no I/O."""

    def manifest(self, key: ObjectKey) -> Manifest | None:
        """One as the cluster has it; None when there is none."""

    def why_not_ready(self, key: ObjectKey) -> str | None:
        """What there is to add to "is not ready" of one that is there; None when it is ready."""

    def is_hopeless(self, key: ObjectKey) -> bool:
        """Whether nothing that is on its way makes one ready."""

    def untried(self, key: ObjectKey) -> str:
        """The revision that the source of one has now, and that it has yet to try; "" when it has none."""

    def needs(self) -> Mapping[ObjectKey, Sequence[ObjectKey]]:
        """Each with what it depends on."""

    def followed(self) -> Mapping[ObjectKey, Sequence[ObjectKey]]:
        """Those that are ready only when what they have applied is, with the releases among that."""


class NoOthers:
    """There are none."""

    def manifest(self, key: ObjectKey) -> Manifest | None:
        return None

    def why_not_ready(self, key: ObjectKey) -> str | None:
        return None

    def is_hopeless(self, key: ObjectKey) -> bool:
        return True

    def untried(self, key: ObjectKey) -> str:
        return ""

    def needs(self) -> Mapping[ObjectKey, Sequence[ObjectKey]]:
        return {}

    def followed(self) -> Mapping[ObjectKey, Sequence[ObjectKey]]:
        return {}
