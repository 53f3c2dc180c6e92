"""The interface to Kustomizations for the graph of releases: they may wait for HelmReleases, and these for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.graph import Edge


class Followed(Edge[ObjectKey]):
    """An edge without a dependsOn: an object that a Kustomization waits for once it has applied all."""

    __slots__ = ()


class Others(Protocol):
    """All Kustomizations. State only; no I/O."""

    def manifest(self, key: ObjectKey) -> Manifest | None:
        """A Kustomization as the cluster has it; None when there is none."""

    def why_not_ready(self, key: ObjectKey) -> str | None:
        """What to add to "is not ready" (may be "") for one that exists; None when it is ready."""

    def is_hopeless(self, key: ObjectKey) -> bool:
        """Whether nothing that is on its way will make it ready."""

    def untried(self, key: ObjectKey) -> str:
        """The present revision of its source, if it has yet to try that; else ""."""

    def needs(self) -> Mapping[ObjectKey, Sequence[Edge[ObjectKey]]]:
        """The dependencies of each."""

    def followed(self) -> Mapping[ObjectKey, Sequence[Followed]]:
        """For each that waits for objects which it has applied or whose health it checks, the HelmReleases and
        Kustomizations among these."""


class NoOthers:
    """The Others where there are no Kustomizations."""

    def manifest(self, key: ObjectKey) -> Manifest | None:
        return None

    def why_not_ready(self, key: ObjectKey) -> str | None:
        return None

    def is_hopeless(self, key: ObjectKey) -> bool:
        return True

    def untried(self, key: ObjectKey) -> str:
        return ""

    def needs(self) -> Mapping[ObjectKey, Sequence[Edge[ObjectKey]]]:
        return {}

    def followed(self) -> Mapping[ObjectKey, Sequence[Followed]]:
        return {}


class TakenAsReady:
    """A part of Others for previews: all Kustomizations are assumed to become ready."""

    def why_not_ready(self, key: ObjectKey) -> str | None:
        """Each is assumed to be ready."""
        return None

    def is_hopeless(self, key: ObjectKey) -> bool:
        """None is assumed to have failed."""
        return False

    def untried(self, key: ObjectKey) -> str:
        """A preview waits for nothing."""
        return ""
