"""The question whether others want some objects: who asks it, and on behalf of which commits. Plain data."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from gitsync.api.identity import ObjectKey
from gitsync.apply.claimant import Claimant
from gitsync.release.wanted.comingsync import Commits


class Question(NamedTuple):
    """Do others than ``asker`` want objects of a cluster?

    Some releases and Kustomizations cannot be rendered or built, so it is not known what they want. Which of them are
    taken to want an object, is decided by the commits that changed them:

    - ``commits`` are those that the asker is acting on: one that was changed by such a commit may want anything, since
      the commit may have moved the object there. With None, every one whose wishes are not known may.
    - ``present`` are the commits that others are at, for an asker that is removed by hand: any of them may have moved
      its objects. One that was changed by such a commit may want objects in its own namespaces only; else a single
      broken release would keep whatever is removed anywhere.

    ``keys`` are the objects, where they are known.
    """

    asker: Claimant
    cluster: str = ""
    commits: Collection[str] | None = ()
    present: Collection[str] = ()
    keys: Collection[ObjectKey] = ()

    def concerns(self, commits: Commits) -> bool:
        """Whether a release or Kustomization changed by ``commits`` may want any object, if its wishes are not
        known."""
        return self.commits is None or not commits.isdisjoint(self.commits)

    def concerns_near(self, commits: Commits) -> bool:
        """Whether a release or Kustomization changed by ``commits`` may want objects in its own namespaces, if its
        wishes are not known."""
        return not commits.isdisjoint(self.present)

    def is_of(self, commits: Commits) -> bool:
        """Whether one of ``commits`` is among those that take the objects from the asker: then it may also be the one
        that gives them to another."""
        return not commits.isdisjoint({*(self.commits or ()), *self.present})
