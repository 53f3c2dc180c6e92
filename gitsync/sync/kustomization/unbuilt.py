"""Kustomizations that cannot be built, and the commits by which they may want something. State only; no I/O."""

from __future__ import annotations

from typing import Final

from gitsync.api.identity import ObjectKey
from gitsync.manifests import Desired
from gitsync.release.wanted.comingsync import Commits

#: Commits that are remembered of one Kustomization.
_MOST: Final = 100


class Unbuilt:
    """For each Kustomization that cannot be built, the commits that have changed what it is made of. Any of these may
    have moved an object into it, which is therefore kept. A commit that changes nothing of it has not."""

    def __init__(self) -> None:
        self._known: dict[ObjectKey, tuple[str, tuple[str, ...]]] = {}

    def note(self, key: ObjectKey, desired: Desired, inputs: str) -> Commits:
        """A Kustomization was built of a commit, with these ``inputs`` from the cluster. Returns the commits by which
        it may want what is not known: none when it could be built."""
        if not desired.errors:
            self._known.pop(key, None)
            return frozenset()
        made_of = f"{desired.made_of} {inputs}"
        before, commits = self._known.get(key, ("", ()))
        if made_of != before:
            commits = (*(commit for commit in commits if commit != desired.commit.id), desired.commit.id)[-_MOST:]
            self._known[key] = made_of, commits
        return frozenset(commits)

    def forget(self, key: ObjectKey) -> None:
        """It is gone."""
        self._known.pop(key, None)
