"""An object that another claimant has: what keeps a release or sync from it. Plain data."""

from __future__ import annotations

from typing import NamedTuple

from gitsync.api.identity import ObjectKey
from gitsync.apply.claimant import Claimant
from gitsync.release.dependencies.states import State

#: Why it is not known yet what a release wants.
TO_BE_CHANGED = "which the commit has yet to change"
_GOES_ON = "whether that goes on wanting it"


class Hold(NamedTuple):
    """An object that ``claimant`` has and goes on wanting, as far as is known. ``at`` is the state of the claimant's
    HelmRelease for which that was found, ``asked`` the state of the release that wants the object as well (see
    ``state_of``)."""

    key: ObjectKey
    cluster: str
    claimant: Claimant
    at: State | None = None
    asked: State | None = None

    @property
    def owner(self) -> ObjectKey | None:
        """The HelmRelease that has the object, None when a sync does."""
        return self.claimant.release

    @property
    def told(self) -> str:
        """Who has the object, as a message for people."""
        doubt = self.claimant.doubt
        if self.owner is None:
            who = f"{self.key} is already managed by sync {self.claimant.name!r}"
            tail = f"and it is not known yet {_GOES_ON}: {doubt}" if doubt else "which applies it from Git"
            return f"{who}, {tail}"
        who = f"{self.key} is already managed by {self.claimant}"
        if doubt == TO_BE_CHANGED:
            return f"{who}, {doubt}"
        return f"{who}, and it is not known {_GOES_ON}: {doubt}" if doubt else who
