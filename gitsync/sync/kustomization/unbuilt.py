"""By which commits a Kustomization that cannot be built may want something. State only; no I/O."""

from __future__ import annotations

from typing import Final

from gitsync.api.identity import ObjectKey
from gitsync.manifests import Desired
from gitsync.release.wanted.comingsync import Commits

#: Commits that are remembered of one.
_MOST: Final = 100


class Unbuilt:
    """Of those that cannot be built: what they are made of, and the commits that changed that. Nobody can tell what
    these have given them; a commit that changes none of it has given them nothing, and what it takes from others need
    not be kept for them."""

    def __init__(self) -> None:
        self._known: dict[ObjectKey, tuple[str, tuple[str, ...]]] = {}

    def note(self, key: ObjectKey, desired: Desired, inputs: str) -> Commits:
        """One was built of a commit, and with ``inputs``: what else that depends on. Returns the commits by which it
        may want what nobody knows of: none when it could be built."""
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
