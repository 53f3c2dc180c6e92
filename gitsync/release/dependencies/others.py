"""Objects that are no HelmReleases and wait for each other together with them: Kustomizations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.graph import Edge


class Followed(Edge[ObjectKey]):
    """What one waits for after it has been applied, and without a dependsOn that says so."""

    __slots__ = ()


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

    def needs(self) -> Mapping[ObjectKey, Sequence[Edge[ObjectKey]]]:
        """Each with what it depends on."""

    def followed(self) -> Mapping[ObjectKey, Sequence[Followed]]:
        """Those that are ready only when others are, which they have applied or whose health they check: with the
        releases and Kustomizations among these."""


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

    def needs(self) -> Mapping[ObjectKey, Sequence[Edge[ObjectKey]]]:
        return {}

    def followed(self) -> Mapping[ObjectKey, Sequence[Followed]]:
        return {}


class TakenAsReady:
    """What goes for Kustomizations that are only looked at: all is taken to go well; see Others."""

    def why_not_ready(self, key: ObjectKey) -> str | None:
        """Each is taken as ready."""
        return None

    def is_hopeless(self, key: ObjectKey) -> bool:
        """None is taken to have failed."""
        return False

    def untried(self, key: ObjectKey) -> str:
        """A look is no time to wait for something."""
        return ""
