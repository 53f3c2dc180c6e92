"""When each of many Kustomizations looks at a commit that has come to all of them."""

from __future__ import annotations

import asyncio
from typing import Final

from gitsync.api.identity import ObjectKey
from gitsync.runtime.fairslots import FairSlots
from gitsync.sources.resolve.treeartifact import TreeArtifact

#: Seconds between two of those in whose directory nothing is new: what one look takes of a processor.
LOOK: Final = 0.005


class Turns:
    """Those with something new in their own directories go first; the others, most of whom find that nothing is new for
    them, one after the other. What a directory takes from outside of it may be new nevertheless: a turn is put off, and
    never left out."""

    def __init__(self) -> None:
        self._looks = FairSlots(1, "looks at another revision")
        #: By Kustomization, the revision that was last built, and the digest of the directory in it.
        self._built: dict[ObjectKey, tuple[str, str | None]] = {}
        #: Whose wait the next commit has cut short: they wait no second time, or commits that come faster than all can
        #: look would keep the same ones waiting for ever.
        self._cut_short: set[ObjectKey] = set()

    async def wait(self, key: ObjectKey, artifact: TreeArtifact, path: str) -> None:
        """Return when it is the turn of a Kustomization to build this artifact's directory ``path``: at once, unless
        that is as it was at another revision before."""
        digest = await artifact.tree.directory_digest(path)
        revision, before = self._built.get(key, ("", None))
        is_as_it_was = digest is not None and digest == before
        if is_as_it_was and revision != artifact.revision and key not in self._cut_short:
            self._cut_short.add(key)
            async with self._looks.held(key.namespace):
                await asyncio.sleep(LOOK)
        self._cut_short.discard(key)
        self._built[key] = artifact.revision, digest

    def forget(self, key: ObjectKey) -> None:
        """It is gone."""
        self._built.pop(key, None)
        self._cut_short.discard(key)
