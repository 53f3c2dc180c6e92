"""Who asks whether others want objects, and what he is acting on. Plain data."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from gitsync.api.identity import ObjectKey
from gitsync.apply.claimant import Claimant
from gitsync.release.wanted.comingsync import Commits


class Question(NamedTuple):
    """Who of others than ``asker`` wants objects of a cluster. ``commits`` are those that the asker is acting on: what
    one of them changed may want anything as long as nobody can tell what it wants (None: whoever cannot be told may).
    ``present`` are those that others are at, for an asker that is removed by hand: one of them may move what it has.
    What one of these changed, and cannot be told, may want what is in a namespace that is its own, or has something of
    its; else one that is broken would keep what is removed anywhere.
    ``keys`` are the objects, where they are known.
    """

    asker: Claimant
    cluster: str = ""
    commits: Collection[str] | None = ()
    present: Collection[str] = ()
    keys: Collection[ObjectKey] = ()

    def concerns(self, commits: Commits) -> bool:
        """Whether what one of these changed may want anything."""
        return self.commits is None or not commits.isdisjoint(self.commits)

    def concerns_near(self, commits: Commits) -> bool:
        """Whether what one of these changed may want what is near it."""
        return not commits.isdisjoint(self.present)

    def is_of(self, commits: Commits) -> bool:
        """Whether it is one of these that takes the objects from the asker: then it says who is to have them."""
        return not commits.isdisjoint({*(self.commits or ()), *self.present})
