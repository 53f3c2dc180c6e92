"""What keeps somebody from an object. Plain data."""

from __future__ import annotations

from typing import NamedTuple

from gitsync.api.identity import ObjectKey
from gitsync.apply.claimant import Claimant
from gitsync.release.dependencies.states import State

#: Why nobody can tell yet what a release wants that a commit changes.
TO_BE_CHANGED = "which the commit has yet to change"
_GOES_ON = "whether that goes on wanting it"


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

    @property
    def told(self) -> str:
        """Who has the object, as a message for people."""
        doubt = self.claimant.doubt
        if self.owner is None:
            who = f"{self.key} is already managed by sync {self.claimant.name!r}"
            tail = f"and nobody can tell yet {_GOES_ON}: {doubt}" if doubt else "which applies it from Git"
            return f"{who}, {tail}"
        who = f"{self.key} is already managed by {self.claimant}"
        if doubt == TO_BE_CHANGED:
            return f"{who}, {doubt}"
        return f"{who}, and nobody can tell {_GOES_ON}: {doubt}" if doubt else who
