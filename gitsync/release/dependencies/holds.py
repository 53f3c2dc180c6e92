"""What keeps somebody from an object. Plain data."""

from __future__ import annotations

from typing import NamedTuple

from gitsync.api.identity import ObjectKey
from gitsync.apply.claimant import Claimant
from gitsync.release.dependencies.states import State


class Hold(NamedTuple):
    """An object that somebody has, and goes on wanting as far as is known; ``claimant`` is who, ``at`` the state of it
    that this is said of, and ``asked`` that of the release which wants the object as well (see ``state_of``)."""

    key: ObjectKey
    cluster: str
    claimant: Claimant
    at: State | None = None
    asked: State | None = None

    @property
    def owner(self) -> ObjectKey | None:
        """The HelmRelease that has it, None when a sync does."""
        return self.claimant.release
